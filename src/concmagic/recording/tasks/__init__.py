"""What asyncio did: tasks, their steps, their wake-ups, and why they waited."""
