"""The lint about waits that could have been at once."""

from __future__ import annotations

from collections.abc import Iterator

from concmagic.analysis.await_sites import Sites, sites
from concmagic.analysis.findings import Finding
from concmagic.analysis.intervals import common, total, union
from concmagic.analysis.lint_loop import FLOOR_NS
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import SequentialAwaits
from concmagic.model.reasons import OUTSIDE
from concmagic.model.trace import State, StateInterval, Trace, Track

ALONE_SHARE = 0.5  # of the waits in which nothing else may have been in flight
_APART = frozenset(("executor job",))  # outside the loop, too
_ONE_AT_A_TIME = frozenset(("stream read", "stream drain", "sock_recv", "sock_sendall"))


def sequential_awaits(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """The same function awaited for one thing after the other, while nothing else went on."""
    for group in sites(trace.source):
        for track in trace.tracks:
            finding = _of(trace, track, group) if _runs(track, group) else None
            if finding is not None:
                yield finding


def _of(trace: Trace, track: Track, group: Sites) -> Finding | None:
    waits = [one for one in track.states if _counts(one, group)]
    # What is read from one connection has its order.
    if any(one.reason in _ONE_AT_A_TIME for one in waits):
        return None
    elements = _elements(waits)
    if len(elements) < 2:
        return None
    took = sum(elements)
    saved = took - max(elements)
    if saved < FLOOR_NS or _accompanied(trace, track, waits) > ALONE_SHARE * took:
        return None  # others used the time: it was shared out on purpose, or is not lost
    return Finding(
        lint="sequential-awaits",
        severity="warning",
        values=SequentialAwaits(len(elements), group.what, group.line, took, saved, group.in_loop),
        cost_s=saved / 1e9,
        tracks=(track.id,),
        start_ns=waits[0].start_ns,
        end_ns=waits[-1].end_ns,
        line=group.line,
    )


def _runs(track: Track, group: Sites) -> bool:
    """Whether this task runs the scope in which the awaits stand."""
    if track.kind != "task" or track.role != "work":
        return False
    return track.host if group.scope == 0 else not track.file and track.line == group.scope


def _counts(one: StateInterval, group: Sites) -> bool:
    outside = one.reason in OUTSIDE or one.reason in _APART
    return one.state is State.WAITING and outside and not one.file and one.line in group.lines


def _elements(waits: list[StateInterval]) -> list[int]:
    """How long each call waited: a line that is not further down than the last begins the next call."""
    found: list[int] = []
    last = 0
    for one in waits:
        if one.line <= last or not found:
            found.append(0)
        found[-1] += one.length_ns
        last = one.line
    return found


def _accompanied(trace: Trace, track: Track, waits: list[StateInterval]) -> int:
    """For how long of the waits another task was at something, too."""
    mine = union((one.start_ns, one.end_ns) for one in waits)
    others = union(
        (one.start_ns, one.end_ns)
        for other in trace.tracks
        if other.kind == "task" and other.id != track.id and other.unit and not other.host
        for one in other.states
        if one.state is not State.WAITING or one.reason in OUTSIDE
    )
    return total(common(mine, others))
