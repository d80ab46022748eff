"""What the hooks tell, and what is made of it while the cell runs."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import threading
import weakref
from asyncio import events
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.code_owner import known_owners
from concmagic.interpreter.asyncio_internals import (
    callback_of,
    handle_parts,
    is_free,
    mark_coroutine_function,
    own_loop,
    parent_of_group,
    runs_here,
)
from concmagic.interpreter.borrowing import running_loop
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.interpreter.hook_parts import (
    EXECUTOR_RESULT,
    SLEEP_TIMER,
    Hook,
    SeenTimer,
    is_step,
    stepping_task,
)
from concmagic.interpreter.task_scheduling import is_selected, thread_of_loop
from concmagic.interpreter.task_steps import is_create_task
from concmagic.problems import Problem
from concmagic.recording import answers, earlier
from concmagic.recording.profiles import unrecorded
from concmagic.recording.tasks.bare_futures import CreatedFutures, is_of_executor
from concmagic.recording.tasks.folding import Folding
from concmagic.recording.tasks.loop_runs import LoopRuns
from concmagic.recording.tasks.step_records import LONG_NS, Callback, StepClock, Stream, name_of
from concmagic.recording.tasks.task_groups import CREATED, ENDED, FIRST
from concmagic.recording.tasks.task_parents import TaskParents
from concmagic.recording.tasks.task_table import (
    LoopEntry,
    TaskTable,
    exception_text,
    is_task,
    note_end,
    shown_name,
)
from concmagic.recording.tasks.waits import WaitBook
from concmagic.records.recording import RawCode


class Observer:
    """Keeps the books of one recording. Its methods are called by the hooks and never raise."""

    first_member, created_mark, long_ns = FIRST, CREATED, LONG_NS
    known_places, unrecorded = known_owners, unrecorded

    def __init__(self, kernel_loop: Any, limit: int, told: int) -> None:
        self.active, self.pid = False, os.getpid()
        self.table = TaskTable(told, kernel_loop)
        self.stream = Stream(Folding(limit, self.table.crowd, self._loop_of))
        self.parents = TaskParents(self.table, self.stream)
        self.clock = StepClock()
        self.waits = WaitBook(shown_name, self.table.number_of)
        self.table.crowd.reason_of, self.table.crowd.text_of = self.waits.reason_of, exception_text
        self.futures = CreatedFutures(self.waits.made, self.fail)
        self.callbacks: list[Callback] = []
        self.problems: list[Problem] = []
        self.stops: list[tuple[int, int]] = []  # a loop's number, and when it was told to stop
        self.unawaited: list[RawCode] = []
        self._callback_numbers: dict[tuple[int, str, bool, int | None, bool], int] = {}
        # Identities of a callback's code and of its loop → its number, the loop, and the code to keep it.
        self.known_callbacks: dict[tuple[int, int], tuple[int, LoopEntry, CodeType]] = {}
        self.runs = LoopRuns(self.table.loop_of)
        # Which thread (native id) sent a handle with call_soon_threadsafe, and when, until it has run.
        self._senders: weakref.WeakKeyDictionary[Any, tuple[int, int]] = weakref.WeakKeyDictionary()
        self._relayed: weakref.WeakSet[Any] = weakref.WeakSet()  # handles of results that are no executor's
        # By identity: a future that another thread makes done, and that thread's native id.
        self._done_by: dict[int, tuple[weakref.ref[Any], int]] = {}

    def fail(self, error: Exception) -> None:
        """Give up after an error of our own: the cell goes on as if nobody watched."""
        if self.active:
            self.active = False
            self.problems.append(Problem.of("tasks_lost", f"{type(error).__name__}: {error}"))

    # Tasks

    def created(self, task: Any, coroutine: Any, loop: Any, begin: int, named: bool) -> None:
        """`create_task` has returned this task."""
        step = begin, monotonic_ns()
        try:
            if is_task(task):
                self.parents.created(task, coroutine, loop, step, named, getframe(2))
        except Exception as error:
            self.fail(error)

    def scheduled(self, task: Any, loop: Any, frame: FrameType) -> None:
        """A task that is not known yet asks for a step: a new one, perhaps made without `create_task`."""
        if not self.active or is_create_task(frame.f_code):  # in the second case `created` tells it all
            return
        try:
            self.parents.scheduled(task, loop, frame)
        except Exception as error:
            self.fail(error)

    def _loop_of(self, number: int) -> int:
        """The number of the loop of a task, or of what runs a callback."""
        return self.callbacks[-number - 1].loop if number < 0 else self.table.tasks[number].loop

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
            number = self.table.numbers.get(id(task)) or self.parents.meet(task).number
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
            answers.note_sent(callback, loop)
            if getattr(callback, "__qualname__", "") == EXECUTOR_RESULT and not is_of_executor():
                self._relayed.add(handle)
            if not runs_here(loop):
                self._senders[handle] = (thread := threading.get_native_id()), monotonic_ns()
                if earlier.has_any():
                    earlier.note_sent(thread_of_loop(loop))
                self.bound(callback, args, thread)
                if getattr(callback, "__qualname__", "") == EXECUTOR_RESULT and args:
                    self._makes_done(args[0], thread)
        except Exception as error:
            self.fail(error)

    def _makes_done(self, future: Any, thread: int) -> None:
        """This future's callbacks run because of what a thread did: `gather`, `wait` and others have some."""
        key, done_by = id(future), self._done_by
        done_by[key] = weakref.ref(future, lambda _: done_by.pop(key, None)), thread

    def _thread_behind(self, args: tuple[Any, ...]) -> int | None:
        """The thread that made the future done that a callback is called with."""
        future, thread = self._done_by.get(id(args[0]), (None, 0)) if args else (None, 0)
        return thread if future is not None and future() is args[0] else None

    def asks_for(self, lock: Any) -> None:
        """`acquire` of this lock is called: a free one is the running task's at once."""
        try:
            if is_free(lock):
                task = current_task()
                if task is not None:
                    self.waits.holders[lock] = self.parents.meet(task).number
        except Exception as error:
            self.fail(error)

    # Loops and their other callbacks

    def first(self, handle: Any) -> tuple[Any, int]:
        """Task and number of what this handle runs, where its task or loop is seen for the first time."""
        try:
            task = getattr(callback_of(handle), "__self__", None)
            return (task, self.parents.meet(task).number) if is_task(task) else (None, self.callback(handle))
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
        return (None, self.callback(handle)) if task is None else (task, self.parents.meet(task).number)

    def callback(self, handle: Any) -> int:
        """Minus the number of the kind of callback that this handle runs."""
        callback, args, where = handle_parts(handle)
        loop = self.table.loop_of(where)
        timer = isinstance(handle, (events.TimerHandle, SeenTimer))
        if args and (ended := self.table.numbers.get(id(args[0]))) and args[0].done():
            self.stream.buffer.extend((loop.number, 0, ended))
            group = getattr(callback, "__self__", None)
            if isinstance(group, asyncio.TaskGroup):
                parent = parent_of_group(group)
                if ended < FIRST:
                    self.table.tasks[ended].awaiter = self.table.number_of(parent)
        sent = self._senders.pop(handle, None) if self._senders else None
        loop.sender = thread = None if sent is None else sent[0]
        if timer or sent is not None:
            self.runs.due(loop, handle, sent)
        relayed = handle in self._relayed if self._relayed else False
        if thread is None and self._done_by:
            thread = self._thread_behind(args)
        key = loop.number, name_of(callback), timer, thread, relayed
        number = self._callback_numbers.get(key) or self._new_callback(key, handle)
        if not timer and thread is None and not relayed and type(callback) in (FunctionType, MethodType):
            code = callback.__code__
            self.known_callbacks[id(code), id(where)] = number, loop, code
        return number

    def known_callback(self, handle: Any, known: tuple[int, LoopEntry, CodeType]) -> int:
        """The number of a callback whose code was seen before, and that no other thread has sent."""
        (callback, args, _), (number, loop, _) = handle_parts(handle), known
        if self._done_by and self._thread_behind(args) is not None:
            return self.callback(handle)
        ended = self.table.numbers.get(id(args[0])) if args else None
        if ended is not None and args[0].done():
            if ended < FIRST and type(callback) is MethodType:
                return self.callback(handle)
            self.stream.buffer.extend((loop.number, 0, ended))
        loop.sender = None
        return number

    def _new_callback(self, key: tuple[int, str, bool, int | None, bool], handle: Any) -> int:
        loop, name, timer, thread, relayed = key
        self.callbacks.append(Callback(loop, name, timer, not timer and is_selected(handle), thread, relayed))
        self._callback_numbers[key] = number = -len(self.callbacks)
        if timer and thread is None and name == SLEEP_TIMER:
            self.table.sleeps[id(own_loop(handle))] = number
        return number

    def stopped(self, loop: Any) -> None:
        """`stop` of this loop was called."""
        try:
            self.stops.append((self.table.loop_of(loop).number, monotonic_ns()))
        except Exception as error:
            self.fail(error)


def acquire_hook(observer: Observer, original: Hook) -> Hook:
    """The stand-in for `asyncio.Lock.acquire`: notes who takes a free lock."""

    @functools.wraps(original)
    def acquire(self: Any) -> Any:
        if observer.active:
            observer.asks_for(self)
        return original(self)

    if hasattr(inspect, "markcoroutinefunction"):  # from 3.12: it returns a coroutine, as the original does
        inspect.markcoroutinefunction(acquire)
    else:
        mark_coroutine_function(acquire)
    return acquire


def current_task() -> Any:
    """The task that the calling thread runs; None where it runs none, or no loop."""
    loop = running_loop()
    return None if loop is None else asyncio.current_task(loop)
