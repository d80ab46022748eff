"""The numbers of the event loops: what their time went into, the longest step, how long tasks were ready."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from concmagic.analysis import loop_steps, work
from concmagic.analysis.intervals import Pair
from concmagic.model.reasons import MERGED
from concmagic.model.state_columns import StateColumns, columns_of
from concmagic.model.trace import State, Trace, Track

Place = tuple[str, int]  # file and line; file "" is this cell


class LoopNumbers(TypedDict, total=False):
    """Those fields of Metrics that say something of loops; what is not known is left out."""

    loop_computing: float
    loop_blocked: float
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


def loop_numbers(trace: Trace, spent_s: tuple[float, float, float]) -> LoopNumbers:
    """Shares of the loops' time, the longest step, and how long tasks had to wait for their turn.

    `spent_s` is how long the loops computed, were blocked and were idle.
    """
    loops = loops_of(trace)
    length = sum(work.end_of(trace, track) - track.start_ns for track in loops) / 1e9
    if not loops or not length:
        return {}
    tasks = columns_of(trace).only(tasks_of(trace))
    longest, task = _longest_step(tasks)
    begin, stop, whose = loop_steps.longest_step(loops)
    if task is None or stop - begin > longest[1] - longest[0]:  # a callback that is no task's step
        longest, task = (begin, stop), None
    ready = tasks.in_state(State.READY) & ~tasks.for_reason(MERGED)
    delays = tasks.length_ns[ready & ~loop_steps.of_steps(tasks)]
    found: LoopNumbers = {
        "loop_computing": spent_s[0] / length,
        "loop_blocked": spent_s[1] / length,
        "loop_idle": spent_s[2] / length,
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
    first, last = loop_steps.runs(tasks, loop_steps.of_steps(tasks))
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
