"""Who made which task, and who woke it."""

from __future__ import annotations

from collections.abc import Sequence

from concmagic.recording.raw import TaskRecord
from concmagic.trace.clock import CellClock
from concmagic.trace.model import Flow
from concmagic.trace.numbering import TrackIds


def task_flows(tasks: Sequence[TaskRecord], pid: int, clock: CellClock, ids: TrackIds) -> list[Flow]:
    """Spawn and wake flows between tasks, and wakes from threads."""
    at = clock.at
    flows: list[Flow] = []
    shown = {task.number for task in tasks}
    for task in tasks:
        me = ids.get("task", pid, task.number)
        if task.parent in shown and task.created_ns is not None:
            first = task.steps[0][0] if task.steps else task.created_ns
            source = ids.get("task", pid, task.parent)
            flows.append(Flow("spawn", source, at(task.created_ns), me, at(first)))
        for wake in task.wakes:
            source_id = ids.known("task", pid, wake.task) if wake.task in shown else None
            if source_id is None and wake.thread is not None:
                source_id = ids.known("thread", pid, wake.thread)
            if source_id is not None and source_id != me:
                moment = at(wake.at_ns)
                flows.append(Flow("wake", source_id, moment, me, moment, wake.detail))
    return flows
