"""Who made which task, who woke or cancelled it, which job a thread did for it; how it ended."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from concmagic.importing.clock_ids_places import Actors, CellClock, Places, TrackIds, short_name
from concmagic.model.outcomes import LEFT_RUNNING, UNKNOWN, Outcome, outcome_of
from concmagic.model.trace import Flow, FlowKind, Function
from concmagic.records.recording import TaskRecord, Wake

Step = tuple[int, int, int]  # begin, end, the task's track


# Waits for tasks: one that has ended and so woke who waits has handed its result over.
_FOR_TASKS = ("task", "gather", "TaskGroup", "wait", "wait_for", "as_completed")


def task_flows(tasks: Sequence[TaskRecord], pid: int, clock: CellClock, ids: TrackIds) -> list[Flow]:
    """Spawn and wake flows between tasks, results to who awaited them, wakes from threads and callbacks.

    What a wait says itself (a sleep is over, a socket is ready) is no flow: a callback has a name to tell.
    """
    at = clock.at
    flows: list[Flow] = []
    shown = {task.number: task for task in tasks}
    for task in tasks:
        me = ids.get("task", pid, task.number)
        maker = ids.known("task", pid, task.parent) if task.parent in shown else None
        if maker is None:
            maker = ids.known("thread", pid, task.sender)
        if maker is not None and task.created_ns is not None:
            first = task.steps[0][0] if task.steps else task.created_ns
            flows.append(Flow("spawn", maker, at(task.created_ns), me, at(first)))
        for wake in task.wakes:
            source = shown.get(wake.task or 0)
            source_id = None if source is None else ids.known("task", pid, source.number)
            if source_id is None and wake.thread is not None:
                source_id = ids.known("thread", pid, wake.thread)
            if source_id is None and wake.cause in ("callback", "timer", "io") and wake.detail:
                source_id = ids.known("loop", pid, task.loop)
            if source_id is not None and source_id != me:
                moment = at(wake.at_ns)
                kind: FlowKind = "wake"
                begin = moment
                if source is not None and _hands_over(source, wake):
                    kind = "result"
                    begin = moment if source.ended_ns is None else min(moment, at(source.ended_ns))
                flows.append(Flow(kind, source_id, begin, me, moment, wake.detail))
    for child, awaiter, moment in _results_of_others(shown):
        ended = at(child.ended_ns or 0)
        target = ids.get("task", pid, awaiter)
        flows.append(Flow("result", ids.get("task", pid, child.number), ended, target, at(moment)))
    return flows


def _hands_over(source: TaskRecord, wake: Wake) -> bool:
    """Whether a task woke another one by having ended, which that had waited for."""
    if wake.wait is None or wake.wait.reason not in _FOR_TASKS:
        return False
    # Who awaits a task itself is woken at the very end of its last step.
    itself = wake.wait.task == source.number
    return itself or (source.ended_ns is not None and source.ended_ns <= wake.at_ns)


def _results_of_others(shown: Mapping[int, TaskRecord]) -> Iterator[tuple[TaskRecord, int, int]]:
    """Tasks that had ended in a wait for several before the one that ended the wait: who got it, and when.

    What was there before the wait began is handed over at its beginning.
    """
    groups = _tasks_of_groups(shown)
    for task in shown.values():
        members = groups.get(task.number, [])
        for wake in task.wakes:
            awaited = [shown[number] for number in _several(wake) if number in shown]
            if wake.wait is not None and wake.wait.reason == "TaskGroup":
                awaited = [child for child in members if (child.ended_ns or 0) <= wake.at_ns]
                members = members[len(awaited) :]
            for child in awaited:
                if child.number not in (wake.task, task.number) and child.ended_ns is not None:
                    yield child, task.number, max(child.ended_ns, _begin(task, wake))


def _several(wake: Wake) -> tuple[int, ...]:
    return () if wake.wait is None else wake.wait.tasks


def _tasks_of_groups(shown: Mapping[int, TaskRecord]) -> dict[int, list[TaskRecord]]:
    """By the task that waits for them, in the order of their ends."""
    groups: dict[int, list[TaskRecord]] = defaultdict(list)
    for task in shown.values():
        if task.awaiter is not None and task.ended_ns is not None:
            groups[task.awaiter].append(task)
    for members in groups.values():
        members.sort(key=lambda task: task.ended_ns or 0)
    return groups


def _begin(task: TaskRecord, wake: Wake) -> int:
    """When the wait began that a wake-up ended: with the end of the step before it."""
    index = bisect_right(task.steps, wake.at_ns, key=lambda step: step[1]) - 1
    return task.steps[index][1] if index >= 0 else wake.at_ns


def with_jobs_of_tasks(
    jobs: Sequence[Flow], flows: Sequence[Flow], steps: Mapping[int, Sequence[Step]]
) -> list[Flow]:
    """All flows, with a job that a task gave to a pool told as that task's, not as its thread's.

    `jobs` go from thread to thread, each result after its submit; `steps` are by the thread's track.
    """
    woken: dict[tuple[int, int], list[Flow]] = defaultdict(list)
    for flow in flows:
        if flow.kind == "wake":
            woken[flow.source, flow.target].append(flow)
    told: list[Flow] = []
    replaced: set[int] = set()
    owner: int | None = None
    began_ns = 0
    for flow in jobs:
        if flow.kind == "submit":
            began_ns = flow.target_ns
            owner = task_at(steps.get(flow.source, ()), flow.source_ns)
            told.append(flow if owner is None else replace(flow, source=owner))
        elif owner is None:
            told.append(flow)
        else:
            # The thread hands its result over a moment before the job counts as ended.
            wake = _first_from(woken.get((flow.source, owner), ()), began_ns)
            if wake is not None:
                replaced.add(id(wake))
                moment = wake.target_ns
                told.append(replace(flow, source_ns=moment, target=owner, target_ns=moment))
    return [*told, *(flow for flow in flows if id(flow) not in replaced)]


def task_at(steps: Sequence[Step], moment: int) -> int | None:
    """The track of the task that had a step at that moment."""
    index = bisect_right(steps, moment, key=lambda step: step[0]) - 1
    return steps[index][2] if index >= 0 and moment <= steps[index][1] else None


def _first_from(wakes: Sequence[Flow], moment: int) -> Flow | None:
    index = bisect_left(wakes, moment, key=lambda flow: flow.target_ns)
    return wakes[index] if index < len(wakes) else None


TIMEOUT = "timeout"  # the detail of a wake-up
_CANCELLED = "cancelled"  # as recorders note it
_BY_NOBODY_NAMED = {"timer": "timer", "callback": "callback", "io": "callback"}  # by the cause of a wake-up

Known = tuple[int | None, str]  # the id of who cancelled a task, or what did: the fields of its track
_UNKNOWN: Known = (None, "")


def _traceback(task: TaskRecord, places: Places) -> tuple[Function, ...]:
    """The way to what a task raised: the user's functions, and the innermost one."""
    frames = task.raised_in
    shown = [frame for frame in frames[:-1] if places.is_own(frame[0])] + [*frames[-1:]]
    return tuple(Function(short_name(name), places.short(file), line) for file, line, name in shown)


def task_outcome(task: TaskRecord, places: Places, cell: Outcome, is_cell: bool) -> Outcome:
    """How a task ended; the cell's own one as the cell did."""
    own = outcome_of(task.outcome)
    if task.by_loop and own == LEFT_RUNNING:
        own = UNKNOWN  # it goes on with its connection: nobody could have waited for it
    if is_cell and cell:
        own = cell
    elif own.error == "KeyboardInterrupt" and cell.stopped_by:
        own = replace(own, kind="interrupted")
    elif own.error == "TimeoutError":
        own = replace(own, kind="timed out")
    return replace(own, message=task.exception, traceback=_traceback(task, places))


def cancelled_by(
    task: TaskRecord, tasks: Mapping[int, TaskRecord], actors: Actors, cell: Outcome = UNKNOWN
) -> Known:
    """Who or what cancelled a task, where somebody did and that is known."""
    by = canceller(task, tasks) if task.outcome == _CANCELLED else None
    if by == task.never_begun_by and cell.stopped_by:
        by = None  # the interrupt may have struck in that task's step
    if by is None:
        return _UNKNOWN
    if isinstance(by, int) and (tasks[by].origin == "kernel" or _hands_on(tasks[by], tasks, cell)):
        # The one that runs cells ended this one, too.
        return None, cell.stopped_by
    if isinstance(by, int):
        return actors.told(by), ""
    if by.thread is not None:
        return actors.thread(by.thread), ""
    # `call_later(1, task.cancel)` has no name but that; a callback of the user's own that cancels has one.
    if by.detail.endswith(".cancel"):
        return None, _BY_NOBODY_NAMED.get(by.cause, "")
    return (actors.callback(short_name(by.detail)), "") if by.detail not in ("", _CANCELLED) else _UNKNOWN


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
        if not awaited or source.outcome != _CANCELLED:
            return source.number
        if _cancelling(source) is None:
            return source.never_begun_by or source.number
        task = source
    return None


def _hands_on(task: TaskRecord, tasks: Mapping[int, TaskRecord], cell: Outcome) -> bool:
    """Whether what stopped the cell has cancelled this task, and it cancelled others on its way out."""
    wake = _cancelling(task)
    source = tasks.get(wake.task) if wake is not None and wake.task is not None else None
    return bool(cell.stopped_by) and source is not None and source.origin == "kernel"


def _cancelling(task: TaskRecord) -> Wake | None:
    """The wake-up with which a task was cancelled while it waited."""
    return next((one for one in reversed(task.wakes) if one.cancelled or one.detail == TIMEOUT), None)
