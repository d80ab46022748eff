"""How a task ended and who cancelled it: from records to words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from concmagic import sentences
from concmagic.importing.numbering import short_name
from concmagic.importing.places import Places
from concmagic.importing.tasks.loop_holds import Hold
from concmagic.model.trace import State, Track
from concmagic.records.recording import TaskRecord, Wake

CANCELLED, TIMEOUT = "cancelled", "timeout"  # an outcome; details of wake-ups
INTERRUPTED = "interrupted"
# How a cell ends that was stopped from outside, and what then stopped its tasks.
_STOPPED_CELL = {INTERRUPTED: "the interrupt", "raised TimeoutError": "--timeout"}


def loop_words(holds: Sequence[Hold], tasks: Sequence[Track], name_of: Callable[[int], str]) -> str:
    """The longest step or callback of a loop, and how long its tasks were ready before their steps."""
    if not holds:
        return ""
    begin, end, who = max(holds, key=lambda hold: hold[1] - hold[0])
    delays = [
        one.length_ns
        for track in tasks
        for one in track.states
        if one.state is State.READY and one.reason == "loop"
    ]
    told = [sentences.longest_step(end - begin, name_of(who))]
    if delays:
        p50, p99 = np.percentile(delays, [50, 99]).tolist()  # as the metrics take them
        told.append(sentences.scheduling_delay(p50, p99, max(delays)))
    return " · ".join(told)


def raised_in(task: TaskRecord, places: Places) -> str:
    """The traceback of what a task raised, in one line: the user's frames and the innermost one."""
    frames = task.raised_in
    shown = [frame for frame in frames[:-1] if places.is_own(frame[0])] + [*frames[-1:]]
    return sentences.raised_in([(places.short(file), line, short_name(name)) for file, line, name in shown])


def outcome_of(task: TaskRecord, cell_outcome: str, is_cell: bool) -> str:
    """How a task ended; the cell's own one as the cell did."""
    if is_cell and cell_outcome:
        return cell_outcome
    if task.outcome == "raised KeyboardInterrupt" and cell_outcome in _STOPPED_CELL:
        return INTERRUPTED
    return "timed out" if task.outcome == "raised TimeoutError" else task.outcome


def cancelled_by(
    task: TaskRecord,
    tasks: Mapping[int, TaskRecord],
    names: Mapping[int, str],
    threads: Mapping[int, str],
    cell_outcome: str = "",
) -> str:
    """Who cancelled a task, in words; "" if nobody did or that is not known."""
    by = canceller(task, tasks) if task.outcome == CANCELLED else None
    if by == task.never_begun_by and cell_outcome in _STOPPED_CELL:
        by = None  # the interrupt may have struck in that task's step
    if by is None:
        return ""
    if isinstance(by, int) and (tasks[by].origin == "kernel" or _hands_on(tasks[by], tasks, cell_outcome)):
        # The one that runs cells ended this one, too.
        return sentences.cancelled_by(_STOPPED_CELL.get(cell_outcome, ""))
    if isinstance(by, int):
        return sentences.cancelled_by(names.get(by, ""))
    if by.thread is not None:
        return sentences.cancelled_by(threads.get(by.thread, ""))
    # `call_later(1, task.cancel)` has no name but that; a callback of the user's own that cancels has one.
    who = sentences.A_CALLBACK.get(by.cause, "") if by.detail.endswith(".cancel") else by.detail
    return sentences.cancelled_by("" if who == CANCELLED else short_name(who))


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
    return cell_outcome in _STOPPED_CELL and source is not None and source.origin == "kernel"


def _cancelling(task: TaskRecord) -> Wake | None:
    """The wake-up with which a task was cancelled while it waited."""
    return next((one for one in reversed(task.wakes) if one.cancelled or one.detail == TIMEOUT), None)
