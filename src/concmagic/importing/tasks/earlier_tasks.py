"""Tasks of earlier cells: which of them work for this one, and which held its loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from concmagic.importing.clock_ids_places import Places
from concmagic.records.recording import TaskRecord, ThreadRecord, Wait, Wake

HELD_NS = 10_000_000  # a step of an earlier cell's task that took so long is part of what this cell met


def with_those_that_work_for_it(
    tasks: Sequence[TaskRecord], threads: Mapping[int, ThreadRecord], places: Places
) -> list[TaskRecord]:
    """All tasks; those of earlier cells that this one awaited, or gave something to do, as its own.

    So are what such a task awaits, and what it makes. Of what was given only the user's own functions count:
    inside of a library everything wakes everything.
    """
    by_number = {task.number: task for task in tasks}
    own = {task.number for task in tasks if task.origin == "user"}
    promoted = {
        task.number
        for task in tasks
        if task.origin == "earlier"
        and places.is_own(task.file, task.coroutine)
        and any(_comes_from(wake, own, threads) for wake in task.wakes)
    }
    found, open_ends = set(promoted), [*own, *promoted]
    children = _children(tasks)
    while open_ends:
        number = open_ends.pop()
        next_ones = [*_awaited(by_number[number]), *(children.get(number, ()) if number in found else ())]
        for other in next_ones:
            task = by_number.get(other)
            if task is not None and task.origin == "earlier" and other not in found:
                found.add(other)
                open_ends.append(other)
    return [replace(task, origin="user") if task.number in found else task for task in tasks]


def held_its_loop(task: TaskRecord, loops: frozenset[int]) -> bool:
    """Whether a task of an earlier cell held one of the loops on which this one has tasks."""
    if task.origin != "earlier" or task.loop not in loops:
        return False
    return any(end - begin >= HELD_NS for begin, end in task.steps)


def _comes_from(wake: Wake, own: set[int], threads: Mapping[int, ThreadRecord]) -> bool:
    if wake.cause == "thread":
        record = threads.get(wake.thread or 0)
        return record is not None and record.origin == "user"
    return wake.cause == "task" and wake.task in own


def _awaited(task: TaskRecord) -> Iterator[int]:
    waits: list[Wait | None] = [wake.wait for wake in task.wakes]
    for wait in (*waits, task.last_wait):
        if wait is not None:
            yield from wait.tasks if wait.task is None else (wait.task, *wait.tasks)


def _children(tasks: Sequence[TaskRecord]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for task in tasks:
        if task.parent is not None:
            found.setdefault(task.parent, []).append(task.number)
    return found
