"""The operating system's view, taken by a helper process that needs no GIL."""
