"""The tasks and loops of a cell, each known by a number, and how tasks ended; none is kept alive by it."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import CodeType, FunctionType, MethodType, TracebackType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.code_owner import KERNEL, owner_of
from concmagic.interpreter.asyncio_internals import error_of, inside, runs_here
from concmagic.interpreter.frames_and_threads import target_of, thread_of
from concmagic.interpreter.known_functions import given_to_thread
from concmagic.recording.labels import cut, name_of
from concmagic.recording.tasks.task_groups import FIRST, TOLD, Crowd
from concmagic.records.recording import CodeLine, Origin, Wait

_AUTOMATIC_NAME = re.compile(r"Task-\d+\Z")
# What returned an awaitable of an asynchronous generator.
_CALLED = {"async_generator_asend": "asend", "async_generator_athrow": "aclose"}
_WITH_CODE = (FunctionType, MethodType)
_LONGEST_TEXT = 200  # of an exception's text
_FRAMES_AT_EACH_END = 10  # of a traceback: endless recursion has a thousand


class _Ref(weakref.ref[Any]):
    """A weak reference that still knows which entry it belonged to when its object is gone."""

    __slots__ = ("entry", "identity")
    entry: TaskEntry
    identity: int


class _LoopRef(weakref.ref[Any]):
    """A weak reference to a loop that knows its identity when the loop is gone."""

    __slots__ = ("identity",)
    identity: int


@dataclass(slots=True, eq=False)
class TaskEntry:
    """What is known of one task so far."""

    number: int
    coroutine: str
    file: str
    line: int
    loop: int
    created_ns: int | None
    name: str = ""
    parent: int | None = None
    origin: Origin = "user"
    ended_ns: int | None = None
    outcome: str = ""
    exception: str = ""
    raised_in: tuple[CodeLine, ...] = ()
    eager: tuple[int, int] | None = None  # its first step ran while it was being created
    starter: int | None = None  # the task in whose step that was
    eager_at: tuple[str, int] = ("", 0)  # file and line that created it then
    sender: int | None = None  # native id of the thread that had it made, by `call_soon_threadsafe`
    by_loop: bool = False  # a callback of a loop made it, for a connection: no code of the user's holds it
    awaiter: int | None = None  # the task whose TaskGroup it was in
    was_cancelled: bool = False  # somebody asked for it, whether or not it began
    last_wait: Wait | None = None
    unretrieved: bool = False
    ref: Any = None


@dataclass(slots=True, eq=False)
class LoopEntry:
    """What is known of one event loop."""

    number: int
    native_id: int
    kernel: bool
    sender: int | None = None  # native id of the thread that sent the callback that runs, if one did
    ref: Any = None


class TaskTable:
    """Numbers for tasks and loops, from 1, by identity and only while they live."""

    def __init__(self, told: int = TOLD, kernel_loop: Any = None) -> None:
        self.numbers: dict[int, int] = {}  # id of a living task → its number, or of one that was in a group
        self.crowd = Crowd()
        self._told, self._kernel_loop = told, kernel_loop
        self.sleeps: dict[int, int] = {}  # id of a living loop → its callback that ends a `sleep`
        self.tasks: dict[int, TaskEntry] = {}
        self.loops: dict[int, LoopEntry] = {}
        self.loop_by_id: dict[int, LoopEntry] = {}
        self._when_gone: Callable[[Any], None] = self._forget
        self._next_task = count(1)
        self._next_loop = count(1)

    @property
    def is_full(self) -> bool:
        """Whether further tasks are members of groups."""
        return len(self.tasks) >= self._told

    def knows_earlier(self) -> bool:
        """Whether any task is an earlier cell's."""
        return any(entry.origin == "earlier" for entry in tuple(self.tasks.values()))

    def add_task(self, task: Any, coroutine: Any, loop: int, created_ns: int | None) -> TaskEntry:
        """Give a task its number."""
        entry = self.new_entry(coroutine, loop, created_ns)
        function = given_to_thread(code_of(coroutine), coroutine)
        if function is not None:  # it is what the task is for
            function = function.func if type(function) is partial else function
            code = getattr(function, "__code__", None) if type(function) in _WITH_CODE else None
            entry.coroutine = name_of(function)
            entry.file, entry.line = ("", 0) if code is None else (code.co_filename, code.co_firstlineno)
        entry.ref = ref = _Ref(task, self._when_gone)
        ref.entry, ref.identity = entry, id(task)
        self.numbers[ref.identity] = entry.number
        return entry

    def new_entry(self, coroutine: Any, loop: int, created_ns: int | None) -> TaskEntry:
        """An entry for what runs this coroutine."""
        code = code_of(coroutine)
        name = getattr(coroutine, "__qualname__", "")
        if code is None and (inner := inside(coroutine)) is not None:
            # `aclose()` of a generator, a loop's task
            code, name = code_of(inner), f"{inner.__qualname__}.{_CALLED.get(type(coroutine).__name__, '')}"
        name = cut(name or type(coroutine).__qualname__)
        file, line = ("", 0) if code is None else (code.co_filename, code.co_firstlineno)
        number = next(self._next_task)
        entry = self.tasks[number] = TaskEntry(number, name, file, line, loop, created_ns)
        return entry

    def _forget(self, ref: Any) -> None:
        """A task is gone, and its identity may soon be another's."""
        self.numbers.pop(ref.identity, None)
        if ref.entry.ended_ns is None:
            ref.entry.ended_ns, ref.entry.outcome = monotonic_ns(), "destroyed"

    def _forget_loop(self, ref: Any) -> None:
        self.loop_by_id.pop(ref.identity, None)
        self.sleeps.pop(ref.identity, None)

    def close(self) -> None:
        """Let go of the references, which would otherwise wait for the garbage collector."""
        self._when_gone = _ignore
        for task in [*self.tasks.values()]:
            task.ref = None
        for loop in [*self.loops.values()]:
            loop.ref = None
        self.numbers.clear()

    def entry_of(self, task: Any) -> TaskEntry | None:
        """The entry of a task that has one; of a member of a group the group's."""
        number = self.number_of(task)
        return None if number is None else self.tasks.get(number)

    def number_of(self, task: Any) -> int | None:
        """The number that is told for a task."""
        number = self.numbers.get(id(task))
        return number if number is None or number < FIRST else self.crowd.shown(number)

    def loop_of(self, loop: Any) -> LoopEntry:
        """The entry of a loop, made where it has none."""
        entry = self.loop_by_id.get(id(loop))
        if entry is None:
            entry = LoopEntry(next(self._next_loop), 0, loop is self._kernel_loop)
            entry.ref = _LoopRef(loop, self._forget_loop)
            entry.ref.identity = id(loop)
            self.loop_by_id[id(loop)] = self.loops[entry.number] = entry
        if not entry.native_id and runs_here(loop):
            entry.native_id = threading.get_native_id()
            entry.kernel = entry.kernel or _is_kernels_thread(threading.get_ident())
        return entry


def _ignore(_ref: Any) -> None:
    """What a reference calls once nobody records."""


def user_name(task: Any) -> str:
    """The name that the user gave a task; "" for the one asyncio gives by itself."""
    get_name = getattr(task, "get_name", None)
    name = cut(get_name()) if get_name is not None else ""
    return "" if name.startswith("Task-") and _AUTOMATIC_NAME.match(name) else name


def named_by_library(name: str, coroutine: str, file: str) -> str:
    """The function that a library has called a task by, with its module before it; "" where it did not.

    So anyio does, whose own coroutine is around the one that the task is made for.
    """
    for module in _beginnings(name):
        function = name[len(module) + 1 :]
        if module in sys.modules and (function == coroutine or owner_of(file) == "library"):
            return function
    return ""


def _beginnings(dotted: str) -> Iterator[str]:
    """Of "a.b.c": "a.b", then "a"."""
    while "." in dotted:
        dotted = dotted.rpartition(".")[0]
        yield dotted


def shown_name(task: Any) -> str:
    """What to call a task in a sentence: the user's name, else its coroutine's."""
    return user_name(task) or cut(getattr(task.get_coro(), "__qualname__", ""))


def is_task(value: Any) -> bool:
    """Whether this is a task, also one of a class of the user's."""
    return isinstance(value, asyncio.Future) and hasattr(value, "get_coro")


def note_end(entry: TaskEntry, task: Any, at_ns: int) -> None:
    """Write down how a finished task ended, without counting as someone who retrieved its exception."""
    entry.ended_ns = at_ns
    entry.name = user_name(task)
    if task.cancelled():
        entry.outcome = "cancelled"
        cancelling = getattr(task, "cancelling", None)
        entry.was_cancelled = cancelling is not None and cancelling() > 0
        return
    # Not task.exception(): that would silence asyncio's warning that nobody retrieved it.
    error = error_of(task)
    if error is None:
        entry.outcome = "returned"
        return
    entry.outcome = f"raised {cut(type(error).__name__)}"
    entry.exception = exception_text(error)
    entry.raised_in = frames_of(error)


def exception_text(error: BaseException) -> str:
    """One short line: "ValueError: too small"."""
    text = ""
    with suppress(Exception):  # an exception's own __str__ may fail: its name alone is told then
        text = " ".join(cut(str(error), _LONGEST_TEXT).split())
    kind = cut(type(error).__name__)
    return f"{kind}: {text}" if text else kind


def frames_of(error: BaseException) -> tuple[CodeLine, ...]:
    """The traceback as plain data, innermost last: it keeps no frame alive, and nothing in one."""
    found: list[CodeLine] = []
    at: TracebackType | None = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        if owner_of(code.co_filename) != "ours":
            found.append((code.co_filename, at.tb_lineno or 0, code.co_qualname))
        if len(found) > 2 * _FRAMES_AT_EACH_END:
            del found[_FRAMES_AT_EACH_END]
        at = at.tb_next
    return tuple(found)


def code_of(coroutine: Any) -> CodeType | None:
    """The code object behind a coroutine or generator; None for one that is not written in Python."""
    for attribute in ("cr_code", "gi_code", "ag_code"):
        code = getattr(coroutine, attribute, None)
        if isinstance(code, CodeType):
            return code
    return None


def _is_kernels_thread(ident: int) -> bool:
    """Whether the kernel started this thread for itself (its channels, its output)."""
    thread = thread_of(ident)
    target = target_of(thread)
    modules = (type(thread).__module__, getattr(target, "__module__", None) or "")
    return any(module.partition(".")[0] in KERNEL for module in modules)
