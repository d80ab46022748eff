"""Concurrency and parallelism: units of work in flight, who is on a core, who loses the GIL or a core."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from concmagic.analysis.intervals import Pair, Steps, count_at_once, minus, union
from concmagic.model.columns import columns_of
from concmagic.model.reasons import JOINING, UNEMPLOYED
from concmagic.model.trace import Int64s, Job, State, StateInterval, Trace, Track

_WORKING = (State.RUNNING, State.BLOCKING, State.READY)
_BEFORE = (State.STARTING, State.TRACING)  # what comes before the first step
_RAN = (State.RUNNING, State.UNKNOWN)
PERIODS = 2  # between two samples: an overlap at a hand-over that is shorter may be none
_ROUNDS = 4  # an overlap may stand on another one


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of work: when it was in flight."""

    kind: str  # "task", "job", "thread", "process", "cell"
    track: int | None
    pairs: tuple[Pair, ...]


def units(trace: Trace) -> tuple[Unit, ...]:
    """All units of work. The cell itself is one while it computes, or if there is no other."""
    tracks = {track.id: track for track in trace.tracks}
    groups = {group.track for group in trace.groups}
    found = [
        Unit(track.kind, track.id, tuple(_in_flight(trace, track)))
        for track in trace.tracks
        if track.unit and track.role == "work" and track.id not in groups
    ]
    of_units = {unit.track for unit in found}
    workers = {job.track for job in trace.jobs}
    waits: dict[int | None, _Waits] = {
        number: _Waits(trace, track) for number, track in tracks.items() if number in workers
    }
    found += [
        Unit("job", job.track, tuple(_job_in_flight(trace, job, waits.get(job.track))))
        for job in trace.jobs
        if job.start_ns is not None and job.track not in of_units
    ]
    found += [Unit("process", track.id, tuple(_computing(trace, track))) for track in _untold_workers(trace)]
    hosts = [track for track in trace.tracks if track.host]
    if any(unit.pairs for unit in found) or len(trace.flights):
        return (*found, *(Unit("cell", host.id, tuple(_computing(trace, host))) for host in hosts))
    return (*found, *(Unit("cell", host.id, tuple(_in_flight(trace, host))) for host in hosts))


def pairs_of(trace: Trace, found: Sequence[Unit]) -> Int64s:
    """When these units were in flight, and the tasks that are told as groups: start, end."""
    pairs = np.array([pair for unit in found for pair in unit.pairs], np.int64).reshape(-1, 2)
    if not len(trace.flights):
        return pairs
    return np.concatenate((pairs, np.column_stack((trace.flights.start_ns, trace.flights.end_ns))))


def on_a_core(trace: Trace) -> Int64s:
    """Every stretch in which a thread, or a process of which no thread is known, is on a core: start, end."""
    machine = columns_of(trace).only(leaves_of_the_machine(trace))
    running = machine.in_state(State.RUNNING)
    return np.column_stack((machine.start_ns[running], machine.end_ns[running]))


def leaves_of_the_machine(trace: Trace) -> list[Track]:
    """Threads, processes without known threads, and what else stands without a thread."""
    parents = {track.parent for track in trace.tracks if track.kind in ("thread", "loop")}
    threads = {(track.pid, track.native_id) for track in trace.tracks if track.kind == "thread"}
    found = []
    for track in trace.tracks:
        if track.role != "work" and track.kind != "thread":
            continue
        alone = (track.pid, track.native_id) not in threads
        if (
            track.kind == "thread"
            or (track.kind == "process" and track.id not in parents)
            or (track.kind == "loop" and alone)
        ):
            found.append(track)
    if found:
        return found
    return [track for track in trace.tracks if track.kind == "task"]


def loops_with_tasks(trace: Trace) -> list[Track]:
    """The event loops whose work is told by tasks; that of the others is their threads'."""
    with_tasks = {(track.pid, track.native_id) for track in trace.tracks if track.kind == "task"}
    return [
        track for track in trace.tracks if track.kind == "loop" and (track.pid, track.native_id) in with_tasks
    ]


def leaves_of_the_work(trace: Trace) -> list[Track]:
    """The tracks whose states are summed: tasks, threads that run none, processes without threads."""
    parents = {track.parent for track in trace.tracks if track.kind == "thread"}
    parents |= {loop.parent for loop in loops_with_tasks(trace)}
    return [
        track
        for track in trace.tracks
        if track.role == "work"
        and (track.kind == "task" or (track.kind in ("thread", "process") and track.id not in parents))
    ]


def _untold_workers(trace: Trace) -> list[Track]:
    """Workers of pools that told nothing themselves, their jobs least of all: at work while they compute."""
    with_threads = {track.pid for track in trace.tracks if track.kind == "thread"}
    return [
        track
        for track in trace.tracks
        if track.kind == "process" and track.group and not track.unit and track.role == "work"
        if track.parent is not None and track.pid not in with_threads
    ]


def _in_flight(trace: Trace, track: Track) -> list[Pair]:
    """From its first step to its end, but for where it waits for what it started, or for work."""
    begin = next((one.start_ns for one in track.states if one.state not in _BEFORE), None)
    if begin is None:
        return []
    main = _main_thread(trace, track)
    not_counted = [*_not_counted(trace, main or track), *_ours(track)]
    return minus([(begin, track.until(trace.wall_ns))], union(not_counted))


def _not_counted(trace: Trace, track: Track) -> list[Pair]:
    """While it waits for what it started, or for work; and from there until it goes on."""
    for_others = JOINING | UNEMPLOYED | waits_for_units(trace)
    waits, waited = [], False
    for one in track.states:
        waited = (one.state is State.WAITING and one.reason in for_others) or (
            waited and one.state is State.READY
        )
        if waited:
            waits.append(one.pair)
    return union([*waits, *_ours(track)])


def waits_for_units(trace: Trace) -> frozenset[str]:
    """Waits for what is outside elsewhere, and here a unit of work itself: commands that have a track."""
    of_commands = any(track.unit and track.start_method == "subprocess" for track in trace.tracks)
    return frozenset(("subprocess",)) if of_commands else frozenset()


def _ours(track: Track) -> list[Pair]:
    """What the recording made it do is no work in flight."""
    return [one.pair for one in track.states if one.state is State.TRACING]


def _main_thread(trace: Trace, track: Track) -> Track | None:
    """Of a process its main thread, if it is known."""
    if track.kind != "process":
        return None
    for other in trace.tracks:
        if other.parent == track.id and other.kind == "thread" and other.native_id == track.native_id:
            return other
    return None


class _Waits:
    """Where a worker's time does not count; for each of its jobs only what lies near it is looked at."""

    def __init__(self, trace: Trace, worker: Track) -> None:
        self._pairs = _not_counted(trace, worker)
        self._starts = [start for start, _ in self._pairs]
        self._ends = [end for _, end in self._pairs]

    def within(self, start: int, end: int) -> list[Pair]:
        """Those that overlap a stretch."""
        return self._pairs[bisect_right(self._ends, start) : bisect_left(self._starts, end)]


def _job_in_flight(trace: Trace, job: Job, waits: _Waits | None) -> list[Pair]:
    start, end = job.start_ns or 0, trace.wall_ns if job.end_ns is None else job.end_ns
    return [(start, end)] if waits is None else minus([(start, end)], waits.within(start, end))


def _computing(trace: Trace, host: Track) -> list[Pair]:
    """While the cell itself works; not while a loop on its thread does, whose tasks count themselves."""
    works = [one.pair for one in host.states if one.state in _WORKING]
    if host.kind == "task":
        return works
    loops = [
        (track.start_ns, track.until(trace.wall_ns))
        for track in loops_with_tasks(trace)
        if track.parent == host.id
    ]
    return minus(works, union(loops))


def kinds(found: Sequence[Unit]) -> set[str]:
    """The kinds of units that were ever in flight."""
    return {unit.kind for unit in found if unit.pairs}


@dataclass(frozen=True, slots=True)
class Switches:
    """How often one thread stopped computing, as far as it was seen; what is shorter than a sample is not."""

    cooperative: int = 0  # into a wait of its own, as far as samples saw it
    preemptive: int = 0  # it wanted to go on: it lost the GIL, or its core
    handovers: int = 0  # waits for the GIL that ended with having it
    lost_core: int | None = None  # of the preemptive ones those that the kernel counted; None is not known


def is_gil_wait(one: StateInterval) -> bool:
    """Whether a thread wanted the GIL and did not have it."""
    return one.state is State.READY and one.reason == "GIL"


def gil_waits(*tracks: Track) -> list[Pair]:
    """When these tracks wanted the GIL and did not have it, one after the other."""
    return [one.pair for track in tracks for one in track.states if is_gil_wait(one)]


def switches(trace: Trace) -> dict[int, Switches]:
    """Of each thread, by its track."""
    threads = [track for track in trace.tracks if track.kind == "thread"]
    running: dict[int, list[Pair]] = defaultdict(list)  # by process, of all its threads
    for track in threads:
        running[track.pid] += [one.pair for one in track.states if one.state is State.RUNNING]
    at_once = {pid: count_at_once(pairs, trace.wall_ns) for pid, pairs in running.items()}
    return {track.id: _of_thread(trace, track, at_once[track.pid]) for track in threads}


def _of_thread(trace: Trace, track: Track, at_once: Steps) -> Switches:
    cooperative = preemptive = handovers = 0
    for one, following in pairwise(track.states):
        if one.state is State.RUNNING and following.state is State.WAITING:
            cooperative += 1
        elif one.state is State.RUNNING and is_gil_wait(following):
            # Whoever computed beside another thread was in native code that had given the GIL up.
            beside = _ran_beside(at_once, one, trace.build.sampling_ns)
            cooperative, preemptive = cooperative + beside, preemptive + (not beside)
        handovers += is_gil_wait(one) and following.state in _RAN
    lost_core = track.switches[1] if track.switches is not None else None
    return Switches(cooperative, preemptive + (lost_core or 0), handovers, lost_core)


def _ran_beside(at_once: Steps, one: StateInterval, period_ns: int) -> bool:
    """Whether another was on a core a sampling period before this stretch ended, within it."""
    moment = max(one.end_ns - period_ns * 5 // 4, one.start_ns) - 1
    index = int(np.searchsorted(at_once.times_ns, moment, "right")) - 1
    return moment >= one.start_ns and index >= 0 and int(at_once.values[index]) > 1


def at_once(trace: Trace) -> Steps:
    """How many tracks were on a core at once, by all that is known of each.

    A thread that waits for a core can look like one that has it: there are never more than there are cores.
    """
    return count_at_once(on_a_core(trace), trace.wall_ns).at_most(max(trace.build.cores, 1))


def on_a_core_curve(trace: Trace) -> Steps:
    """How many were on a core at once, without overlaps that only samples show.

    Where threads hand the GIL over, the one seems to run on while the other has begun: by less than the
    time between two samples of each. Native code that released the GIL runs beside others for longer.
    """
    curve = at_once(trace)
    waits = union(gil_waits(*(track for track in trace.tracks if track.kind == "thread")))
    least_ns = PERIODS * trace.build.sampling_ns
    if not waits or not least_ns:
        return curve
    pairs = np.array(waits, np.int64)
    for _ in range(_ROUNDS):
        curve = _lowered(curve, pairs, least_ns, trace.wall_ns)
    return curve


def _lowered(curve: Steps, waits: Int64s, least_ns: int, wall_ns: int) -> Steps:
    """Without stretches that stand out for a moment, where a wait for the GIL begins or ends."""
    if len(curve.values) < 3:
        return curve
    ends = np.append(curve.times_ns[1:], wall_ns)
    around = np.maximum(curve.values[:-2], curve.values[2:])
    short = (ends - curve.times_ns)[1:-1] < least_ns
    index = np.searchsorted(waits[:, 1], curve.times_ns[1:-1])  # the first wait that ends then or later
    begins = np.append(waits[:, 0], np.iinfo(np.int64).max)[index]
    # Over nobody at all a turn is no overlap, however short it is.
    spike = short & (around > 0) & (curve.values[1:-1] > around) & (begins <= ends[1:-1])
    values = curve.values.copy()
    values[1:-1] = np.where(spike, around, values[1:-1])
    changed = np.append(True, np.diff(values) != 0)
    return Steps(curve.times_ns[changed], values[changed])
