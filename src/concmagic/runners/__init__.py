"""How a cell runs, one module per model.

Runs in the kernel; `loop_worker` also in the children of a `for` header's pool.
"""
