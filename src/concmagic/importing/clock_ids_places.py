"""From the machine's terms to the trace's: moments since the cell's start, ids of tracks, names of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from concmagic.code_owner import is_users
from concmagic.model.states import Resource
from concmagic.model.trace import Int64s
from concmagic.records.recording import TaskLog, TaskRecord, ThreadRecord


@dataclass(frozen=True, slots=True)
class CellClock:
    """The cell's beginning and length on CLOCK_MONOTONIC."""

    start_ns: int
    wall_ns: int

    def at(self, absolute_ns: int) -> int:
        """A moment, kept within the cell."""
        return min(max(absolute_ns - self.start_ns, 0), self.wall_ns)

    def end_at(self, ended_ns: int | None) -> int:
        """The end of what ended then; of what had not when the cell did, the cell's."""
        return self.wall_ns if ended_ns is None else self.at(ended_ns)

    def pairs_at(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Many stretches in their order, kept within the cell."""
        start = self.start_ns
        if not pairs or (pairs[0][0] >= start and pairs[-1][1] - start <= self.wall_ns):
            return [(begin - start, end - start) for begin, end in pairs]
        return [(self.at(begin), self.at(end)) for begin, end in pairs]

    def since_start(self, absolute_ns: Int64s) -> Int64s:
        """Many moments; those outside the cell stay outside."""
        return absolute_ns - self.start_ns


class TrackIds:
    """Hands out ids of tracks by kind, process and number; one key has one id."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, int, int], int] = {}
        self._threads: dict[int, int] = {}  # by native id: the first that was met
        self._others: dict[str, int] = {}
        self.resources = Resources()

    @property
    def others(self) -> tuple[str, ...]:
        """The names of who has no track, in the order of their negative ids."""
        return tuple(self._others)

    def other(self, name: str) -> int:
        """A negative id for one that has no track."""
        return self._others.setdefault(name, -1 - len(self._others))

    def get(self, kind: str, pid: int, number: int) -> int:
        """The id of a track."""
        found = self._ids.setdefault((kind, pid, number), len(self._ids))
        if kind == "thread":
            self._threads.setdefault(number, found)
        return found

    def known(self, kind: str, pid: int, number: int | None) -> int | None:
        """The id of a track that has one."""
        return None if number is None else self._ids.get((kind, pid, number))

    def thread_anywhere(self, native_id: int) -> int | None:
        """The id of a thread by its native id alone, which all processes of a machine share."""
        return self._threads.get(native_id)


class Resources:
    """Numbers what is waited for; one key with one description has one number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int, Resource], int] = {}

    @property
    def rows(self) -> tuple[Resource, ...]:
        """All resources, in the order of their numbers."""
        return tuple(resource for _, _, resource in self._numbers)

    def number(self, resource: Resource, pid: int = 0, key: int = -1) -> int:
        """Of a resource of this process; of several that have the same words `key` tells which."""
        return self._numbers.setdefault((pid, key, resource), len(self._numbers))


def numbered(names: Sequence[str], given: Sequence[bool]) -> list[str]:
    """Names that can be told apart: those that were not given by the user get a number where it takes one."""
    count = Counter(name for name, own in zip(names, given, strict=True) if not own)
    taken: Counter[str] = Counter()
    told = []
    for name, own in zip(names, given, strict=True):
        if not own and count[name] > 1:
            taken[name] += 1
            told.append(f"{name}-{taken[name]}")
        else:
            told.append(name)
    return told


def short_name(qualified: str) -> str:
    """A function's name without the functions around it: "main.<locals>.fetch" is "fetch"."""
    return qualified.rpartition("<locals>.")[2] or qualified


def base_name(file: str) -> str:
    """The last part of a path, of whichever system."""
    return file.replace("\\", "/").rpartition("/")[2]


class Places:
    """File names of one notebook: own code or a library's, and the short name shown."""

    def __init__(self, cell_file: str, cells: Mapping[str, int]) -> None:
        self._cell_file = cell_file
        self._cells = cells

    def short(self, file: str) -> str:
        """The name shown: "" for this cell, "In[12]" for another, else the last part of the path."""
        if not file or file == self._cell_file:
            return ""
        if file in self._cells:
            return f"In[{self._cells[file]}]"
        return base_name(file)

    def is_own(self, file: str, name: str = "") -> bool:
        """Whether a function of this name is the user's: in a cell, or as `code_owner` tells by its file."""
        if file == self._cell_file or file in self._cells:
            return bool(file)
        return is_users(file, name)

    def is_cell(self, file: str) -> bool:
        """Whether it is the traced cell itself."""
        return file == self._cell_file


CELL_NAME = "cell"


class Actors:
    """Ids of tasks, threads and callbacks that acted: of their tracks, or of those that have none by name."""

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


def _function(task: TaskRecord, places: Places) -> str:
    """What a task runs; of a library's the one function of the user's in which it waited, if there is one."""
    if not task.file or places.is_own(task.file, task.coroutine):
        return task.coroutine
    waits = [*(wake.wait for wake in task.wakes), task.last_wait]
    found = {one.function for one in waits if one is not None and places.is_own(one.file, one.function)}
    return found.pop() if len(found) == 1 else task.coroutine


def names_of(log: TaskLog, shown: list[TaskRecord], places: Places) -> dict[int, str]:
    """Names of shown tasks; the hidden ones are told by their coroutine."""
    groups = {group.number for group in log.groups}
    names = {task.number: task.name or short_name(_function(task, places)) for task in log.tasks}
    told = numbered(
        [names[task.number] for task in shown],
        [bool(task.name) or task.number in groups for task in shown],
    )
    names.update(zip((task.number for task in shown), told, strict=True))
    if log.cell_task is not None:
        names[log.cell_task] = CELL_NAME
    return names
