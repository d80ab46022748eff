"""Event loops: the steps of tasks, what the loops' time went into, how long tasks were ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypedDict

import numpy as np

from concmagic.analysis.intervals import Pair
from concmagic.model.columns import Bools, StateColumns, columns_of
from concmagic.model.reasons import BETWEEN_STEPS, MERGED
from concmagic.model.trace import Int64s, State, Trace, Track

_HOLDING = (State.RUNNING, State.BLOCKING, State.UNKNOWN)
_COMPUTING = (State.RUNNING, State.BLOCKING)
_HELD = (State.BLOCKING, State.READY, State.UNKNOWN)  # a step's own, too: it wanted the GIL, or is not known
Step = tuple[int, int, int | None]  # begin, end, the id of whose it is; None: there is none
Place = tuple[str, int]  # file and line; file "" is this cell


def of_tracks(columns: StateColumns, tracks: Iterable[Track]) -> Bools:
    """Which rows are of these tracks."""
    chosen = np.zeros(len(columns.tracks), bool)
    chosen[[columns.places[track.id] for track in tracks]] = True
    return chosen[columns.place]


def of_steps(columns: StateColumns) -> Bools:
    """Which rows are part of a step: also while its thread wanted the GIL or a core."""
    kept = columns.in_state(State.READY) & columns.for_reason("GIL", "core")
    return (columns.in_state(*_HOLDING) | kept) & ~columns.for_reason(MERGED)


def runs(columns: StateColumns, wanted: Bools) -> tuple[Int64s, Int64s]:
    """First and last row of each run of wanted rows: of one track, with no pause between them."""
    if not len(columns):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    goes_on = np.zeros(len(columns) + 1, bool)  # row i goes on with what row i - 1 began
    goes_on[1:-1] = wanted[1:] & wanted[:-1] & (columns.start_ns[1:] == columns.end_ns[:-1])
    goes_on[columns.bounds] = False
    return np.flatnonzero(wanted & ~goes_on[:-1]), np.flatnonzero(wanted & ~goes_on[1:])


def steps_of(loop: Track) -> Iterator[Step]:
    """The steps that the track tells one by one, those of tasks and those of other callbacks."""
    begin, end, whose = 0, 0, None
    for one in loop.states:
        goes_on = whose is not None and one.start_ns == end
        if one.state in _COMPUTING and one.holders:
            if not (goes_on and one.holders[0] == whose):
                if whose is not None:
                    yield begin, end, whose
                begin, whose = one.start_ns, one.holders[0]
            end = one.end_ns
        elif (
            goes_on
            and one.state in _HELD
            and one.phase != BETWEEN_STEPS
            and (one.reason or one.state is State.BLOCKING)
        ):
            end = one.end_ns
        elif whose is not None:
            yield begin, end, whose
            whose = None
    if whose is not None:
        yield begin, end, whose


def longest_step(loops: list[Track]) -> Step:
    """The longest step of these loops; (0, 0, None) if none is told."""
    steps = (step for loop in loops for step in steps_of(loop))
    return max(steps, key=lambda step: step[1] - step[0], default=(0, 0, None))


class LoopNumbers(TypedDict, total=False):
    """Those fields of Metrics that say something of loops; what is not known is left out."""

    loop_computing: float
    loop_blocked: float
    loop_kept: float
    loop_idle: float
    loop_longest_step_s: float
    loop_longest_step_track: int | None
    loop_longest_step_name: str
    loop_longest_step_place: Place
    loop_delay_p50_s: float
    loop_delay_p99_s: float
    loop_delay_max_s: float


def loops_of(trace: Trace) -> list[Track]:
    """The event loops of the work."""
    return [track for track in trace.tracks if track.kind == "loop" and track.role == "work"]


def tasks_of(trace: Trace) -> list[Track]:
    """The tasks of the work."""
    return [track for track in trace.tracks if track.kind == "task" and track.role == "work"]


def loop_numbers(trace: Trace, spent_s: tuple[float, float, float, float]) -> LoopNumbers:
    """Shares of the loops' time, the longest step, and how long tasks had to wait for their turn.

    `spent_s` is how long the loops computed, were blocked, were kept from running and were idle.
    """
    loops = loops_of(trace)
    length = sum(track.until(trace.wall_ns) - track.start_ns for track in loops) / 1e9
    if not loops or not length:
        return {}
    tasks = columns_of(trace).only(tasks_of(trace))
    longest, task = _longest_step(tasks)
    begin, stop, whose = longest_step(loops)
    if task is None or stop - begin > longest[1] - longest[0]:  # a callback that is no task's step
        longest, task = (begin, stop), None
    ready = tasks.in_state(State.READY) & ~tasks.for_reason(MERGED)
    delays = tasks.length_ns[ready & ~of_steps(tasks)]
    found: LoopNumbers = {
        "loop_computing": spent_s[0] / length,
        "loop_blocked": spent_s[1] / length,
        "loop_kept": spent_s[2] / length,
        "loop_idle": spent_s[3] / length,
        "loop_longest_step_s": (longest[1] - longest[0]) / 1e9,
        "loop_longest_step_track": None if task is None else task.id,
        "loop_longest_step_name": trace.name_of(whose) if task is None else task.name,
        "loop_longest_step_place": ("", 0) if task is None else _place_of_step(task, longest),
    }
    if len(delays):
        p50, p99 = np.percentile(delays, (50, 99)) / 1e9
        found["loop_delay_p50_s"], found["loop_delay_p99_s"] = float(p50), float(p99)
        found["loop_delay_max_s"] = float(delays.max()) / 1e9
    return found


def _longest_step(tasks: StateColumns) -> tuple[Pair, Track | None]:
    """Begin and end of the longest step, and whose it was."""
    first, last = runs(tasks, of_steps(tasks))
    if not len(first):
        return (0, 0), None
    longest = int(np.argmax(tasks.end_ns[last] - tasks.start_ns[first]))
    begin, end = int(tasks.start_ns[first[longest]]), int(tasks.end_ns[last[longest]])
    return (begin, end), tasks.tracks[int(tasks.place[first[longest]])]


def _place_of_step(task: Track, step: Pair) -> Place:
    """Where the call stands that blocked longest in a step; else the await that it went on from."""
    told = [one for one in task.states if one.line and step[0] <= one.start_ns < step[1]]
    if told:
        worst = max(told, key=lambda one: one.length_ns)
        return worst.file, worst.line
    before = [one for one in task.states if one.line and one.end_ns <= step[0]]
    return (before[-1].file, before[-1].line) if before else (task.file, task.line)
