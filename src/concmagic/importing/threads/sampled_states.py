"""What the operating system tells of threads: samples tell where they ran or waited, CPU clocks how much.

A change that lies between two samples was put half-way between them. It is moved within that gap, each as
far as the others, until RUNNING sums to what the thread's CPU clock says; what is known exactly, the ends of
calls, is not moved. First the time in which the thread could compute is fitted, then what of it was spent on
a core: how long it waited for one is known from the kernel's own sum, and stays as it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from concmagic.importing.clock_ids_places import CellClock, TrackIds
from concmagic.interpreter import recorded_calls
from concmagic.model import reasons
from concmagic.model.reasons import kind_of_end
from concmagic.model.states import cut, in_order
from concmagic.model.trace import NO_FACTS, Facts, Resource, State, StateInterval
from concmagic.records.recording import SampleLog

Samples = Mapping[int, tuple[StateInterval, ...]]  # native id → states, in order
Piece = tuple[int, int, int]  # start, end, and a number
Holding = Piece  # native id of who held the GIL: 0 nobody, -1 not known
_STATES = {  # by the code of a sample; the others are numbers of system calls
    recorded_calls.ON_CORE: (State.RUNNING, ""),
    recorded_calls.GIL: (State.READY, "GIL"),
    recorded_calls.CORE: (State.READY, "core"),
    recorded_calls.FUTEX: (State.WAITING, reasons.OF_A_LOCK),
    recorded_calls.SHARED_FUTEX: (State.WAITING, "process lock"),
    recorded_calls.ASLEEP: (State.WAITING, ""),
}


def import_samples(log: SampleLog | None, clock: CellClock, ids: TrackIds) -> Samples:
    """Each thread's sampled states, in order; a thread that is gone has none."""
    found: dict[int, list[StateInterval]] = defaultdict(list)
    if log is None:
        return {}
    details = {(native_id, start_ns): words for native_id, start_ns, words in log.details}
    columns = [np.frombuffer(column, "<i8") for column in (log.native_id, log.start_ns, log.end_ns, log.code)]
    for native_id, start_ns, end_ns, code in zip(*(column.tolist() for column in columns), strict=True):
        start, end = clock.at(start_ns), clock.at(end_ns)
        told = _state(code)
        if end > start and told is not None:
            detail = details.get((native_id, start_ns), "") if details else ""
            state, reason = _at(*told, detail)
            facts = _ends(detail, reason, ids) if detail else NO_FACTS
            found[native_id].append(StateInterval(start, end, state, reason, facts))
    return {native_id: in_order(stretches) for native_id, stretches in found.items()}


def import_holders(log: SampleLog | None, clock: CellClock) -> Mapping[int, tuple[Holding, ...]]:
    """Who held the GIL of each process when, by process id, in order."""
    return _of_processes(log, clock, recorded_calls.HOLDER)


def import_clocks(log: SampleLog | None, clock: CellClock) -> Mapping[int, tuple[Piece, ...]]:
    """Where the CPU clock of each process went faster than the time, and how much, by process id, in order.

    Where it was looked at and went no faster the number is 0.
    """
    return _of_processes(log, clock, recorded_calls.CLOCK)


def _of_processes(log: SampleLog | None, clock: CellClock, code: int) -> Mapping[int, tuple[Piece, ...]]:
    found: dict[int, list[Holding]] = defaultdict(list)
    if log is None or not log.argument:
        return {}
    columns = [
        np.frombuffer(column, "<i8")
        for column in (log.native_id, log.start_ns, log.end_ns, log.code, log.argument)
    ]
    rows = np.flatnonzero(columns[3] == code)
    chosen = (column[rows].tolist() for column in columns)
    for number, start_ns, end_ns, _, argument in zip(*chosen, strict=True):
        start, end = clock.at(start_ns), clock.at(end_ns)
        if end > start:
            found[-number].append((start, end, argument))
    return {pid: tuple(sorted(stretches)) for pid, stretches in found.items()}


def _state(code: int) -> tuple[State, str] | None:
    if code in _STATES or code < 0:
        return _STATES.get(code)
    return State.WAITING, recorded_calls.syscall_reason(code)


def _at(state: State, reason: str, detail: str) -> tuple[State, str]:
    """A timeout of a socket is kept by asking for it alone first: the wait is for the other side."""
    return (state, "socket") if reason == "select" and ":" in detail else (state, reason)


def _ends(name: str, reason: str, ids: TrackIds) -> Facts:
    return Facts(ids.resources.number(Resource(kind_of_end(reason), name)))


LEAST_NS = 5_000_000  # less is not worth more pieces
_ROUNDS = 12  # each is left to those that still have room
_MOST_OF_ONE = 0.45  # of the shorter neighbour: both its ends can move, and something is left of it
_NEVER_SAMPLED = (State.STARTING, State.BLOCKING)


def fit_to_clock(
    states: Sequence[StateInterval], cpu_ns: int, core_ns: int, exact: Collection[int], gap_ns: int
) -> list[StateInterval]:
    """Move a thread's inexact edges, each by less than `gap_ns`, until RUNNING sums to its CPU clock.

    `cpu_ns` is what the thread computed in them, `core_ns` how long it waited for a core.
    """
    fitted = _fit(_with_core(states, core_ns), could_compute, cpu_ns + core_ns, exact, gap_ns)
    if not any(map(could_compute, (one for one in fitted if not on_core(one)))):
        return fitted
    return _fit(fitted, on_core, cpu_ns, exact, gap_ns)


def _with_core(states: Sequence[StateInterval], core_ns: int) -> list[StateInterval]:
    """The ends of waits for the GIL as waits for a core, where those are less than the kernel's sum.

    Stronger evidence has covered them: a thread's calls tell exactly when it did not compute, and not why.
    Who has got the GIL needs a core next, so that is what comes last.
    """
    missing = core_ns - sum(one.length_ns for one in states if could_compute(one) and not on_core(one))
    wanted = [_is_gil(one) and index + 1 < len(states) for index, one in enumerate(states)]
    room = sum(one.length_ns for one, yes in zip(states, wanted, strict=True) if yes)
    if missing < LEAST_NS or not room:
        return list(states)
    share = min(missing / room, 1.0)
    out = []
    for one, yes in zip(states, wanted, strict=True):
        until = one.end_ns - round(share * one.length_ns) if yes else one.end_ns
        if until > one.start_ns:
            out.append(cut(one, one.start_ns, until))
        if until < one.end_ns:
            out.append(StateInterval(until, one.end_ns, State.READY, "core"))
    return out


def _is_gil(one: StateInterval) -> bool:
    return one.state is State.READY and one.reason == "GIL"


def on_core(one: StateInterval) -> bool:
    """Whether it computed."""
    return one.state is State.RUNNING


def could_compute(one: StateInterval) -> bool:
    """Whether it computed, or would have if a core had been free."""
    return one.state is State.RUNNING or (one.state is State.READY and one.reason == "core")


def _fit(
    states: Sequence[StateInterval],
    counts: Callable[[StateInterval], bool],
    total_ns: int,
    exact: Collection[int],
    gap_ns: int,
) -> list[StateInterval]:
    """Move the edges of what counts until it sums to a total."""
    edges = [states[0].start_ns, *(one.end_ns for one in states)] if states else []
    counted = [counts(one) for one in states]
    signs = [_sign(states, counted, index, exact) for index in range(len(edges))]
    moved = [0] * len(edges)
    movable = [index for index, sign in enumerate(signs) if sign]
    for _ in range(_ROUNDS):
        wrong = total_ns - sum(edges[i + 1] - edges[i] for i, yes in enumerate(counted) if yes)
        if abs(wrong) < max(len(movable), 1):
            break
        free = []  # who could move as far as it was to: the next round is theirs
        for index in movable:
            wanted = signs[index] * round(wrong / len(movable))
            low, high = _room(edges, index)
            step = max(low, min(high, wanted, gap_ns - moved[index]), -gap_ns - moved[index])
            edges[index] += step
            moved[index] += step
            free += [index] if step == wanted else []
        movable = free or movable
    return [cut(one, edges[index], edges[index + 1]) for index, one in enumerate(states)]


def _sign(
    states: Sequence[StateInterval], counted: Sequence[bool], index: int, exact: Collection[int]
) -> int:
    """1 where what counts ends, -1 where it begins, 0 where the edge is exact or none of its."""
    if not 0 < index < len(states) or states[index].start_ns in exact:
        return 0
    before, after = states[index - 1], states[index]
    if before.state in _NEVER_SAMPLED or after.state in _NEVER_SAMPLED:
        return 0
    return counted[index - 1] - counted[index]


def _room(edges: Sequence[int], index: int) -> tuple[int, int]:
    """How far an edge can move down and up."""
    below, above = edges[index] - edges[index - 1], edges[index + 1] - edges[index]
    return -int(_MOST_OF_ONE * below), int(_MOST_OF_ONE * above)
