"""Waits for locks: for which, and who had it. After the cell."""
