"""The ids of tasks, threads and callbacks, as states and tracks of one process's tasks refer to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from concmagic.importing.clock_ids_places import TrackIds, numbered, short_name
from concmagic.records.recording import TaskLog, TaskRecord, ThreadRecord

CELL_NAME = "cell"


class Actors:
    """Who has a track is told by it, who has none by name."""

    def __init__(
        self,
        pid: int,
        ids: TrackIds,
        names: Mapping[int, str],
        shown: Collection[int],
        cell_task: int | None = None,
        threads: Mapping[int, ThreadRecord] | None = None,
    ) -> None:
        self._pid = pid
        self._ids = ids
        self._names = names  # of tasks, by their numbers
        self._shown = shown  # the numbers of those with a track
        self._cell_task = cell_task
        self._threads = threads or {}  # by native id
        self._known: dict[int, int] = {}

    def task(self, number: int) -> int:
        """The id of a task: of its track, or of one that has none."""
        known = self._known.get(number)
        if known is None:
            other = number not in self._shown
            known = self._known[number] = (
                self._ids.other(self._names.get(number, ""))
                if other
                else self._ids.get("task", self._pid, number)
            )
        return known

    def told(self, number: int) -> int | None:
        """The id of a task; None for a hidden one, unless it is the cell's."""
        return self.task(number) if number in self._shown or number == self._cell_task else None

    def thread(self, native_id: int) -> int | None:
        """The id of a thread; of a worker that of its pool, which has no track."""
        name = self.thread_name(native_id)
        if not name:
            return None
        of_pool = self._threads[native_id].group
        known = None if of_pool else self._ids.known("thread", self._pid, native_id)
        return self._ids.other(name) if known is None else known

    def thread_name(self, native_id: int | None) -> str:
        """The name of a thread, of a worker that of its pool; "" if it is not known."""
        record = self._threads.get(native_id or 0)
        return "" if record is None else record.group or record.name

    def callback(self, name: str) -> int:
        """The id of a callback of a loop."""
        return self._ids.other(name)


def names_of(log: TaskLog, shown: list[TaskRecord]) -> dict[int, str]:
    """Names of shown tasks; the hidden ones are told by their coroutine."""
    groups = {group.number for group in log.groups}
    names = {task.number: task.name or short_name(task.coroutine) for task in log.tasks}
    told = numbered(
        [names[task.number] for task in shown],
        [bool(task.name) or task.number in groups for task in shown],
    )
    names.update(zip((task.number for task in shown), told, strict=True))
    if log.cell_task is not None:
        names[log.cell_task] = CELL_NAME
    return names
