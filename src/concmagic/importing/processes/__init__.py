"""Processes, their messages, and the jobs of pools of processes. After the cell."""
