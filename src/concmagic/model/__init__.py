"""A Trace: tracks, states, slices and flows, how they are saved, and what every stage asks of them.

Runs after the cell, or wherever a saved trace is read. It knows no recorder, no renderer, no kernel and no
sentence.
"""
