"""The lint about pools of processes, and processes alone, that cost more than they do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from concmagic.analysis import Finding
from concmagic.analysis.intervals import Pair, minus, spent, total, union
from concmagic.analysis.metrics import Metrics
from concmagic.analysis.sending_jobs import Sending, sending
from concmagic.model.findings import PoolOverhead, SmallProcesses
from concmagic.model.reasons import IDLE, IMPORTS
from concmagic.model.trace import Job, State, StateInterval, Trace, Track

TINY_SHARE = 0.1  # where jobs take longer to send than to do: the part that is seen is only that of workers
OVERHEAD_SHARE = 0.2  # of the time that the pool took: start-up and pickling, from which on they are told
IMPORTS_NS = 50_000_000  # from here on imports are told beside the start, …
IMPORTS_SHARE = 0.05  # … and from this share of both
MODULES_SHARE = 0.2  # of imports: then a module is named
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
    sending: Sending | None
    imports: tuple[Counter[str], ...]  # of each of these workers: how long it imported which module

    @property
    def job_count(self) -> int:
        return sum(job.count for job in self.jobs)

    @property
    def imports_ns(self) -> int:
        """Of the worker that imported longest: they do so side by side."""
        return max(each.total() for each in self.imports)

    @property
    def sending_ns(self) -> int:
        """How long its workers were at no job though one was there, if the jobs are not worth it."""
        return self.sending.idle_ns // len(self.imports) if self.sending and self.is_tiny else 0

    @property
    def is_tiny(self) -> bool:
        """Whether it takes longer to send a job than to do it."""
        one = self.sending
        return self.job_count >= MANY_JOBS and one is not None and one.gap_ns > max(one.job_ns, 1)

    @property
    def overhead_ns(self) -> int:
        return self.start_ns + self.imports_ns + max(self.pickling_ns, self.sending_ns)


def pool_overhead(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A pool took longer than its jobs would have, one after the other, in the notebook's own process."""
    for pool in _pools(trace):
        lost = pool.span_ns - pool.work_ns - pool.ours_ns
        overhead = pool.overhead_ns
        # Where it gained something, or lost it for another reason, the overhead is the price of the gain.
        share = TINY_SHARE if pool.is_tiny else OVERHEAD_SHARE
        if lost <= 0 or overhead < share * (pool.span_ns - pool.ours_ns):
            continue
        yield Finding(
            values=_with_sending(_with_imports(_values(pool), pool), pool),
            cost_s=min(lost, overhead) / 1e9,
            tracks=tuple(track.id for track in pool.workers),
            start_ns=min(track.start_ns for track in pool.workers),
        )
    yield from _hello_process(trace)


def _values(pool: _Pool) -> PoolOverhead:
    """With imports as a part of the start."""
    return PoolOverhead(
        len(pool.workers),
        pool.start_ns + pool.imports_ns,
        pool.pickling_ns,
        pool.job_count,
        pool.work_ns,
        pool.span_ns,
        _costly(pool),
    )


def _with_imports(found: PoolOverhead, pool: _Pool) -> PoolOverhead:
    """With imports told by themselves, where they took long: each module that had its share in them."""
    least = max(IMPORTS_NS, IMPORTS_SHARE * found.start_ns)
    every = sum(pool.imports, Counter[str]())
    modules = [name for name, took in every.most_common() if took >= MODULES_SHARE * every.total()]
    if pool.imports_ns <= least or not modules:
        return found
    importers = sum(each.total() >= MODULES_SHARE * pool.imports_ns for each in pool.imports)
    return replace(
        found,
        start_ns=pool.start_ns,
        imports_ns=pool.imports_ns,
        importers=importers,
        modules=tuple(modules),
    )


def _with_sending(found: PoolOverhead, pool: _Pool) -> PoolOverhead:
    """With what a tiny job takes and costs, and how many at once would be worth it."""
    one, items = pool.sending, pool.jobs[0].items
    # Where some jobs are chunks and others are not, nothing is said of one of them.
    if one is None or not pool.is_tiny or any(job.items != items for job in pool.jobs[:-1]):
        return found
    # One worker alone is never quicker than the notebook itself.
    at_once = ceil(items * one.gap_ns / max(one.job_ns, 1.0)) if len(pool.imports) > 1 else 0
    return replace(found, job_ns=one.job_ns, send_ns=one.gap_ns, a_chunk=items, at_once=at_once)


def _costly(pool: _Pool) -> Literal["start", "imports", "data", "many"]:
    """What of a pool cost most: starting it, its imports, the data, or sending it in many jobs."""
    if max(pool.pickling_ns, pool.sending_ns) >= PICKLING_SHARE * pool.overhead_ns:
        return "many" if pool.job_count >= MANY_JOBS else "data"
    return "imports" if pool.imports_ns > pool.start_ns else "start"


def _hello_process(trace: Trace) -> Iterator[Finding]:
    """Processes that took longer to start than they computed."""
    alone = [
        track
        for track in trace.tracks
        if track.kind == "process" and track.unit and not track.group and track.start_method in _STARTED
    ]
    started = [(track, spent(track, State.STARTING), spent(track, State.RUNNING)) for track in alone]
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
    pid_of = {track.id: track.pid for track in trace.tracks}
    of_worker: dict[int, list[Job]] = defaultdict(list)
    for job in jobs:
        of_worker[pid_of[job.track or 0]].append(job)
    busy = [track for track in workers if track.pid in of_worker]
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
        sending(jobs),
        tuple(_imports(track, threads, of_worker[track.pid]) for track in busy),
    )


def _imports(worker: Track, threads: Sequence[Track], jobs: Sequence[Job]) -> Counter[str]:
    """How long a worker imported which module: as it started, in its initializer, for what it unpickled.

    What it imports in a job is that job's work.
    """
    as_it_starts = [one for one in worker.states if one.state is State.STARTING]
    its_threads = [track.states for track in threads if track.pid == worker.pid]
    at_work = union((job.start_ns or 0, job.end_ns or 0) for job in jobs)
    found: Counter[str] = Counter()
    for states in (as_it_starts, *its_threads):
        for module, pair in _stretches(states):
            found[module] += total(minus([pair], at_work))
    return found


def _stretches(states: Sequence[StateInterval]) -> Iterator[tuple[str, Pair]]:
    """From when to when a thread imported which module, with what it waited meanwhile."""
    module, start, end = "", 0, 0
    for one in states:
        is_import = IMPORTS in (one.reason, one.phase)
        if module and (one.facts.call != module if is_import else _interrupts(one)):
            yield module, (start, end)
            module = ""
        if is_import:
            start, end = start if module else one.start_ns, one.end_ns
            module = one.facts.call
    if module:
        yield module, (start, end)


def _interrupts(one: StateInterval) -> bool:
    """Whether the import was over, and something else was at hand."""
    return one.state not in (State.READY, State.WAITING, State.UNKNOWN) or one.reason in IDLE


def _starting(track: Track) -> int:
    """How long it took to start, but for its imports and for what our own recording added to it."""
    return sum(one.length_ns for one in track.states if one.state is State.STARTING and one.phase != IMPORTS)


def _ours(track: Track) -> int:
    return sum(one.length_ns for one in track.states if one.state is State.TRACING and one.phase == "tracer")


def _pickling(track: Track) -> int:
    return sum(
        one.length_ns for one in track.states if one.state is State.RUNNING and one.reason in _PICKLING
    )
