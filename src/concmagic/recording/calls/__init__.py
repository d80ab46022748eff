"""Function calls: VizTracer's events, and nothing else knows VizTracer. In the kernel and in children."""
