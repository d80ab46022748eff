"""The lint about a manager's objects that are used again and again: each use is a request to its process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from concmagic.analysis import Finding
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import ManagerRequests
from concmagic.model.states import ANSWERS, REQUESTS
from concmagic.model.trace import Trace, Track

LEAST_REQUESTS = 100  # fewer are no habit
WAITED_SHARE = 0.2  # of the cell that one process must have waited for answers
TAKES_PART = 0.05  # of the cell: who waited less is not counted as waiting
EACH_NS = 5_000_000  # a longer request waits for something in the manager: an item, a lock


class _Asked(NamedTuple):
    track: Track
    requests: int
    took_ns: int


def manager_requests(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Processes waited for a manager's answers, one small request after the other."""
    asked = [one for one in map(_asked, trace.tracks) if one.requests]
    least_ns = TAKES_PART * trace.wall_ns
    waited = [one for one in asked if least_ns <= one.took_ns <= EACH_NS * one.requests]
    requests = sum(one.requests for one in asked)
    # They ask side by side, and threads of one process do, too.
    longest_ns = min(max((one.took_ns for one in waited), default=0), trace.wall_ns)
    if requests < LEAST_REQUESTS or longest_ns < WAITED_SHARE * trace.wall_ns:
        return
    yield Finding(
        values=ManagerRequests(len(waited), requests, longest_ns, trace.wall_ns),
        cost_s=longest_ns / 1e9,
        tracks=tuple(one.track.id for one in waited),
        start_ns=min(one.track.start_ns for one in waited),
        end_ns=max(one.track.until(trace.wall_ns) for one in waited),
    )


def _asked(track: Track) -> _Asked:
    last = {one.name: one.steps[-1][1] for one in track.counters if one.steps}
    return _Asked(track, last.get(REQUESTS, 0), last.get(ANSWERS, 0))
