"""Child processes: their life as the parent sees it, and what runs inside them for us.

What `child_entry.py` imports is loaded in a child before its target, and in the kernel; `pickler.py` in both,
later; `children_recorder.py`, `child_records.py` and `leftovers.py` in the kernel alone.
"""
