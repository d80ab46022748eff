"""The contract between observing and importing: what was recorded, as plain typed data.

Runs in the kernel and in children, some of it before a child's target: it imports neither numpy nor IPython,
and what a child needs first makes no dataclass.
"""
