"""Who made a task: its parent, the line, and whose task that makes it: the user's, a helper, the kernel's."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import FrameType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.code_owner import owner_of
from concmagic.interpreter.asyncio_internals import runs_here
from concmagic.interpreter.known_functions import HELPER_TASKS, name_given
from concmagic.interpreter.task_steps import RUN_CODES
from concmagic.recording import earlier
from concmagic.recording.labels import cut
from concmagic.recording.tasks.step_records import Stream
from concmagic.recording.tasks.task_groups import CREATED
from concmagic.recording.tasks.task_table import TaskEntry, TaskTable, code_of, note_end, user_name
from concmagic.records.handed_over import Origin

_EAGER_BY_ITSELF = sys.version_info >= (3, 14)  # `create_task(..., eager_start=True)`


class TaskParents:
    """Notes of each new task who made it. Its methods are called by the observer and may raise."""

    def __init__(self, table: TaskTable, stream: Stream) -> None:
        self._table, self._stream = table, stream
        # Identities of tasks that joined a group as they were scheduled, and when.
        self._joined: dict[int, int] = {}

    def created(
        self, task: Any, coroutine: Any, loop: Any, step: tuple[int, int], named: bool, frame: FrameType
    ) -> None:
        """`create_task` has returned this task, and was called from this frame."""
        begin = step[0]
        current = asyncio.current_task(loop)
        parent = None if current is None else self.meet(current)  # before the child, for the numbers' order
        entry = self._table.entry_of(task)
        if entry is not None and entry.ref is None:  # of a group: this task, or one that had its identity
            if self._joined.pop(id(task), 0) >= begin:
                return
            entry = None
        may_have_begun = _EAGER_BY_ITSELF or loop.get_task_factory() is not None
        has_begun = may_have_begun and (task.done() or _has_begun(coroutine))
        if entry is None and self._table.is_full and not has_begun:
            self._join(task, coroutine, (loop, current), begin, frame)
            return
        if entry is None:
            entry = self._table.add_task(task, coroutine, self._table.loop_of(loop).number, begin)
        entry.created_ns = begin
        if current is None and runs_here(loop):
            entry.sender = self._table.loop_of(loop).sender
        if named:
            entry.name = user_name(task)
        self._tell_parent(entry, parent, frame)
        if has_begun:
            self._began_at_once(entry, task, step, frame)

    def scheduled(self, task: Any, loop: Any, frame: FrameType) -> None:
        """A task that is not known yet asks for a step."""
        current = asyncio.current_task(loop)
        if self._table.is_full and current is not task:
            self._joined[id(task)] = now = monotonic_ns()
            self._join(task, task.get_coro(), (loop, current), now, frame)
            return
        entry = self._table.add_task(task, task.get_coro(), self._table.loop_of(loop).number, monotonic_ns())
        entry.name = user_name(task)
        if current is not task:  # else its eager first step; `created` comes after it
            self._tell_parent(entry, None if current is None else self.meet(current), frame)

    def meet(self, task: Any) -> TaskEntry:
        """The entry of a task; one that is seen for the first time was there before the cell."""
        entry = self._table.entry_of(task)
        if entry is None:
            loop = self._table.loop_of(task.get_loop())
            entry = self._table.add_task(task, task.get_coro(), loop.number, None)
            entry.name = user_name(task)
            entry.origin = origin_before_cell(entry.file)
        return entry

    def _tell_parent(self, entry: TaskEntry, parent: TaskEntry | None, frame: FrameType) -> None:
        """Note who made it and whose that makes it; None is nobody, or the loop itself."""
        origin = _origin_without_parent(entry) if parent is None else parent.origin
        creator = None if origin == "user" else creating_frame(frame)
        entry.by_loop = parent is None and entry.sender is None and creator is None
        entry.origin = origin_of(origin, creator, entry.coroutine, entry.file)
        entry.starter = None if parent is None else parent.number
        # A sync cell runs within a step of a task of the kernel's, which is nobody's parent.
        hidden = parent is None or (entry.origin == "user" and parent.origin == "kernel")
        entry.parent = None if hidden else entry.starter

    def _join(self, task: Any, coroutine: Any, where: tuple[Any, Any], begin: int, frame: FrameType) -> None:
        """Put a task into the group of those that run the same code for the same parent."""
        crowd, (loop, current) = self._table.crowd, where
        code = code_of(coroutine) or type(coroutine)
        key = crowd.key(code, 0 if current is None else self._table.numbers.get(id(current), 0))
        first = crowd.by_key.get(key)
        if first is None:
            entry = self._table.new_entry(coroutine, self._table.loop_of(loop).number, begin)
            if current is None and runs_here(loop):
                entry.sender = self._table.loop_of(loop).sender
            self._tell_parent(entry, None if current is None else self.meet(current), frame)
            first = crowd.open(entry.number, code, key)
        number = self._table.numbers[id(task)] = first + crowd.next()
        self._stream.buffer.extend((begin, -CREATED, number))

    def _began_at_once(self, entry: TaskEntry, task: Any, step: tuple[int, int], frame: FrameType) -> None:
        creator = creating_frame(frame)
        entry.eager = step
        entry.eager_at = (creator.f_code.co_filename, creator.f_lineno) if creator else ("", 0)
        self._stream.buffer.extend((*step, entry.number))
        if task.done():
            note_end(entry, task, step[1])
            # Up to 3.12 asyncio.create_task gives the name afterwards.
            entry.name = entry.name or cut(name_given(frame))


def _has_begun(coroutine: Any) -> bool:
    """Whether a coroutine has taken its first step already."""
    for kind in ("cr", "gi"):
        suspended = getattr(coroutine, f"{kind}_suspended", None)
        if suspended is not None:
            return bool(suspended or getattr(coroutine, f"{kind}_frame") is None)
    return False


def creating_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is neither asyncio's nor ours; None if the loop itself called.

    What stands outside of the functions that run a loop's callbacks started the loop and created no task.
    """
    while frame is not None and frame.f_code not in RUN_CODES:
        if owner_of(frame.f_code.co_filename) not in ("stdlib", "ours"):
            return frame
        frame = frame.f_back
    return None


def origin_of(parent: Origin | None, creator: FrameType | None, name: str, file: str) -> Origin:
    """Whose task this is: `name` and `file` are its coroutine's, `parent` the origin of its parent."""
    runs = owner_of(file) if file else "user"
    if (runs in ("stdlib", "library") or not file) and name in HELPER_TASKS:
        return "machinery"
    if parent in ("user", "earlier"):
        return parent
    made_by = owner_of(creator.f_code.co_filename) if creator is not None else "stdlib"
    if made_by in ("user", "library"):
        return "user"
    # Kernel code that starts a coroutine of the notebook's (a widget's callback) does so for the user.
    if runs in ("kernel", "ours") or (made_by == "kernel" and runs == "stdlib"):
        return "kernel"
    return "user"


def _origin_without_parent(entry: TaskEntry) -> Origin | None:
    """Whose doing a task is that no task made: of who sent it to its loop, else of the loop's own thread."""
    maker = threading.get_native_id() if entry.sender is None else entry.sender
    return "earlier" if earlier.contains(maker) else None


def origin_before_cell(file: str) -> Origin:
    """Whose task it is that was there before the cell, where its creation was not seen."""
    if owner_of(file) in ("user", "library") and file:
        return "earlier"
    return "kernel"
