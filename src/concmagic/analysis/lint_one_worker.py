"""The lint about a pool of which one worker had nearly all the work, while the others were idle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from concmagic.analysis import Finding
from concmagic.analysis.intervals import Pair, common, minus, spent, total, union
from concmagic.analysis.lint_loop import FLOOR_NS
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import OneWorker
from concmagic.model.trace import Job, State, Trace, Track

MOST_SHARE = 0.8  # of a pool's calls, and of the time they took, that one worker had
IDLE_SHARE = 0.5  # of that time in which another worker waited, on average
COMPUTES_SHARE = 0.5  # of that time: then no more workers than cores would have helped
LEAST_CALLS = 3


@dataclass(frozen=True, slots=True)
class _Worker:
    """One worker with the jobs that it had, in order."""

    track: Track
    jobs: tuple[Job, ...]

    @property
    def pairs(self) -> list[Pair]:
        return union((job.start_ns or 0, job.end_ns or 0) for job in self.jobs)

    @property
    def calls(self) -> int:
        return sum(job.items * job.count for job in self.jobs)

    @property
    def work_ns(self) -> int:
        return sum(job.work_ns for job in self.jobs)


def one_worker_got_all(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """One worker of a pool had nearly all calls, and others could have had some."""
    for workers in _pools(trace):
        busiest = max(workers, key=lambda one: one.work_ns)
        others = [one for one in workers if one is not busiest]
        if not others or not _has_most(busiest, workers) or not _could_be_shared(busiest):
            continue
        pairs = busiest.pairs
        idle = [total(common(_idle(one), pairs)) for one in others]
        idle_ns = sum(idle) // len(idle)
        cost = busiest.work_ns * (1 - 1 / _that_would_help(trace, busiest, len(workers)))
        if idle_ns < IDLE_SHARE * total(pairs) or cost < FLOOR_NS:
            continue
        chunk = max(busiest.jobs, key=lambda job: job.items)
        yield Finding(
            values=OneWorker(
                busiest.track.name,
                busiest.calls,
                sum(one.calls for one in workers),
                busiest.work_ns,
                len(others),
                idle_ns,
                chunk.items,
                chunk.label if chunk.items > 1 else "",
                len(workers),
            ),
            cost_s=cost / 1e9,
            tracks=tuple(one.track.id for one in workers),
            start_ns=pairs[0][0],
            end_ns=pairs[-1][1],
        )


def _pools(trace: Trace) -> Iterator[list[_Worker]]:
    """The workers of each pool that had jobs; of one that broke not all ran."""
    of_process = {track.pid: track for track in trace.tracks if track.kind == "process" and track.group}
    tracks = {track.id: track for track in trace.tracks}
    jobs: dict[int, list[Job]] = defaultdict(list)
    for job in trace.jobs:
        runner = tracks.get(job.track) if job.track is not None else None
        if runner is not None and job.start_ns is not None and job.end_ns is not None:
            jobs[of_process.get(runner.pid, runner).id].append(job)
    pools: dict[str, list[_Worker]] = defaultdict(list)
    for track in trace.tracks:
        if track.group and track.role == "work" and track.kind in ("process", "thread"):
            pools[track.group].append(
                _Worker(track, tuple(sorted(jobs[track.id], key=lambda job: job.start_ns or 0)))
            )
    for workers in pools.values():
        if any(one.jobs for one in workers) and all(one.track.outcome.kind != "killed" for one in workers):
            yield workers


def _has_most(busiest: _Worker, workers: Sequence[_Worker]) -> bool:
    calls, work = sum(one.calls for one in workers), sum(one.work_ns for one in workers)
    return busiest.calls >= max(LEAST_CALLS, MOST_SHARE * calls) and busiest.work_ns >= MOST_SHARE * work


def _could_be_shared(busiest: _Worker) -> bool:
    """Whether most of it was there to be taken by another: in a chunk, or handed over ahead.

    Of jobs that each come when the one before is done, one worker has all, and that is another story.
    """
    in_chunks = sum(job.work_ns for job in busiest.jobs if job.items > 1)
    ahead = sum(job.work_ns for before, job in pairwise(busiest.jobs) if job.submit_ns < (before.end_ns or 0))
    return max(in_chunks, ahead) >= busiest.work_ns / 2


def _idle(worker: _Worker) -> list[Pair]:
    """When a worker waited, but for waits in its own jobs."""
    waits = union(one.pair for one in worker.track.states if one.state is State.WAITING)
    return minus(waits, worker.pairs)


def _that_would_help(trace: Trace, busiest: _Worker, workers: int) -> int:
    """How many workers could have shared it: where it computes, as many as there are cores."""
    computes = spent(busiest.track, State.RUNNING) > COMPUTES_SHARE * busiest.work_ns
    if not computes:
        return workers
    return 1 if busiest.track.kind == "thread" else max(min(workers, trace.build.cores), 1)
