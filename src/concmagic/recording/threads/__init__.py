"""Threads of one process, and the jobs of its thread pools. In the kernel and in children."""
