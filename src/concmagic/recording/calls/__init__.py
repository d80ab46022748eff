"""Function calls: VizTracer's events, and nothing else knows VizTracer."""
