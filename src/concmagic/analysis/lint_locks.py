"""Lints about the locks of threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from concmagic import sentences
from concmagic.analysis.findings import Finding
from concmagic.analysis.intervals import total, union
from concmagic.analysis.lock_waits import LockUse, wait_by_lock
from concmagic.analysis.metrics import Metrics
from concmagic.trace.model import Trace

CONVOY_SHARE = 0.2  # of the cell in which somebody must have waited for the lock
CONVOY_WAITS = 10  # fewer are a hand-over or two
CONVOY_EACH = 2  # waits of one thread: who waits once only is late, not in a convoy
_BY_NAME = ("Lock", "RLock")


def lock_convoy(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Threads went through one lock again and again. Not conditions or queues: there waiting is meant."""
    for use in wait_by_lock(trace):
        if use.reason not in _BY_NAME or len(use.waits) < CONVOY_WAITS:
            continue
        often = Counter(track for track, _ in use.waits)
        threads = [track for track, waits in often.items() if waits >= CONVOY_EACH]
        pairs = union((one.start_ns, one.end_ns) for _, one in use.waits)
        contended = total(pairs)
        # One thread that waits for another again and again is served by it, and in no convoy.
        if len(threads) < 2 or contended < CONVOY_SHARE * trace.wall_ns:
            continue
        waited = sum(one.length_ns for _, one in use.waits)
        yield Finding(
            lint="lock-convoy",
            severity="warning",
            message=sentences.lock_convoy(
                _label(use), len(often), len(use.waits), waited, contended, trace.wall_ns
            ),
            hint=sentences.CONVOY_HINT,
            cost_s=min(waited / len(often), contended) / 1e9,
            tracks=tuple(often),
            start_ns=pairs[0][0],
            end_ns=pairs[-1][1],
            line=next((one.line for _, one in use.waits if one.line and not one.file), 0),
        )


def _label(use: LockUse) -> str:
    return sentences.lock_label(use.name, sentences.place(use.file, use.line) if use.line else "")
