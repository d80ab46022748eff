"""How each recorder of the notebook's own process is made, in the order in which they are started.

Every one imports what it needs by itself, so that one that cannot be imported or made is missing alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concmagic.cell import Cell
    from concmagic.options import Options
    from concmagic.recording.prints import Writer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be recorded of which cell."""

    cell: Cell
    options: Options
    budget: int  # events of calls
    sampler: bool
    writers: Callable[[], Sequence[Writer]]


Made = Mapping[str, Any]  # the recorders that have been made so far, by name
Maker = Callable[[Wanted, Made], Any]


def _sampler(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.sampler.sampler_recorder import Sampler

    return Sampler(os.getpid())


def _children(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.calls import limit_of
    from concmagic.recording.children.children_recorder import ChildRecorder

    limit = limit_of(wanted.options.detail, wanted.budget)
    sampler = made.get("sampler")
    # A child's first milliseconds cost most: the sampler is told of it at once.
    on_born = sampler.watch if sampler is not None else None
    return ChildRecorder(wanted.options, wanted.cell.file, limit, on_born)


def _messages(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.children.messages import MessageRecorder

    return MessageRecorder()


def _marks(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.marks import MarkRecorder

    return MarkRecorder()


def _hosts(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.hosts import HostRecorder

    return HostRecorder()


def _prints(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.prints import PrintRecorder

    return PrintRecorder(wanted.writers())


def _jobs(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.threads.thread_jobs import PoolJobRecorder

    return PoolJobRecorder()


def _threads(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.threads.thread_recorder import ThreadRecorder

    sampler = made.get("sampler")
    return ThreadRecorder(sampler.look if sampler is not None else None)


def _tasks(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.tasks.task_recorder import TaskRecorder

    return TaskRecorder()


def _locks(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.locks.lock_recorder import LockRecorder

    return LockRecorder(wanted.cell.namespace, sampled="sampler" in made)


def _calls(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.calls.call_recorder import CallRecorder

    return CallRecorder(wanted.options.detail, wanted.budget)


def _profiles(wanted: Wanted, made: Made) -> Any:
    from concmagic.recording.profiles import ProfileRecorder

    return ProfileRecorder()


_ALL: dict[str, Maker] = {
    "sampler": _sampler,
    "children": _children,
    "messages": _messages,
    "marks": _marks,
    "hosts": _hosts,
    "prints": _prints,
    "jobs": _jobs,
    "threads": _threads,
    "tasks": _tasks,
    "locks": _locks,
    "profiles": _profiles,
    "calls": _calls,  # last: they cost most, and see none of the others
}


def makers(wanted: Wanted) -> dict[str, Maker]:
    """The makers of those that are wanted, by name."""
    return {name: make for name, make in _ALL.items() if name != "sampler" or wanted.sampler}
