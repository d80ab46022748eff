"""The lint about pools of processes, and processes alone, that cost more than they do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from concmagic.analysis import Finding
from concmagic.analysis.intervals import spent
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import PoolOverhead, SmallProcesses
from concmagic.model.trace import Job, State, Trace, Track

OVERHEAD_SHARE = 0.2  # of the time that the pool took: start-up and pickling, from which on they are told
MANY_JOBS = 32  # from here on larger chunks would save pickling
PICKLING_SHARE = 0.5  # of the overhead: then it is the data that costs
_PICKLING = ("pickling", "unpickling")
_STARTED = ("fork", "spawn", "forkserver")


@dataclass(frozen=True, slots=True)
class _Pool:
    """One pool's part of the cell."""

    workers: tuple[Track, ...]
    jobs: tuple[Job, ...]
    span_ns: int  # from the first worker's or job's start of waiting to the last result
    work_ns: int  # the jobs, summed
    start_ns: int  # of the worker that took longest, of those that had a job
    ours_ns: int  # what our own recording added to a start
    pickling_ns: int

    @property
    def job_count(self) -> int:
        return sum(job.count for job in self.jobs)


def pool_overhead(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A pool took longer than its jobs would have, one after the other, in the notebook's own process."""
    for pool in _pools(trace):
        lost = pool.span_ns - pool.work_ns - pool.ours_ns
        overhead = pool.start_ns + pool.pickling_ns
        # Where it gained something, or lost it for another reason, the overhead is the price of the gain.
        if lost <= 0 or overhead < OVERHEAD_SHARE * pool.span_ns:
            continue
        yield Finding(
            values=PoolOverhead(
                len(pool.workers),
                pool.start_ns,
                pool.pickling_ns,
                pool.job_count,
                pool.work_ns,
                pool.span_ns,
                _costly(pool),
            ),
            cost_s=min(lost, overhead) / 1e9,
            tracks=tuple(track.id for track in pool.workers),
            start_ns=min(track.start_ns for track in pool.workers),
        )
    yield from _hello_process(trace)


def _costly(pool: _Pool) -> Literal["start", "data", "many"]:
    """What of a pool cost most: starting it, the data that is sent, or sending it in many jobs."""
    if pool.pickling_ns >= PICKLING_SHARE * (pool.start_ns + pool.pickling_ns):
        return "many" if pool.job_count >= MANY_JOBS else "data"
    return "start"


def _hello_process(trace: Trace) -> Iterator[Finding]:
    """Processes that took longer to start than they computed."""
    alone = [
        track
        for track in trace.tracks
        if track.kind == "process" and track.unit and not track.group and track.start_method in _STARTED
    ]
    started = [(track, _starting(track), spent(track, State.RUNNING)) for track in alone]
    small = [
        (track, start, work)
        for track, start, work in started
        # What was not seen it may have computed.
        if start > work + spent(track, State.UNKNOWN) and track.outcome.kind == "returned"
    ]
    waited = sum(spent(track, State.WAITING) for track, _, _ in small)
    start = max((start for _, start, _ in small), default=0)
    if not small or len(small) < len(alone) or start < max(OVERHEAD_SHARE * trace.wall_ns, waited):
        return
    yield Finding(
        severity="note",
        values=SmallProcesses(len(small), start, sum(work for _, _, work in small)),
        cost_s=0.0,
        tracks=tuple(track.id for track, _, _ in small),
        start_ns=min(track.start_ns for track, _, _ in small),
    )


def _pools(trace: Trace) -> list[_Pool]:
    """Pools with what their jobs took; not one that broke, whose jobs did not all run."""
    by_pid = {track.pid: track for track in trace.tracks if track.kind == "process" and track.group}
    tracks = {track.id: track for track in trace.tracks}
    jobs: dict[str, list[Job]] = defaultdict(list)
    for job in trace.jobs:
        worker = by_pid.get(tracks[job.track].pid) if job.track in tracks else None
        if worker is not None and job.start_ns is not None and job.end_ns is not None:
            jobs[worker.group].append(job)
    broken = {track.group for track in by_pid.values() if track.outcome.kind == "killed"}
    return [_pool(trace, group, tuple(done)) for group, done in jobs.items() if group not in broken]


def _pool(trace: Trace, group: str, jobs: tuple[Job, ...]) -> _Pool:
    workers = tuple(track for track in trace.tracks if track.kind == "process" and track.group == group)
    had_jobs = {job.track for job in jobs}
    busy = [track for track in workers if track.id in had_jobs] or list(workers)
    first = min(min(track.start_ns for track in workers), min(job.submit_ns for job in jobs))
    last = max(job.end_ns or 0 for job in jobs)
    pids = {track.pid for track in workers} | {
        track.pid for track in trace.tracks if track.id in {worker.parent for worker in workers}
    }
    threads = [track for track in trace.tracks if track.kind == "thread" and track.pid in pids]
    return _Pool(
        workers,
        jobs,
        last - first,
        sum(job.work_ns for job in jobs),
        max(_starting(track) for track in busy),
        max(_ours(track) for track in busy),
        sum(_pickling(track) for track in threads),
    )


def _starting(track: Track) -> int:
    """How long it took to start, but for what our own recording added to it."""
    return sum(one.length_ns for one in track.states if one.state is State.STARTING)


def _ours(track: Track) -> int:
    return sum(one.length_ns for one in track.states if one.state is State.TRACING and one.phase == "tracer")


def _pickling(track: Track) -> int:
    return sum(
        one.length_ns for one in track.states if one.state is State.RUNNING and one.reason in _PICKLING
    )
