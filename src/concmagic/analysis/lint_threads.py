"""Lints about workers that compute: threads at the GIL, and threads and processes on too few free cores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from concmagic.analysis import Finding
from concmagic.analysis.concurrency import gil_waits, is_gil_wait, leaves_of_the_machine
from concmagic.analysis.intervals import Pair, Steps, common, count_at_once, meets, spent, total, union
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import BusyMachine, FewCores, GilBound, Oversubscribed, UnevenWork
from concmagic.model.trace import State, Trace, Track

SHORTEST_NS = 100_000_000  # of a shorter cell starting a process, or another program's time slice, is most
CONTENDED_SHARE = 0.2  # of the cell
SAVING_SHARE = 0.1  # of the cell: what other ways to run it might save, to be worth a word
WAITS_SHARE = 0.5  # a thread that waits for more than this share of its life does not compute
ALONE_SHARE = 0.2  # of the cell, from which on the last worker's time alone is worth a word
SHARER = 0.05  # of what the busiest computed: who computed less did not share that work
UNEVEN = 1.5  # times the others' mean
LOOK_NS = 1_000_000  # who has the GIL keeps it for five times as long
_ALL_THE_WHILE = 0.8
_NATIVE_CORES = 0.5
_LOST_SHARE = 0.2  # of the cell, in which others had the cores that it wanted …
_OWN_CORES = 0.2  # … unless its own libraries' threads used so many


def gil_bound(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Threads computed one at a time. Not if they mostly waited, or in native code that released the GIL."""
    if trace.wall_ns < SHORTEST_NS or trace.build.cores < 2:
        return  # on one core processes take turns as well
    for pid in sorted({track.pid for track in trace.tracks if track.kind == "thread"}):
        threads = [track for track in _computing(trace) if track.pid == pid and track.kind == "thread"]
        wants = [gil_waits(track) for track in threads]
        waited = union(pair for pairs in wants for pair in pairs)
        contended = total(waited)
        if len(threads) < 2 or contended < CONTENDED_SHARE * trace.wall_ns:
            continue
        saved = _saved_by_processes(trace, threads, wants)
        if saved < SAVING_SHARE * trace.wall_ns:
            continue  # one that computes and others that want little: they would be no faster
        yield Finding(
            values=GilBound(
                len(threads), contended, trace.wall_ns, metrics.parallelism, metrics.cores, saved
            ),
            cost_s=saved / 1e9,
            tracks=tuple(track.id for track in threads),
            start_ns=waited[0][0],
            end_ns=waited[-1][1],
        )


def _saved_by_processes(trace: Trace, threads: Sequence[Track], wants: Sequence[list[Pair]]) -> float:
    """Nanoseconds that a core for each, as far as there are cores, would save at most.

    Where n threads want to compute and one does, they would be done min(n, cores) times as fast; but
    never sooner than the one that computes longest, or than all the cores can do all of it.
    """
    cores = trace.build.cores
    waiting = count_at_once((pair for pairs in wants for pair in pairs), trace.wall_ns)
    side_by_side = np.minimum(waiting.values + 1, cores)
    faster = float((_lengths(waiting, trace.wall_ns) * (1 - 1 / side_by_side)).sum())
    computed = [_used(track) for track in threads]
    return min(faster, sum(computed) - max(max(computed), sum(computed) / cores))


def few_cores(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """More workers computed than there are cores. Not threads that the GIL keeps waiting: those are READY."""
    workers = [track for track in _computing(trace) if not track.host and _needs_a_core(track)]
    cores = trace.build.cores
    if trace.wall_ns < SHORTEST_NS or len(workers) <= cores:
        return
    at_once = count_at_once((pair for track in workers for pair in _could_compute(track)), trace.wall_ns)
    lengths = _lengths(at_once, trace.wall_ns)
    over = at_once.values > cores
    lost = float((lengths * (1 - cores / np.maximum(at_once.values, 1)))[over].sum())
    if lost < SAVING_SHARE * trace.wall_ns:
        return
    kinds = {_machine_kind(track) for track in workers}
    yield Finding(
        severity="note",  # nothing was lost but memory
        values=FewCores(
            at_once.peak,
            kinds.pop() if len(kinds) == 1 else "worker",
            cores,
            float(lengths[over].sum()),
            trace.wall_ns,
        ),
        cost_s=lost / 1e9,
        tracks=tuple(track.id for track in workers),
        start_ns=int(at_once.times_ns[over][0]),
    )


def uneven_work(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """One worker computed on alone. Not on one core or at one GIL for all: then none was left unused."""
    if trace.wall_ns < SHORTEST_NS or trace.build.cores < 2:
        return
    job_ends = _last_job_ends(trace)
    for workers in _families(trace):
        most = max((_used(track) for track in workers), default=0)
        workers = [track for track in workers if _used(track) >= SHARER * most]  # others had other work
        ends = sorted((job_ends.get(track.id, track.until(trace.wall_ns)), track.id) for track in workers)
        if len(ends) < 2 or _took_turns(trace, workers):
            continue
        (before, _), (end, last_id) = ends[-2:]
        last = next(track for track in workers if track.id == last_id)
        alone = common(union(_pairs(last, State.RUNNING)), [(before, end)]) if end > before else []
        if total(alone) < max(ALONE_SHARE * trace.wall_ns, _ALL_THE_WHILE * (end - before), 1):
            continue
        others = [_used(track) for track in workers if track is not last]
        if _used(last) < UNEVEN * sum(others) / len(others):
            continue  # it had no more to do than the others: it began late, or others took its core
        yield Finding(
            severity="note",
            values=UnevenWork(last.name, total(alone), trace.wall_ns, len(workers)),
            cost_s=total(alone) * (1 - 1 / min(len(workers), trace.build.cores)) / 1e9,
            tracks=(last_id,),
            start_ns=before,
            end_ns=end,
        )


def oversubscribed(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Libraries' own threads computed beside workers that fill the cores already."""
    workers = [track for track in _computing(trace) if not track.host]
    pairs = [pair for track in workers for pair in _pairs(track, State.RUNNING)]
    at_once = count_at_once(pairs, trace.wall_ns).mean(trace.wall_ns)
    cores = trace.build.cores
    if len(workers) < 2 or trace.wall_ns < SHORTEST_NS or not metrics.native_threads >= _NATIVE_CORES:
        return
    if at_once + metrics.native_threads <= cores or at_once < 1.5:
        return  # one worker whose library uses the other cores is what one would want
    yield Finding(
        severity="note",
        values=Oversubscribed(metrics.native_threads, at_once, cores),
        tracks=tuple(track.id for track in workers),
    )


def _computing(trace: Trace) -> list[Track]:
    """Threads and processes of the work that mostly computed, or wanted to."""
    found = []
    for track in leaves_of_the_machine(trace):
        wants = spent(track, State.RUNNING) + spent(track, State.READY)
        life = sum(one.length_ns for one in track.states)
        if track.role == "work" and wants > 0 and wants >= (1 - WAITS_SHARE) * life:
            found.append(track)
    return found


def _needs_a_core(track: Track) -> bool:
    """Whether it would mostly compute where nobody kept it waiting, as other programs may have."""
    life = sum(one.length_ns for one in track.states if one.state is not State.READY)
    return spent(track, State.RUNNING) >= (1 - WAITS_SHARE) * life


def _families(trace: Trace) -> list[list[Track]]:
    """Workers that shared one piece of work: of one pool, or of one kind under one parent."""
    families: dict[tuple[str, str, int], list[Track]] = defaultdict(list)
    for track in _workers(trace):
        families[track.group, track.kind, 0 if track.kind == "process" else track.pid].append(track)
    return list(families.values())


def _workers(trace: Trace) -> list[Track]:
    with_jobs = {job.track for job in trace.jobs}
    return [
        track
        for track in trace.tracks
        if track.kind in ("thread", "process") and not track.host and (track.unit or track.id in with_jobs)
    ]


def _took_turns(trace: Trace, workers: Sequence[Track]) -> bool:
    """Whether the GIL kept them from computing side by side."""
    waited = total(union(gil_waits(*workers)))
    return waited >= CONTENDED_SHARE * trace.wall_ns


def _last_job_ends(trace: Trace) -> dict[int, int]:
    """When the last job of each worker ended."""
    ends: dict[int, int] = {}
    for job in trace.jobs:
        if job.track is not None and job.end_ns is not None:
            ends[job.track] = max(ends.get(job.track, 0), job.end_ns)
    return ends


def _lengths(steps: Steps, wall_ns: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]] = np.diff(np.append(steps.times_ns, wall_ns))
    return lengths


def _pairs(track: Track, state: State) -> list[Pair]:
    return [one.pair for one in track.states if one.state is state]


def _could_compute(track: Track) -> list[Pair]:
    """While it was on a core or had none. One that only looked for the GIL would not have computed."""
    kept = [
        one.pair
        for index, one in enumerate(track.states)
        if one.state is State.RUNNING
        or (one.state is State.READY and one.reason == "core" and not _only_looked(track, index))
    ]
    return union(kept)


def _only_looked(track: Track, index: int) -> bool:
    """Whether it wanted the GIL before it had no core, and after it again, with next to no time between."""
    after = track.states[index + 1 : index + 3]
    if len(after) == 2 and after[0].state is State.RUNNING and after[0].length_ns < LOOK_NS:
        after = after[1:]
    return index > 0 and is_gil_wait(track.states[index - 1]) and bool(after) and is_gil_wait(after[0])


def _used(track: Track) -> int:
    """What it computed: by its CPU clock where there is one, for waiting for a core looks like RUNNING."""
    running = spent(track, State.RUNNING)
    return running if track.cpu_ns is None else min(track.cpu_ns, running)


def _machine_kind(track: Track) -> Literal["thread", "process"]:
    """A child's main thread is its process: what the process computes with."""
    return "process" if track.kind == "process" or track.native_id == track.pid else "thread"


def busy_machine(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A core was wanted while fewer computed or wanted to than there are cores. Not beside native threads."""
    if trace.wall_ns < SHORTEST_NS or metrics.native_threads >= _OWN_CORES:
        return
    leaves = leaves_of_the_machine(trace)
    at_once = count_at_once((pair for track in leaves for pair in _computes_or_would(track)), trace.wall_ns)
    ends = [*at_once.times_ns[1:].tolist(), trace.wall_ns]
    enough = [
        (start, end)
        for start, end, count in zip(at_once.times_ns.tolist(), ends, at_once.values.tolist(), strict=True)
        if count <= trace.build.cores
    ]
    wanted = union(pair for track in leaves if track.role == "work" for pair in _without_core(track))
    lost = common(wanted, enough)
    if total(lost) < _LOST_SHARE * trace.wall_ns:
        return
    yield Finding(
        severity="note",
        values=BusyMachine(total(lost), trace.wall_ns),
        cost_s=total(lost) / 1e9,
        tracks=tuple(track.id for track in leaves if meets(_without_core(track), lost)),
        start_ns=lost[0][0],
        end_ns=lost[-1][1],
    )


def _without_core(track: Track) -> list[Pair]:
    return union(one.pair for one in track.states if one.state is State.READY and one.reason == "core")


def _computes_or_would(track: Track) -> list[Pair]:
    computing = (State.RUNNING, State.STARTING, State.TRACING)  # to start Python and to import is to compute
    pairs = (one.pair for one in track.states if one.state in computing)
    return union([*pairs, *_without_core(track)])
