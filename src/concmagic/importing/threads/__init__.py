"""Threads, their locks and the GIL: calls, samples and CPU clocks laid over each other. After the cell."""
