"""Who made which task, who woke it, and which job a thread did for it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from concmagic.recording.raw import TaskRecord
from concmagic.trace.clock import CellClock
from concmagic.trace.model import Flow
from concmagic.trace.numbering import TrackIds

Step = tuple[int, int, int]  # begin, end, the task's track


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
            source_id = ids.known("task", pid, wake.task) if wake.task in shown else None
            if source_id is None and wake.thread is not None:
                source_id = ids.known("thread", pid, wake.thread)
            if source_id is None and wake.cause in ("callback", "timer", "io") and wake.detail:
                source_id = ids.known("loop", pid, task.loop)
            if source_id is not None and source_id != me:
                moment = at(wake.at_ns)
                awaited = wake.wait is not None and wake.wait.reason == "task"
                hands_over = awaited and wake.wait is not None and wake.wait.task == wake.task
                kind = "result" if hands_over and wake.task is not None else "wake"
                flows.append(Flow(kind, source_id, moment, me, moment, wake.detail))  # type: ignore[arg-type]
    return flows


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
