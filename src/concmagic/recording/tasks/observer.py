"""What the hooks tell, and what is made of it while the cell runs."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from asyncio import events
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.code_owner import known_owners
from concmagic.interpreter.asyncio_fields import (
    callback_of,
    handle_parts,
    is_free,
    own_loop,
    parent_of_group,
    runs_here,
    selector_of,
)
from concmagic.interpreter.frames import getframe
from concmagic.interpreter.hook_parts import EXECUTOR_RESULT, SLEEP_TIMER, SeenTimer, is_step, stepping_task
from concmagic.interpreter.known_functions import name_given
from concmagic.interpreter.reading import running_loop
from concmagic.interpreter.task_steps import RUN_CODES, is_create_task
from concmagic.problems import Problem
from concmagic.recording.labels import cut
from concmagic.recording.profiles import unrecorded
from concmagic.recording.tasks.bare_futures import Births, is_of_executor
from concmagic.recording.tasks.folding import Folding
from concmagic.recording.tasks.step_clock import LONG_NS, StepClock
from concmagic.recording.tasks.step_stream import Stream
from concmagic.recording.tasks.task_ends import exception_text, note_end
from concmagic.recording.tasks.task_groups import CREATED, ENDED, FIRST
from concmagic.recording.tasks.task_table import (
    LoopEntry,
    TaskEntry,
    TaskTable,
    is_task,
    shown_name,
    user_name,
)
from concmagic.recording.tasks.waits import WaitBook
from concmagic.recording.tasks.wake_causes import Callback, name_of
from concmagic.recording.tasks.whose_task import code_of as code_behind
from concmagic.recording.tasks.whose_task import (
    creating_frame,
    is_kernels_thread,
    origin_before_cell,
    origin_of,
)
from concmagic.records.recording import RawCode

_EAGER_BY_ITSELF = sys.version_info >= (3, 14)  # `create_task(..., eager_start=True)`


class Observer:
    """Keeps the books of one recording. Its methods are called by the hooks and never raise."""

    first_member, created_mark, long_ns = FIRST, CREATED, LONG_NS
    known_places, unrecorded = known_owners, unrecorded

    def __init__(self, kernel_loop: Any, limit: int, told: int) -> None:
        self.active = False
        self.pid = os.getpid()
        self.table = TaskTable(told)
        self.stream = Stream(Folding(limit, self.table.crowd, self._loop_of))
        self.clock = StepClock()
        self.waits = WaitBook(shown_name, self.table.number_of)
        self.table.crowd.reason_of, self.table.crowd.text_of = self.waits.reason_of, exception_text
        self.births = Births(self.waits.made, self.fail)
        self.callbacks: list[Callback] = []
        self.problems: list[Problem] = []
        self.stops: list[tuple[int, int]] = []  # a loop's number, and when it was told to stop
        self.unawaited: list[RawCode] = []
        self._kernel_loop = kernel_loop
        self._callback_numbers: dict[tuple[int, str, bool, int | None, bool], int] = {}
        # Identities of tasks that joined a group as they were scheduled, and when.
        self._joined: dict[int, int] = {}
        # Identities of a callback's code and of its loop → its number, the loop, and the code to keep it.
        self.known_callbacks: dict[tuple[int, int], tuple[int, LoopEntry, CodeType]] = {}
        # Native id of the thread that sent a handle with call_soon_threadsafe, until it has run.
        self._senders: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._relayed: weakref.WeakSet[Any] = weakref.WeakSet()  # handles of results that are no executor's

    def fail(self, error: Exception) -> None:
        """Give up after an error of our own: the cell goes on as if nobody watched."""
        if self.active:
            self.active = False
            self.problems.append(Problem.of("tasks_lost", f"{type(error).__name__}: {error}"))

    # Tasks

    def created(self, task: Any, coroutine: Any, loop: Any, begin: int, named: bool) -> None:
        """`create_task` has returned this task."""
        end = monotonic_ns()
        try:
            if is_task(task):
                self._created(task, coroutine, loop, begin, end, named)
        except Exception as error:
            self.fail(error)

    def _created(self, task: Any, coroutine: Any, loop: Any, begin: int, end: int, named: bool) -> None:
        frame = getframe(3)  # where create_task was called
        current = asyncio.current_task(loop)
        parent = None if current is None else self.meet(current)  # before the child, for the numbers' order
        entry = self.table.entry_of(task)
        if entry is not None and entry.ref is None:  # of a group: this task, or one that had its identity
            if self._joined.pop(id(task), 0) >= begin:
                return
            entry = None
        may_have_begun = _EAGER_BY_ITSELF or loop.get_task_factory() is not None
        has_begun = may_have_begun and (task.done() or _has_begun(coroutine))
        if entry is None and self.table.is_full and not has_begun:
            self._join(task, coroutine, (loop, current), begin, frame)
            return
        if entry is None:
            entry = self.table.add_task(task, coroutine, self._loop(loop).number, begin)
        entry.created_ns = begin
        if current is None and runs_here(loop):
            entry.sender = self._loop(loop).sender
        if named:
            entry.name = user_name(task)
        self._tell_parent(entry, parent, frame)
        if has_begun:
            self._began_at_once(entry, task, (begin, end), frame)

    def _join(self, task: Any, coroutine: Any, where: tuple[Any, Any], begin: int, frame: FrameType) -> None:
        """Put a task into the group of those that run the same code for the same parent."""
        crowd, (loop, current) = self.table.crowd, where
        code = code_behind(coroutine) or type(coroutine)
        key = crowd.key(code, 0 if current is None else self.table.numbers.get(id(current), 0))
        first = crowd.by_key.get(key)
        if first is None:
            entry = self.table.new_entry(coroutine, self._loop(loop).number, begin)
            if current is None and runs_here(loop):
                entry.sender = self._loop(loop).sender
            self._tell_parent(entry, None if current is None else self.meet(current), frame)
            first = crowd.open(entry.number, code, key)
        number = self.table.numbers[id(task)] = first + crowd.next()
        self.stream.buffer.extend((begin, -CREATED, number))

    def _loop_of(self, number: int) -> int:
        """The number of the loop of a task, or of what runs a callback."""
        return self.callbacks[-number - 1].loop if number < 0 else self.table.tasks[number].loop

    def _began_at_once(self, entry: TaskEntry, task: Any, step: tuple[int, int], frame: FrameType) -> None:
        creator = creating_frame(frame, RUN_CODES)
        entry.eager = step
        entry.eager_at = (creator.f_code.co_filename, creator.f_lineno) if creator else ("", 0)
        self.stream.buffer.extend((*step, entry.number))
        if task.done():
            note_end(entry, task, step[1])
            # Up to 3.12 asyncio.create_task gives the name afterwards.
            entry.name = entry.name or cut(name_given(frame))

    def scheduled(self, task: Any, loop: Any, frame: FrameType) -> None:
        """A task that is not known yet asks for a step: a new one, perhaps made without `create_task`."""
        if not self.active or is_create_task(frame.f_code):  # in the second case `created` tells it all
            return
        try:
            current = asyncio.current_task(loop)
            if self.table.is_full and current is not task:
                self._joined[id(task)] = now = monotonic_ns()
                self._join(task, task.get_coro(), (loop, current), now, frame)
                return
            entry = self.table.add_task(task, task.get_coro(), self._loop(loop).number, monotonic_ns())
            entry.name = user_name(task)
            if current is not task:  # else its eager first step; `created` comes after it
                self._tell_parent(entry, None if current is None else self.meet(current), frame)
        except Exception as error:
            self.fail(error)

    def _tell_parent(self, entry: TaskEntry, parent: TaskEntry | None, frame: FrameType) -> None:
        origin = None if parent is None else parent.origin
        creator = None if origin == "user" else creating_frame(frame, RUN_CODES)
        entry.origin = origin_of(origin, creator, entry.coroutine, entry.file)
        entry.starter = None if parent is None else parent.number
        # A sync cell runs within a step of a task of the kernel's, which is nobody's parent.
        hidden = parent is None or (entry.origin == "user" and parent.origin == "kernel")
        entry.parent = None if hidden else entry.starter

    def meet(self, task: Any) -> TaskEntry:
        """The entry of a task; one that is seen for the first time was there before the cell."""
        entry = self.table.entry_of(task)
        if entry is None:
            entry = self.table.add_task(task, task.get_coro(), self._loop(task.get_loop()).number, None)
            entry.name = user_name(task)
            entry.origin = origin_before_cell(entry.file)
        return entry

    def ended(self, task: Any, number: int, at_ns: int) -> None:
        """A task has taken its last step."""
        try:
            if number >= FIRST:
                self.stream.buffer.extend((at_ns, -ENDED - self.table.crowd.outcome_of(task), number))
            else:
                note_end(self.table.tasks[number], task, at_ns)
        except Exception as error:
            self.fail(error)

    # Wake-ups

    def woken(self, task: Any, future: Any, thread: int | None = None) -> None:
        """A task's wake-up was scheduled, because this future is done."""
        if not self.active:
            return
        at = monotonic_ns()
        try:
            number = self.table.numbers.get(id(task)) or self.meet(task).number
            delay = self.waits.delays.pop(id(future), None)
            if delay is None or thread is not None:
                wait = self.waits.look(task, future, thread)
            else:
                wait = self.waits.look_at_sleeper(task, future, delay)
            self.stream.buffer.extend((at, -wait, number))
        except Exception as error:
            self.fail(error)

    def bound(self, callback: Any, args: tuple[Any, ...], thread: int | None = None) -> None:
        """A bound method was scheduled: perhaps the step or wake-up of a task written in Python."""
        task = stepping_task(callback)
        if task is None:
            return
        if not is_step(callback):
            self.woken(task, args[0] if args else None, thread)
        elif id(task) not in self.table.numbers:
            self.scheduled(task, task.get_loop(), getframe(2))

    def sent(self, handle: Any, callback: Any, args: tuple[Any, ...], loop: Any) -> None:
        """A handle is about to be queued by call_soon_threadsafe."""
        try:
            if getattr(callback, "__qualname__", "") == EXECUTOR_RESULT and not is_of_executor():
                self._relayed.add(handle)
            if not runs_here(loop):
                self._senders[handle] = thread = threading.get_native_id()
                self.bound(callback, args, thread)
        except Exception as error:
            self.fail(error)

    def asks_for(self, lock: Any) -> None:
        """`acquire` of this lock is called: a free one is the running task's at once."""
        try:
            if is_free(lock):
                task = _current_task()
                if task is not None:
                    self.waits.holders.took(lock, self.meet(task).number)
        except Exception as error:
            self.fail(error)

    # Loops and their other callbacks

    def first(self, handle: Any) -> tuple[Any, int]:
        """The same for a task or loop that is seen for the first time."""
        try:
            task = getattr(callback_of(handle), "__self__", None)
            return (task, self.meet(task).number) if is_task(task) else (None, self.callback(handle))
        except Exception as error:
            self.fail(error)
            return None, 0

    def other(self, handle: Any) -> tuple[Any, int]:
        """Task and number of what this handle runs, where it is no usual step."""
        kind: Any = handle.__class__
        if not self._senders and not self._relayed and kind is events.Handle:
            callback, _, loop = handle_parts(handle)
            code = getattr(callback, "__code__", None)
            known = self.known_callbacks.get((id(code), id(loop)))
            if known is not None and known[1].ref() is loop:
                return None, self.known_callback(handle, known)
        task = stepping_task(callback_of(handle))
        return (None, self.callback(handle)) if task is None else (task, self.meet(task).number)

    def callback(self, handle: Any) -> int:
        """Minus the number of the kind of callback that this handle runs."""
        callback, args, where = handle_parts(handle)
        loop = self._loop(where)
        timer = isinstance(handle, (events.TimerHandle, SeenTimer))
        if args and (ended := self.table.numbers.get(id(args[0]))) and args[0].done():
            self.stream.buffer.extend((loop.number, 0, ended))
            group = getattr(callback, "__self__", None)
            if isinstance(group, asyncio.TaskGroup):
                parent = parent_of_group(group)
                if ended < FIRST:
                    self.table.tasks[ended].awaiter = self.table.number_of(parent)
        loop.sender = thread = self._senders.pop(handle, None) if self._senders else None
        relayed = handle in self._relayed if self._relayed else False
        key = loop.number, name_of(callback), timer, thread, relayed
        number = self._callback_numbers.get(key) or self._new_callback(key, handle)
        if not timer and thread is None and not relayed and type(callback) in (FunctionType, MethodType):
            code = callback.__code__
            self.known_callbacks[id(code), id(where)] = number, loop, code
        return number

    def known_callback(self, handle: Any, known: tuple[int, LoopEntry, CodeType]) -> int:
        """The same for one that was seen before, and that nobody has sent from elsewhere."""
        (callback, args, _), (number, loop, _) = handle_parts(handle), known
        ended = self.table.numbers.get(id(args[0])) if args else None
        if ended is not None and args[0].done():
            if ended < FIRST and type(callback) is MethodType:
                return self.callback(handle)
            self.stream.buffer.extend((loop.number, 0, ended))
        loop.sender = None
        return number

    def _new_callback(self, key: tuple[int, str, bool, int | None, bool], handle: Any) -> int:
        loop, name, timer, thread, relayed = key
        self.callbacks.append(
            Callback(loop, name, timer, not timer and _is_selected(handle), thread, relayed)
        )
        self._callback_numbers[key] = number = -len(self.callbacks)
        if timer and thread is None and name == SLEEP_TIMER:
            self.table.sleeps[id(own_loop(handle))] = number
        return number

    def stopped(self, loop: Any) -> None:
        """`stop` of this loop was called."""
        try:
            self.stops.append((self._loop(loop).number, monotonic_ns()))
        except Exception as error:
            self.fail(error)

    def _loop(self, loop: Any) -> LoopEntry:
        entry = self.table.loop_by_id.get(id(loop))
        if entry is None:
            entry = self.table.loop_of(loop, kernel=loop is self._kernel_loop)
        if not entry.native_id and runs_here(loop):
            entry.native_id = threading.get_native_id()
            entry.kernel = entry.kernel or is_kernels_thread(threading.get_ident())
        return entry


def _current_task() -> Any:
    loop = running_loop()
    return None if loop is None else asyncio.current_task(loop)


def _has_begun(coroutine: Any) -> bool:
    """Whether a coroutine has taken its first step already."""
    for kind in ("cr", "gi"):
        suspended = getattr(coroutine, f"{kind}_suspended", None)
        if suspended is not None:
            return bool(suspended or getattr(coroutine, f"{kind}_frame") is None)
    return False


def _is_selected(handle: Any) -> bool:
    """Whether the loop runs this handle because a file descriptor is ready."""
    selector = selector_of(own_loop(handle))
    keys = None if selector is None else selector.get_map()
    return keys is not None and any(
        isinstance(key.data, tuple) and any(other is handle for other in key.data) for key in keys.values()
    )
