"""What is observed while the cell runs: one folder or module per source of evidence.

Runs in the kernel beside the cell and, what a child needs of it, in children before their target: neither
numpy nor IPython is imported, and what a child loads before its target makes no dataclass.
"""
