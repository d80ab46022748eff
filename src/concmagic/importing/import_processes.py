"""Processes: what the parent and the child know of one, as a track."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import itemgetter

from concmagic.importing.clock_ids_places import CellClock, TrackIds
from concmagic.importing.module_imports import module_imports
from concmagic.model.outcomes import LEFT_RUNNING, RETURNED, UNKNOWN, Outcome
from concmagic.model.states import cover, join_equal, within
from concmagic.model.trace import NO_FACTS, Facts, Flow, State, StateInterval, Track
from concmagic.problems import Problem
from concmagic.records.recording import ProcessRecord

_NEW, _PYTHON, _TRACER, _IMPORTS, _UNPICKLING = "process", "python", "tracer", "imports", "unpickling"
_RECORDING, _OUR_TURN = "recording", "gil"  # is handed over; with the GIL
_STATE_OF = {_TRACER: State.TRACING}
_PHASES = {
    phase: Facts(phase=phase)
    for phase in (_NEW, _PYTHON, _TRACER, _IMPORTS, _UNPICKLING, _RECORDING, _OUR_TURN)
}
# What a manager's threads wait in for a connection, a request, or their end.
_FOR_REQUESTS = ("Event", "socket", "sock_accept", "pipe", "read", "select")
_STRONGEST = (
    *(State.RUNNING, State.READY, State.UNKNOWN, State.BLOCKING, State.WAITING, State.STARTING),
    State.TRACING,
)


def process_track(
    record: ProcessRecord,
    threads: Sequence[Track],
    samples: Sequence[StateInterval],
    clock: CellClock,
    ids: TrackIds,
    has_jobs: bool,
    sampling_ns: int = 0,
) -> Track:
    """The track of one process; the kernel's own has no parent."""
    is_kernel = record.parent_pid is None
    start = 0 if record.started_ns is None else clock.at(record.started_ns)
    end = max(clock.end_at(record.ended_ns), start)
    return Track(
        id=ids.get("process", record.pid, 0),
        kind="process",
        name=record.name,
        parent=None if is_kernel else ids.known("process", record.parent_pid or 0, 0) or 0,
        role="work" if record.origin == "user" else "machinery",
        start_ns=start,
        end_ns=None if record.ended_ns is None else end,
        states=cover(
            start,
            end,
            _to_its_edges(record, samples, clock, end, sampling_ns),
            _from_threads(threads, says_which=not is_kernel),
            _starting(record, clock, end),
        ),
        outcome=UNKNOWN if is_kernel else _outcome(record),
        problems=_why_it_never_ran(record),
        pid=record.pid,
        native_id=record.main_native_id,
        group=record.group,
        unit=not is_kernel and record.origin == "user" and not has_jobs and record.started_ns is not None,
        cpu_ns=record.cpu_ns,
        start_method=record.start_method,
        changed=tuple(record.changed),
    )


def _outcome(record: ProcessRecord) -> Outcome:
    """How a process ended."""
    if record.ended_ns is None:
        return LEFT_RUNNING
    code = record.exit_code
    if code is None:
        return UNKNOWN
    if record.ended_by == "start":
        return Outcome("not started")
    if code and record.ended_by:
        return Outcome("ended", by=record.ended_by)
    if code < 0:
        name = f"signal {-code}"
        with suppress(ValueError):  # a real-time signal has no name
            name = signal.Signals(-code).name
        return Outcome("killed", by=name)
    return Outcome("exited", code=code) if code else RETURNED


def process_spawn(record: ProcessRecord, clock: CellClock, ids: TrackIds) -> Flow | None:
    """Who started it: a thread of its parent, else the parent itself."""
    if record.started_ns is None or record.parent_pid is None:
        return None
    source = ids.known("thread", record.parent_pid, record.starter)
    if source is None:
        source = ids.known("process", record.parent_pid, 0)
    if source is None:
        return None
    begun = record.started_ns if record.begun_ns is None else record.begun_ns
    target = ids.get("process", record.pid, 0)
    flow = Flow("spawn", source, clock.at(record.started_ns), target, clock.at(begun))
    return replace(flow, size=record.sent_bytes, pickled_ns=record.sent_ns) if record.sent_bytes else flow


def _to_its_edges(
    record: ProcessRecord,
    samples: Sequence[StateInterval],
    clock: CellClock,
    end: int,
    sampling_ns: int,
) -> Sequence[StateInterval]:
    """Samples that reach from a process's birth to its end, where no other was due between."""
    near = sampling_ns * 5 // 4
    born = None if record.born_ns is None else clock.at(record.born_ns)
    if samples and born is not None and born < samples[0].start_ns <= born + near:
        samples = (replace(samples[0], start_ns=born), *samples[1:])
    if samples and record.ended_ns is not None and end - near <= samples[-1].end_ns < end:
        samples = (*samples[:-1], replace(samples[-1], end_ns=end))
    return samples


def with_life(record: ProcessRecord, threads: Sequence[Track], clock: CellClock) -> list[Track]:
    """A child's main thread starts with its process and, when its program is over, waits for its exit."""
    if record.parent_pid is None:
        return list(threads)
    return [
        replace(thread, states=_of_main(record, thread, clock))
        if thread.native_id == record.main_native_id
        else thread
        for thread in threads
    ]


def _of_main(record: ProcessRecord, thread: Track, clock: CellClock) -> tuple[StateInterval, ...]:
    if not thread.states:
        return thread.states
    start, end = thread.states[0].start_ns, thread.states[-1].end_ns
    states = cover(start, end, thread.states, _starting(record, clock, end))
    if record.done_ns is None:
        return states
    exit_ = [
        replace(
            one,
            state=State.TRACING,
            reason="",
            facts=_PHASES[_RECORDING],
            file="",
            line=0,
        )
        for one in within(states, clock.at(record.done_ns), end)
    ]
    return cover(start, end, states, exit_)


def _starting(record: ProcessRecord, clock: CellClock, end: int) -> list[StateInterval]:
    if record.started_ns is None:
        return []
    asked = clock.at(record.started_ns)
    ready = end if record.target_ns is None else clock.at(record.target_ns)
    begun = ready if record.begun_ns is None else min(clock.at(record.begun_ns), ready)
    if record.target_ns is None and record.begun_ns is None and record.start_method in ("", "subprocess"):
        # Nobody told when it was ready: what follows is not known.
        return _pieces(((asked, asked if record.born_ns is None else clock.at(record.born_ns), _NEW),))
    born = asked if record.born_ns is None else min(max(clock.at(record.born_ns), asked), begun)
    loaded = begun if record.loaded_ns is None else min(max(clock.at(record.loaded_ns), begun), ready)
    called = ready if record.called_ns is None else min(max(clock.at(record.called_ns), loaded), ready)
    before = ((asked, born, _NEW), (born, begun, _PYTHON), (begun, loaded, _TRACER))
    unpickling = _pieces(((loaded, called, _UNPICKLING),))
    own = cover(loaded, called, unpickling, _imports_as_it_starts(record, clock, called))
    return [*_pieces(before), *own, *_pieces(((called, ready, _TRACER),))]


def _imports_as_it_starts(record: ProcessRecord, clock: CellClock, end: int) -> list[StateInterval]:
    """Modules that are imported to unpickle what it was sent."""
    return [
        replace(one, state=State.STARTING, reason="", facts=replace(one.facts, phase=_IMPORTS))
        for one in module_imports(record, record.main_native_id, clock)
        if one.start_ns < end
    ]


def _pieces(stretches: Iterable[tuple[int, int, str]]) -> list[StateInterval]:
    return [
        StateInterval(first, last, _STATE_OF.get(phase, State.STARTING), "", _PHASES[phase])
        for first, last, phase in stretches
        if last > first
    ]


def _from_threads(threads: Sequence[Track], says_which: bool) -> list[StateInterval]:
    """A process runs while one of its threads does, is ready while one is, and waits while all wait.

    Where it has several it can say which of them run.
    """
    changes: list[tuple[int, int, int, StateInterval]] = []
    for track in threads:
        who = track.id if says_which and len(threads) > 1 else -1
        for interval in track.states:
            changes.append((interval.start_ns, 1, who, interval))
            changes.append((interval.end_ns, 0, who, interval))
    changes.sort(key=itemgetter(0, 1))
    active: dict[State, dict[tuple[str, int], int]] = {state: {} for state in State}
    states: list[StateInterval] = []
    before = changes[0][0] if changes else 0
    shared: dict[tuple[int, ...], Facts] = {(): NO_FACTS}
    for at, begins, who, interval in changes:
        if at > before:
            piece = _strongest(before, at, active, shared)
            states += [piece] if piece is not None else []
            before = at
        # Only of those that run it is told which: of the others there may be thousands at once.
        why = interval.phase if interval.state is State.TRACING else interval.reason
        key = (why, who if interval.state is State.RUNNING else -1)
        of_state = active[interval.state]
        many = of_state.get(key, 0) + (1 if begins else -1)
        if many:
            of_state[key] = many
        else:
            of_state.pop(key, None)
    return join_equal(states)


def _strongest(
    start: int,
    end: int,
    active: Mapping[State, Mapping[tuple[str, int], int]],
    shared: dict[tuple[int, ...], Facts],
) -> StateInterval | None:
    for state in _STRONGEST:
        if keys := active[state]:
            reasons = {reason for reason, _ in keys}
            reason = reasons.pop() if len(reasons) == 1 else ""
            if state is State.TRACING:
                return StateInterval(start, end, state, "", _PHASES.get(reason, NO_FACTS))
            run = tuple(sorted({who for _, who in keys if who >= 0})) if state is State.RUNNING else ()
            return StateInterval(start, end, state, reason, shared.setdefault(run, Facts(holders=run)))
    return None


def _why_it_never_ran(record: ProcessRecord) -> tuple[Problem, ...]:
    """A child's own error at its start; what else is missing of a child stands in the footer."""
    if record.target_ns is not None or not record.exit_code:
        return ()
    return tuple(record.problems)


def of_a_server(thread: Track) -> Track:
    """A thread of a library's own process, a manager's: it waits for requests, and to be told to end."""
    states = tuple(
        StateInterval(one.start_ns, one.end_ns, State.WAITING, "for work")
        if one.state is State.WAITING and one.reason in _FOR_REQUESTS
        else one
        for one in thread.states
    )
    return replace(thread, role="machinery", unit=False, states=tuple(join_equal(states)))
