"""Child processes: their life as the parent sees it, and what runs inside them for us.

What is imported by `inside` runs in a child before its target, the rest in the kernel.
"""
