"""Function calls: VizTracer's events, and nothing else knows VizTracer. In the kernel and in children."""

from __future__ import annotations

BUFFER_LIMIT = 950_000  # events of `--detail calls`


def limit_of(detail: str, budget: int) -> int:
    """How many events a recorder keeps; here, for the recorder's own import may fail."""
    return BUFFER_LIMIT if detail == "calls" else max(1, min(budget, BUFFER_LIMIT))
