"""From records to a Trace: all evidence on each track laid over each other, the strongest first.

Runs in the kernel after the cell, for all processes: a child imports none of it. It sees records and the
model, no recorder, no runner and no kernel.
"""
