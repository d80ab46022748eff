"""Report → text, SVG, HTML, Trace Event Format."""
