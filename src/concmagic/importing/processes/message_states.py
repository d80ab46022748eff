"""What messages tell of a thread's states: waiting for work, pickling, unpickling, waiting for a pipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from concmagic.importing.cell_clock import CellClock
from concmagic.model.states import cover, within
from concmagic.model.trace import State, StateInterval, Track
from concmagic.records.messages import MessageRecord
from concmagic.records.recording import ProcessRecord

SHORTEST_NS = 50_000  # pickling that took less is part of the running around it
_WAITS = {"queue": "Queue.get", "pipe": "pipe"}
_UNTOLD = ("", "read", "lock", "socket", "select")  # what the operating system knows of such a wait

Applies = Callable[[StateInterval], bool]


def with_messages(
    thread: Track, messages: Sequence[MessageRecord], process: ProcessRecord, clock: CellClock
) -> Track:
    """The thread's track, with what its messages tell in its states."""
    states: Sequence[StateInterval] = thread.states
    states = _laid_over(states, _idle(messages, process, clock), lambda one: True)
    states = _laid_over(states, _pickling(messages, clock), _computes)
    states = _laid_over(states, _waits(messages, clock), _waits_untold)
    return replace(thread, states=tuple(states))


def _laid_over(
    states: Sequence[StateInterval], pieces: Sequence[StateInterval], applies: Applies
) -> Sequence[StateInterval]:
    """The pieces over those of the states that they apply to."""
    if not pieces or not states:
        return states
    cut = []
    for piece in pieces:
        for below in within(states, piece.start_ns, piece.end_ns):
            if applies(below):
                cut.append(replace(piece, start_ns=below.start_ns, end_ns=below.end_ns))
    return cover(states[0].start_ns, states[-1].end_ns, states, cut)


def _computes(one: StateInterval) -> bool:
    return one.state in (State.RUNNING, State.UNKNOWN)


def _waits_untold(one: StateInterval) -> bool:
    return one.state is State.UNKNOWN or (
        one.state is State.WAITING and not one.line and one.reason in _UNTOLD
    )


def _idle(messages: Sequence[MessageRecord], process: ProcessRecord, clock: CellClock) -> list[StateInterval]:
    """A worker waits for work from one job's result to the next job's arrival."""
    found: list[StateInterval] = []
    free_ns = clock.start_ns if process.started_ns is None else None
    is_worker = False
    for one in messages:
        if one.kind in ("job", "item") and not one.sends:
            found += _piece(clock, free_ns or one.begin_ns, one.moved_ns, State.WAITING, "for work")
            free_ns, is_worker = None, True
        elif one.kind == "result" and one.sends:
            free_ns = one.end_ns
    for start_ns, end_ns in _merged(messages, process) if is_worker else ():
        if free_ns is not None:
            found += _piece(clock, free_ns, start_ns, State.WAITING, "for work")
        free_ns = end_ns
    if is_worker and free_ns is not None:
        end_ns = process.done_ns or process.ended_ns or clock.start_ns + clock.wall_ns
        found += _piece(clock, free_ns, end_ns, State.WAITING, "for work")
    return found


def _merged(messages: Sequence[MessageRecord], process: ProcessRecord) -> list[tuple[int, int]]:
    """From and to when it had jobs of which only sums are known, after those that messages tell."""
    merged = process.messages.merged if process.messages is not None else ()
    last = messages[-1]
    return sorted(
        (job.started_ns, job.ended_ns)
        for job in merged
        if job.native_id == last.native_id and job.started_ns is not None and job.ended_ns is not None
    )


def _pickling(messages: Sequence[MessageRecord], clock: CellClock) -> list[StateInterval]:
    found: list[StateInterval] = []
    for one in messages:
        begin, end = (one.begin_ns, one.moved_ns) if one.sends else (one.moved_ns, one.end_ns)
        if end - begin >= SHORTEST_NS:
            found += _piece(clock, begin, end, State.RUNNING, "pickling" if one.sends else "unpickling")
    return found


def _waits(messages: Sequence[MessageRecord], clock: CellClock) -> list[StateInterval]:
    found: list[StateInterval] = []
    for one in messages:
        if not one.sends and one.kind in _WAITS:
            found += _piece(clock, one.begin_ns, one.moved_ns, State.WAITING, _WAITS[one.kind])
    return found


def _piece(clock: CellClock, begin_ns: int, end_ns: int, state: State, reason: str) -> list[StateInterval]:
    begin, end = clock.at(begin_ns), clock.at(end_ns)
    return [StateInterval(begin, end, state, reason)] if end > begin else []
