"""How many events of calls are kept. Apart from the recorder, whose import may fail by itself."""

from __future__ import annotations

BUFFER_LIMIT = 950_000  # events of `--detail calls`


def limit_of(detail: str, budget: int) -> int:
    """How many events a recorder keeps."""
    return BUFFER_LIMIT if detail == "calls" else max(1, min(budget, BUFFER_LIMIT))
