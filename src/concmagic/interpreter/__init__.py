"""What is borrowed from the interpreter beyond its documented interface, and what is asked of its build.

Runs wherever it is needed: in the kernel, in children before their target, after the cell.
Standard library only. Objects of others are `Any` here: what is private to them has no types.
"""
