"""Report → text, SVG, HTML, Trace Event Format.

Runs after the cell, or wherever a saved trace is read.
"""
