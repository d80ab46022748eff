"""What a `for` header's own bound costs: items that mostly wait, no more of them at once than `-w` lets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from concmagic.analysis import Finding
from concmagic.analysis.intervals import Pair, common, total, union
from concmagic.analysis.lint_loop import FLOOR_NS
from concmagic.model.findings import Capped
from concmagic.model.reasons import OUTSIDE
from concmagic.model.trace import Job, State, Trace

ROUNDS = 3  # of items that each worker has: who bounds eight by four has meant it so
FULL_SHARE = 0.8  # of the time until the last item began, in which as many ran as may
WAITS_SHARE = 0.8  # of the items' time, for what is outside: what computes needs cores, not workers


def capped_by_workers(trace: Trace) -> Iterator[Finding]:
    """Items stood behind `-w`, and those that ran only waited. A bound of one is meant."""
    most = trace.build.workers
    jobs = sorted(
        (job for job in trace.jobs if job.start_ns is not None and job.end_ns is not None),
        key=lambda job: job.start_ns or 0,
    )
    if most < 2 or len(jobs) < ROUNDS * most or any(job.count > 1 for job in jobs):
        return
    begin, last = jobs[most - 1].start_ns or 0, jobs[-1].start_ns or 0
    pairs = [(job.start_ns or 0, job.end_ns or 0) for job in jobs]
    saved = max(end for _, end in pairs) - pairs[0][0] - max(end - start for start, end in pairs)
    if saved < FLOOR_NS or not _is_full(pairs, (begin, last), most) or not _waits(trace, jobs):
        return
    yield Finding(
        severity="note",  # it was asked for
        values=Capped(most, "-w", "", 0, len(jobs) - most, last - begin, "workers"),
        cost_s=saved / 1e9,
        start_ns=begin,
        end_ns=last,
    )


def _is_full(pairs: Sequence[Pair], window: Pair, most: int) -> bool:
    """Whether an item began as soon as another was over: so it was the bound that kept it."""
    ran = sum(total(common([pair], [window])) for pair in pairs)
    return ran >= FULL_SHARE * most * (window[1] - window[0]) > 0


def _waits(trace: Trace, jobs: Sequence[Job]) -> bool:
    """Whether the items mostly waited for what is outside; of one track they follow each other."""
    of_track: dict[int | None, list[Pair]] = defaultdict(list)
    for job in jobs:
        of_track[job.track].append((job.start_ns or 0, job.end_ns or 0))
    waited = 0
    for track in trace.tracks:
        if track.id in of_track:
            waits = union(one.pair for one in track.states if _is_outside(one.state, one.reason))
            waited += total(common(waits, union(of_track[track.id])))
    return waited >= WAITS_SHARE * sum(job.work_ns for job in jobs) > 0


def _is_outside(state: State, reason: str) -> bool:
    return state is State.WAITING and reason in OUTSIDE
