"""Threads of one process: all evidence on each, laid over each other; what none tells is UNKNOWN."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds, short_name
from concmagic.importing.import_calls import ImportedCalls, ThreadCalls
from concmagic.importing.threads.sampled_states import Holding, fit_to_clock
from concmagic.importing.threads.turns import without_turns
from concmagic.importing.threads.wait_ends import (
    Join,
    as_its_loop,
    joined,
    to_their_ends,
    with_places,
)
from concmagic.model.outcomes import LEFT_RUNNING, RETURNED, UNKNOWN, Outcome
from concmagic.model.states import Layer, cover, cut, join_equal, within
from concmagic.model.trace import Flow, Function, Hidden, Role, State, StateInterval, Track
from concmagic.records.recording import ProcessRecord, ThreadRecord

BUSY_SHARE = 0.95  # CPU time over time not spent in blocking calls: from here on it ran all the while
MOST_FRAMES = 8  # of a traceback
FITTED_NS = 20_000_000  # between two readings of the CPU clock that states are fitted to
AT_WORK_NS = 100_000  # of CPU time: a thread of an earlier cell that used less only slept
IDLE_NS = 1_000_000
_NO_CALLS = ThreadCalls()


@dataclass(frozen=True, slots=True)
class ThreadContext:
    """What is known of one process when its threads are imported."""

    pid: int
    parent: int  # the process's track
    main_native_id: int
    clock: CellClock
    ids: TrackIds
    calls: Mapping[int, ThreadCalls]
    loops: Mapping[int, Sequence[StateInterval]]  # native id → what its event loop did
    loop_waits: Mapping[int, Sequence[StateInterval]]  # of loops without tasks: what the thread waits for
    with_tasks: Collection[int]  # native ids of threads whose tasks are the units of work
    samples: Mapping[int, Sequence[StateInterval]]
    job_groups: frozenset[str]  # pools whose jobs are known one by one
    main_outcome: Outcome
    is_kernel: bool
    show_all: bool
    born_ns: int  # the process's own beginning and end: no thread is older or survives it
    died_ns: int
    sampling_ns: int  # between two samples; 0: there are none
    holders: Sequence[Holding]  # of the GIL, where it was read
    places: Places
    process_joins: Sequence[Join]  # by which its threads saw ends of its children


def shown(record: ThreadRecord, main_native_id: int, show_all: bool) -> bool:
    """Whether a thread has a track: the kernel's own have none unless all are asked for."""
    if show_all or record.native_id == main_native_id:
        return True
    return record.origin in ("user", "machinery", "library")


def whose(
    process: ProcessRecord, calls: ImportedCalls, at_work: Collection[int], places: Places
) -> ProcessRecord:
    """The process, with a library's own threads as machinery but for those that ran a line of the user's."""
    looks = process.locks.standing if process.locks is not None else ()
    chains = process.locks.chains if process.locks is not None else ()
    seen = {one.native_id for one in looks if places.is_own(chains[one.chain][-1].file)}
    users = {*calls.users, *at_work, *seen}
    threads = tuple(
        replace(one, origin="user" if one.native_id in users else "machinery")
        if one.origin == "library"
        else one
        for one in process.threads
    )
    return replace(process, threads=threads)


def hidden_thread(record: ThreadRecord) -> Hidden:
    """What is told of a thread without a track; of an earlier cell's nothing if it did nothing."""
    if record.origin == "earlier" and (record.cpu_ns or 0) >= AT_WORK_NS:
        return Hidden(earlier_threads=1, earlier_cpu_ns=record.cpu_ns or 0)
    return Hidden(threads=int(record.origin == "kernel"))


def import_threads(records: Sequence[ThreadRecord], context: ThreadContext) -> tuple[list[Track], list[Flow]]:
    """Tracks and flows of a process's threads."""
    kept = [record for record in records if shown(record, context.main_native_id, context.show_all)]
    own = [_track(record, context) for record in kept]
    tracks, joins = joined(own, blocked_calls(context), context.sampling_ns, context.process_joins)
    return tracks, [*_spawns(kept, context), *joins]


def blocked_calls(context: ThreadContext) -> dict[int, list[tuple[int, int]]]:
    """From and to when the calls of each thread blocked, by its track."""
    found = {}
    for native_id, calls in context.calls.items():
        track = context.ids.known("thread", context.pid, native_id)
        if track is not None:
            found[track] = [(call.start_ns, call.end_ns) for call in calls.blocked]
    return found


def _track(record: ThreadRecord, context: ThreadContext) -> Track:
    clock = context.clock
    is_main = record.native_id == context.main_native_id
    start, end = _life(record, context, is_main)
    is_over = record.ended_ns is not None or (not context.is_kernel and end < clock.wall_ns)
    role: Role = "work" if record.origin == "user" or is_main else "machinery"
    has_jobs = record.group in context.job_groups
    return Track(
        id=context.ids.get("thread", context.pid, record.native_id),
        kind="thread",
        name=record.name,
        parent=context.parent,
        role=role,
        start_ns=start,
        end_ns=end if is_over else None,
        states=_states(record, context, start, end),
        outcome=_outcome(record, context, is_main, is_over),
        switches=record.switches,
        pid=context.pid,
        native_id=record.native_id,
        daemon=record.daemon,
        group=record.group,
        unit=role == "work" and not is_main and not has_jobs and record.native_id not in context.with_tasks,
        host=is_main and context.is_kernel,
        cpu_ns=record.cpu_ns,
    )


def _traceback(record: ThreadRecord, places: Places) -> tuple[Function, ...]:
    """The way to where it died, in the user's own code."""
    own = [frame for frame in record.frames if places.is_own(frame[0])]
    kept = own if len(own) <= MOST_FRAMES else [*own[: MOST_FRAMES // 2], *own[-(MOST_FRAMES // 2) :]]
    return tuple(Function(short_name(name), places.short(file), line) for file, line, name in kept)


def _life(record: ThreadRecord, context: ThreadContext, is_main: bool) -> tuple[int, int]:
    clock = context.clock
    start = context.born_ns
    if record.started_ns is not None and not is_main:
        start = max(start, clock.at(record.started_ns))
    end = context.died_ns if record.ended_ns is None else min(clock.at(record.ended_ns), context.died_ns)
    return start, max(start, end)


def _states(record: ThreadRecord, context: ThreadContext, start: int, end: int) -> tuple[StateInterval, ...]:
    calls = context.calls.get(record.native_id, _NO_CALLS)
    samples = _to_the_edges(record, context, start, end)
    waits = [call.as_waiting() for call in calls.blocked]
    if calls.blocked and calls.blocked[-1].open:
        waits = to_their_ends(waits, samples)
    blocked = with_places(without_turns(waits, samples, context.sampling_ns), samples)
    loop = [one for one in context.loops.get(record.native_id, ()) if one.state is not State.UNKNOWN]
    states = cover(
        start,
        end,
        _by_cpu_clock(record, blocked, context.clock),
        loop,
        samples,
        calls.running,
        blocked,
        _starting(record, context.clock, start, end),
    )
    states = _idle_between(states, record, context.clock)
    idle = context.loop_waits.get(record.native_id, ())
    if idle:
        states = cover(start, end, states, as_its_loop(states, idle))
    if not samples or loop:
        return states
    exact = {moment for call in waits for moment in (call.start_ns, call.end_ns)}
    return _fitted(states, samples, record, exact, context)


def _idle_between(
    states: tuple[StateInterval, ...], record: ThreadRecord, clock: CellClock
) -> tuple[StateInterval, ...]:
    """Of a thread that serves: what it waited outside of the user's code is waiting for work.

    Unless the next request was there already: what it takes then is no wait of its own.
    """
    if not record.is_server:
        return states
    idle, since = [], states[0].start_ns if states else 0
    for begin_ns, end_ns in (*record.served, (clock.start_ns + clock.wall_ns,) * 2):
        waits = [one for one in within(states, since, clock.at(begin_ns)) if one.state is State.WAITING]
        idle += [
            StateInterval(one.start_ns, one.end_ns, State.WAITING, "for work")
            for one in waits
            if one.length_ns >= IDLE_NS
        ]
        since = clock.at(end_ns)
    return cover(states[0].start_ns, states[-1].end_ns, states, idle) if idle else states


def _fitted(
    states: tuple[StateInterval, ...],
    samples: Layer,
    record: ThreadRecord,
    exact: set[int],
    context: ThreadContext,
) -> tuple[StateInterval, ...]:
    """The states between each two readings of the thread's CPU clock, fitted to it."""
    no_core = [one for one in samples if one.state is State.READY and one.reason == "core"]
    readings = _far_apart(record, context.clock)
    if len(readings) < 2:
        return states
    out = within(states, states[0].start_ns, readings[0][0])
    for (at_ns, cpu_ns), (next_ns, next_cpu_ns) in pairwise(readings):
        stretch = within(states, at_ns, next_ns)
        core_ns = sum(one.length_ns for one in within(no_core, at_ns, next_ns))
        out += fit_to_clock(stretch, next_cpu_ns - cpu_ns, core_ns, exact, context.sampling_ns)
    out += within(states, readings[-1][0], states[-1].end_ns)
    return tuple(join_equal(out))


def _far_apart(record: ThreadRecord, clock: CellClock) -> list[tuple[int, int]]:
    """Readings of a thread's CPU clock within the cell, the first and the last, and between them some."""
    inside = [
        (moment - clock.start_ns, cpu_ns)
        for moment, cpu_ns in record.cpu_by_moment
        if clock.start_ns <= moment <= clock.start_ns + clock.wall_ns
    ]
    kept = inside[:1]
    for reading in inside[1:-1]:
        if reading[0] - kept[-1][0] >= FITTED_NS and inside[-1][0] - reading[0] >= FITTED_NS:
            kept.append(reading)
    return kept + [reading for reading in inside[-1:] if kept and reading[0] > kept[-1][0]]


def _to_the_edges(record: ThreadRecord, context: ThreadContext, start: int, end: int) -> Layer:
    """Its samples; the first reaches back to its first step, and the last to its end, if that is near.

    Near is what lies within a sampling period (with its jitter of a quarter): no sample was due between.
    """
    samples = context.samples.get(record.native_id, ())
    if not samples:
        return samples
    begun = start if record.begun_ns is None else max(start, context.clock.at(record.begun_ns))
    near = context.sampling_ns * 5 // 4
    first, last = samples[0], samples[-1]
    if begun < first.start_ns <= begun + near:
        samples = (cut(first, begun, first.end_ns), *samples[1:])
    if record.ended_ns is not None and end - near <= last.end_ns < end:
        samples = (*samples[:-1], cut(samples[-1], samples[-1].start_ns, end))
    return samples


def _starting(record: ThreadRecord, clock: CellClock, start: int, end: int) -> list[StateInterval]:
    if record.started_ns is None or record.started_ns < clock.start_ns:
        return []
    begun = end if record.begun_ns is None else clock.at(record.begun_ns)
    return [StateInterval(start, begun, State.STARTING)] if begun > start else []


def _by_cpu_clock(
    record: ThreadRecord, blocked: Sequence[StateInterval], clock: CellClock
) -> list[StateInterval]:
    """Stretches in which the thread used its CPU clock whenever it was not in a blocking call."""
    moments = record.cpu_by_moment
    found = []
    for (at_ns, cpu), (next_ns, next_cpu) in pairwise(moments):
        start, end = clock.at(at_ns), clock.at(next_ns)
        free = end - start - sum(one.length_ns for one in within(blocked, start, end))
        if free > 0 and next_cpu - cpu >= BUSY_SHARE * free:
            found.append(StateInterval(start, end, State.RUNNING))
    return found


def _outcome(record: ThreadRecord, context: ThreadContext, is_main: bool, is_over: bool) -> Outcome:
    if is_main and context.is_kernel:
        return context.main_outcome
    if record.exception:
        kind = record.exception.partition(":")[0]
        return Outcome("raised", kind, record.exception, _traceback(record, context.places))
    if record.ended_ns is not None:
        return RETURNED
    if is_over:
        return UNKNOWN  # its process's end was its own
    return LEFT_RUNNING if record.origin == "user" and record.started_ns is not None else UNKNOWN


def _spawns(records: Sequence[ThreadRecord], context: ThreadContext) -> list[Flow]:
    at, ids, pid = context.clock.at, context.ids, context.pid
    flows = []
    for record in records:
        source = ids.known("thread", pid, record.starter)
        if source is not None and record.started_ns is not None:
            begun = record.started_ns if record.begun_ns is None else record.begun_ns
            target = ids.get("thread", pid, record.native_id)
            flows.append(Flow("spawn", source, at(record.started_ns), target, at(begun)))
    return flows
