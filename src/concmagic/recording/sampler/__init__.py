"""The operating system's view, taken by a helper process that needs no GIL.

`process` is that helper's program and is started by its path with `-I -S`, so it and what it imports use the
standard library only; `helper` and `sampler_recorder` run in the kernel.
"""
