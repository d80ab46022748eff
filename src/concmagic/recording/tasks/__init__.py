"""What asyncio did: tasks, their steps, their wake-ups, why they waited. In the kernel and in children."""
