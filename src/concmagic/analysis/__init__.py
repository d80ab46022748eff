"""What a Trace amounts to: numbers and findings.

Runs after the cell, or wherever a saved trace is read.
"""
