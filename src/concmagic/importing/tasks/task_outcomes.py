"""How a task ended, where it raised and who cancelled it; what its loop did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from concmagic.importing.clock_ids_places import Places, short_name
from concmagic.importing.tasks.actors import Actors
from concmagic.importing.tasks.loop_holds import Hold
from concmagic.model.outcomes import CANCELLED, INTERRUPTED, STOPPED, TIMED_OUT
from concmagic.model.trace import Function, LoopSteps, State, Track
from concmagic.records.recording import TaskRecord, Wake

TIMEOUT = "timeout"  # the detail of a wake-up
# What then stopped the tasks of a cell that was stopped from outside, by how that ended.
_STOPPED_BY = dict(zip(STOPPED, ("interrupt", "timeout"), strict=True))
_BY_NOBODY_NAMED = {"timer": "timer", "callback": "callback", "io": "callback"}  # by the cause of a wake-up

Known = tuple[int | None, str]  # the id of who cancelled a task, or what did: the fields of its track
_UNKNOWN: Known = (None, "")


def loop_steps(loop: Track, holds: Sequence[Hold], tasks: Sequence[Track]) -> LoopSteps | None:
    """The longest step or callback of a loop, and how long its tasks were ready before their steps."""
    if not holds:
        return None
    begin, end, who = max(holds, key=lambda hold: hold[1] - hold[0])
    delays = [
        one.length_ns
        for track in tasks
        for one in track.states
        if one.state is State.READY and one.reason == "loop"
    ]
    if not delays:
        return LoopSteps(loop.id, end - begin, who)
    p50, p99 = np.percentile(delays, [50, 99]).tolist()  # as the metrics take them
    return LoopSteps(loop.id, end - begin, who, round(p50), round(p99), max(delays))


def traceback(task: TaskRecord, places: Places) -> tuple[Function, ...]:
    """The way to what a task raised: the user's functions, and the innermost one."""
    frames = task.raised_in
    shown = [frame for frame in frames[:-1] if places.is_own(frame[0])] + [*frames[-1:]]
    return tuple(Function(short_name(name), places.short(file), line) for file, line, name in shown)


def outcome_of(task: TaskRecord, cell_outcome: str, is_cell: bool) -> str:
    """How a task ended; the cell's own one as the cell did."""
    if is_cell and cell_outcome:
        return cell_outcome
    if task.outcome == "raised KeyboardInterrupt" and cell_outcome in STOPPED:
        return INTERRUPTED
    return TIMED_OUT if task.outcome == "raised TimeoutError" else task.outcome


def cancelled_by(
    task: TaskRecord, tasks: Mapping[int, TaskRecord], actors: Actors, cell_outcome: str = ""
) -> Known:
    """Who or what cancelled a task, where somebody did and that is known."""
    by = canceller(task, tasks) if task.outcome == CANCELLED else None
    if by == task.never_begun_by and cell_outcome in STOPPED:
        by = None  # the interrupt may have struck in that task's step
    if by is None:
        return _UNKNOWN
    if isinstance(by, int) and (tasks[by].origin == "kernel" or _hands_on(tasks[by], tasks, cell_outcome)):
        # The one that runs cells ended this one, too.
        return None, _STOPPED_BY.get(cell_outcome, "")
    if isinstance(by, int):
        return actors.told(by), ""
    if by.thread is not None:
        return actors.thread(by.thread), ""
    # `call_later(1, task.cancel)` has no name but that; a callback of the user's own that cancels has one.
    if by.detail.endswith(".cancel"):
        return None, _BY_NOBODY_NAMED.get(by.cause, "")
    return (actors.callback(short_name(by.detail)), "") if by.detail not in ("", CANCELLED) else _UNKNOWN


def canceller(task: TaskRecord, tasks: Mapping[int, TaskRecord]) -> int | Wake | None:
    """Number of the task that cancelled this one, or the wake-up that tells who else did; None if unknown.

    A cancelled task that was awaited hands its cancellation on: the first one tells who it came from.
    """
    seen: set[int] = set()
    while task.number not in seen:
        seen.add(task.number)
        wake = _cancelling(task)
        if wake is None:
            return task.never_begun_by
        source = tasks.get(wake.task) if wake.task is not None else None
        if source is None:
            return wake
        awaited = wake.wait is not None and wake.wait.task == source.number
        if not awaited or source.outcome != CANCELLED:
            return source.number
        if _cancelling(source) is None:
            return source.never_begun_by or source.number
        task = source
    return None


def _hands_on(task: TaskRecord, tasks: Mapping[int, TaskRecord], cell_outcome: str) -> bool:
    """Whether what stopped the cell has cancelled this task, and it cancelled others on its way out."""
    wake = _cancelling(task)
    source = tasks.get(wake.task) if wake is not None and wake.task is not None else None
    return cell_outcome in STOPPED and source is not None and source.origin == "kernel"


def _cancelling(task: TaskRecord) -> Wake | None:
    """The wake-up with which a task was cancelled while it waited."""
    return next((one for one in reversed(task.wakes) if one.cancelled or one.detail == TIMEOUT), None)
