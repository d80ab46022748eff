"""Lints about child processes: what they cost, how they ended, and what a copy of memory means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from concmagic.analysis import Finding
from concmagic.analysis.intervals import spent
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import (
    ChildDied,
    CopiesChanged,
    ForkWithThreads,
    PoolOverhead,
    SmallProcesses,
)
from concmagic.model.trace import Job, State, Trace, Track

OVERHEAD_SHARE = 0.2  # of the time that the pool took: start-up and pickling, from which on they are told
MANY_JOBS = 32  # from here on larger chunks would save pickling
PICKLING_SHARE = 0.5  # of the overhead: then it is the data that costs
_POOL_ENDS = "SIGTERM"  # what a pool does to its own workers when it is left
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


def copies_changed(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A child changed one of the notebook's variables: its own copy, and the notebook's is as it was."""
    by_name: dict[str, list[Track]] = defaultdict(list)
    for track in trace.tracks:
        for name in track.changed:
            by_name[name].append(track)
    if not by_name:
        return
    changed_by = {track.id: track for tracks in by_name.values() for track in tracks}
    yield Finding(
        values=CopiesChanged(tuple(sorted(by_name)), len(changed_by)),
        tracks=tuple(changed_by),
        start_ns=min(track.start_ns for track in changed_by.values()),
    )


def fork_with_threads(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A process was forked while threads of the cell ran; the kernel's and pools' helpers do not count."""
    threads = [
        track for track in trace.tracks if track.kind == "thread" and track.role == "work" and not track.host
    ]
    forked_by = {flow.target: flow.source for flow in trace.flows if flow.kind == "spawn"}
    for child in trace.tracks:
        if child.kind != "process" or child.start_method != "fork" or child.parent is None:
            continue
        beside = [
            track
            for track in _beside(trace, child, threads)
            # Of the thread that forks, the child has a copy that goes on.
            if track.id != forked_by.get(child.id) and not _is_main(trace, track)
        ]
        if beside:
            yield Finding(
                values=ForkWithThreads(child.name, tuple(track.name for track in beside)),
                tracks=(child.id, *(track.id for track in beside)),
                start_ns=child.start_ns,
            )
            return  # one is enough: the others were started the same way


def _beside(trace: Trace, child: Track, threads: Sequence[Track]) -> list[Track]:
    parent = next((track for track in trace.tracks if track.id == child.parent), None)
    return [
        track
        for track in threads
        if parent is not None
        and track.pid == parent.pid
        and track.start_ns < child.start_ns < track.until(trace.wall_ns)
    ]


def _is_main(trace: Trace, thread: Track) -> bool:
    """The main thread of a child, which forks children of its own."""
    return any(
        track.kind == "process" and track.pid == thread.pid and track.native_id == thread.native_id
        for track in trace.tracks
    )


def child_died(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A child process ended by a signal or with an error, and nobody had meant it to.

    A command's exit code goes to who started it, and often is an answer: `grep`, `diff`, `test`.
    """
    tracks = {track.id: track for track in trace.tracks}
    for track in trace.tracks:
        if track.kind != "process" or track.role != "work" or track.parent is None:
            continue
        if track.group and track.outcome.by == _POOL_ENDS:
            continue
        if track.outcome.kind in ("killed", "exited", "not started"):
            is_answer = track.start_method == "subprocess" and track.outcome.kind != "killed"
            yield Finding(
                severity="note" if is_answer else "warning",
                values=ChildDied(
                    track.name,
                    track.outcome,
                    _last_job(trace, tracks, track),
                    is_command=track.start_method == "subprocess",
                    problems=track.problems,
                ),
                tracks=(track.id,),
                start_ns=track.start_ns,
                end_ns=track.end_ns or trace.wall_ns,
            )


def _last_job(trace: Trace, tracks: dict[int, Track], process: Track) -> str:
    """The job that it was at when it ended, by its label."""
    at_work = [
        job
        for job in trace.jobs
        if job.track in tracks and tracks[job.track].pid == process.pid and job.end_ns == process.end_ns
    ]
    return at_work[-1].label if at_work else ""
