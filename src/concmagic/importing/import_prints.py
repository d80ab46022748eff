"""Who printed when: the task whose step was running on that thread, else the thread."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from concmagic.importing.cell_clock import CellClock
from concmagic.importing.numbering import TrackIds
from concmagic.importing.tasks.task_flows import Step
from concmagic.model.trace import Print
from concmagic.records.recording import Recording


def import_prints(
    recording: Recording, clock: CellClock, ids: TrackIds, steps: Mapping[int, Sequence[Step]]
) -> tuple[Print, ...]:
    """The prints of threads that have a track, in order."""
    found = []
    for process in recording.processes:
        for at_ns, native_id in recording.prints if process.parent_pid is None else process.prints:
            thread = ids.known("thread", process.pid, native_id)
            if thread is not None and clock.start_ns <= at_ns <= clock.start_ns + clock.wall_ns:
                moment = clock.at(at_ns)
                found.append(Print(moment, _task_at(steps.get(thread, ()), moment, thread)))
    return tuple(sorted(found, key=lambda one: one.at_ns))


def _task_at(steps: Sequence[Step], moment: int, thread: int) -> int:
    index = bisect_right(steps, moment, key=lambda step: step[0]) - 1
    return steps[index][2] if index >= 0 and moment <= steps[index][1] else thread
