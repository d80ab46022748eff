"""Lints about the locks of threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from concmagic.analysis.findings import Finding
from concmagic.analysis.intervals import total, union
from concmagic.analysis.lock_waits import LockUse, wait_by_lock
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import LockConvoy
from concmagic.model.trace import Trace

CONVOY_SHARE = 0.2  # of the cell in which somebody must have waited for the lock
CONVOY_WAITS = 10  # fewer are a hand-over or two
CONVOY_EACH = 2  # waits of one thread: who waits once only is late, unless it stands in a long queue
_BY_NAME = ("Lock", "RLock")


def lock_convoy(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Threads went through one lock again and again, or many queued. Not conditions: there it is meant."""
    for use in wait_by_lock(trace):
        if use.reason not in _BY_NAME or len(use.waits) < CONVOY_WAITS:
            continue
        often = Counter(track for track, _ in use.waits)
        pairs = union((one.start_ns, one.end_ns) for _, one in use.waits)
        contended = total(pairs)
        if contended < CONVOY_SHARE * trace.wall_ns or not (_again(often) or _one_by_one(use, trace)):
            continue
        waited = sum(one.length_ns for _, one in use.waits)
        yield Finding(
            lint="lock-convoy",
            severity="warning",
            values=LockConvoy(
                use.lock,
                use.file,
                use.line,
                threads=len(often),
                waits=len(use.waits),
                wait_ns=waited,
                contended_ns=contended,
                wall_ns=trace.wall_ns,
            ),
            cost_s=min(waited / len(often), contended) / 1e9,
            tracks=tuple(often),
            start_ns=pairs[0][0],
            end_ns=pairs[-1][1],
            line=next((one.line for _, one in use.waits if one.line and not one.file), 0),
        )


def _again(often: Counter[int]) -> bool:
    """Several came more than once: one that waits for another again and again is served by it."""
    return sum(waits >= CONVOY_EACH for waits in often.values()) > 1


def _one_by_one(use: LockUse, trace: Trace) -> bool:
    """Many were let in one after the other for long; behind a lock that keeps a gate they go on together."""
    ends = [one.end_ns for _, one in use.waits]
    many = len({track for track, _ in use.waits}) >= CONVOY_WAITS
    return many and max(ends) - min(ends) >= CONVOY_SHARE * trace.wall_ns
