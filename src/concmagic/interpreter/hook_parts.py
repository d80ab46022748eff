"""What the hooks of asyncio share: the observer they tell, the names they know, handles made field by field.

A handle tells no more of itself than its callback, and a callback no more than its qualified name.
"""

from __future__ import annotations

import functools
import os
from asyncio import events, futures, tasks
from collections.abc import Callable
from contextvars import copy_context
from types import BuiltinFunctionType, FrameType, MethodType
from typing import Any, Protocol

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import borrowed, code_of

Hook = Callable[..., Any]


class Identity:
    """`identity[thing]` is `id(thing)`, but no call: recorded, that would cost more than it does."""

    __getitem__ = staticmethod(id)


class Watching(Protocol):
    """Keeps the books. The hooks take what they need of it once, as they are made: they run for each step.

    `table`, `stream` and `waits` are read and written field by field there, so they are given as they are.
    """

    active: bool
    table: Any
    stream: Any
    waits: Any
    futures: Any
    clock: Any  # `read()` and `long(begin, end)` of a thread's CPU clock
    first_member: int  # from here on a task's number tells its group
    created_mark: int  # minus this is written where a member of a group is made
    long_ns: int  # a step that takes longer is looked at
    known_places: dict[str, Any]  # whose code stands in a file
    unrecorded: list[Callable[[Callable[[Any], Any], Any], Any]]  # how to run a step without its calls

    def first(self, handle: Any) -> tuple[Any, int]:
        """Task and number of what a handle runs that was not seen before."""

    def other(self, handle: Any) -> tuple[Any, int]:
        """Task and number of what a handle runs, where it is no usual step."""

    def ended(self, task: Any, number: int, at_ns: int) -> None:
        """A task has taken its last step."""

    def created(self, task: Any, coroutine: Any, loop: Any, begin: int, named: bool) -> None:
        """`create_task` has returned this task."""

    def scheduled(self, task: Any, loop: Any, frame: FrameType) -> None:
        """A task that is not known yet asks for a step."""

    def woken(self, task: Any, future: Any, thread: int | None = None) -> None:
        """A task's wake-up was scheduled, because this future is done."""

    def bound(self, callback: Any, args: tuple[Any, ...], thread: int | None = None) -> None:
        """A bound method was scheduled."""

    def sent(self, handle: Any, callback: Any, args: tuple[Any, ...], loop: Any) -> None:
        """A handle is about to be queued from another thread."""

    def stopped(self, loop: Any) -> None:
        """`stop` of this loop was called."""

    def fail(self, error: Exception) -> None:
        """A hook has raised: record no more tasks, and let the cell go on."""


SLEEP_TIMER = "_set_result_unless_cancelled"  # what ends an `asyncio.sleep`

# A file descriptor became ready: the last part of the callback's qualified name.
OF_DESCRIPTORS = frozenset(
    {
        "_accept_connection",
        "_call_connection_lost",
        "_do_wait",  # a child process ended, told by its pidfd
        "_loop_reading",
        "_loop_writing",
        "_read_from_self",
        "_read_ready",
        "_sendto_ready",
        "_set_result_unless_cancelled",  # not as a timer: a connection is ready for use
        "_sock_accept",
        "_sock_connect_cb",
        "_sock_recv",
        "_sock_recv_into",
        "_sock_recvfrom",
        "_sock_recvfrom_into",
        "_sock_sendall",
        "_sock_sendto",
        "_write_ready",
    }
)

# A timer that only carries out what `sleep` and `timeout` asked for: its name would tell nothing.
OF_TIMERS = {
    SLEEP_TIMER: "",
    "Timeout._on_timeout": "timeout",
    "_release_waiter": "timeout",
}

# A future of an executor hands its result over; run in the loop's thread on behalf of the other one.
EXECUTOR_RESULT = "_chain_future.<locals>._set_state"

# Callbacks that only make a future done: none of them cancels a task.
CANCEL_NOBODY = frozenset({"_set_result_unless_cancelled", "BaseSelectorEventLoop._read_from_self"})

_FIELDS = {
    *("_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "__weakref__", "_context")
}
_TIMERS_FIELDS = {*_FIELDS, "_scheduled", "_when"}
_SLOTS = {*borrowed(events.Handle, "__slots__", (), at_import=True)}
HANDLES_ARE_KNOWN = _SLOTS == _FIELDS
TIMERS_ARE_KNOWN = {*borrowed(events.TimerHandle, "__slots__", (), at_import=True)} | _SLOTS == _TIMERS_FIELDS


def handle_maker() -> Hook:
    """What makes a `Handle` field by field, for a loop that is not in debug mode.

    Its own `__init__` asks for that mode, a call that costs as much as all the rest.
    """
    kind: Any = events.Handle
    if not HANDLES_ARE_KNOWN:
        return events.Handle
    make = object.__new__

    def make_handle(callback: Any, args: tuple[Any, ...], loop: Any, context: Any) -> Any:
        handle = make(kind)
        handle._context = copy_context() if context is None else context
        handle._callback, handle._args, handle._loop = callback, args, loop
        handle._cancelled, handle._repr, handle._source_traceback = False, None, None
        return handle

    return make_handle


class SeenHandle:
    """A callback on its way through a foreign loop; everything else about it is the callback's own."""

    __slots__ = ("__weakref__", "_args", "_callback", "_loop", "_run")
    timer = False

    def __init__(self, run: Hook, loop: Any, callback: Any) -> None:
        self._run, self._loop, self._callback = run, loop, callback
        self._args: tuple[Any, ...] = ()

    def __call__(self, *args: Any) -> Any:
        self._args = args
        return self._run(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._callback, name)

    def __repr__(self) -> str:
        return repr(self._callback)


class SeenTimer(SeenHandle):
    """A callback that a timer of a foreign loop runs."""

    __slots__ = ()
    timer = True


def call_handle(handle: Any) -> Any:
    """Call the callback of a handle with its arguments: what `Handle._run` does (Lib/asyncio/events.py)."""
    return handle._callback(*handle._args)


_SLEEP = code_of(tasks, "sleep")
IS_SLEEP_KNOWN = _SLEEP is not None


def is_sleep(code: Any) -> bool:
    """Whether this is the code of `asyncio.sleep`; where that cannot be read nothing is."""
    return code is not None and code is _SLEEP


def sleeper_noter(observer: Watching) -> Callable[[Any, Any], bool]:
    """What notes the wake-up of a task that slept in its own coroutine; False where it is any other.

    Most wake-ups are these. Operators and attributes rather than calls, as in `_run`.
    """
    numbers, buffer, book = observer.table.numbers, observer.stream.buffer, observer.waits
    delays, naps, identity = book.delays, book.naps, Identity()
    clock = iter(monotonic_ns, None)

    def notes_sleeper(task: Any, future: Any) -> bool:
        nonlocal buffer
        try:
            asleep = identity[future]
            delay = delays[asleep]
            coroutine = task._coro
            if coroutine.cr_await.cr_code is not _SLEEP:
                return False
            number = numbers[identity[task]]
            place = identity[coroutine.cr_code], coroutine.cr_frame.f_lasti
            wait = naps[delay, *place, future._state == "CANCELLED"]
            del delays[asleep]
        except (KeyError, AttributeError):  # seen for the first time, or a coroutine of another kind
            return False
        if observer.active:
            for at in clock:  # noqa: B007  (the first item, not all of them)
                break
            buffer += (at, -wait, number)
        return True

    return notes_sleeper


# How a task's own callbacks are called: C tasks use one type for their steps and a builtin method
# for wake-ups, tasks written in Python two bound methods.
_STEP_TYPE = "TaskStepMethWrapper"
WAKEUP = "task_wakeup"
SLEEP_IS_OVER = getattr(futures, SLEEP_TIMER, None)
STEP_IN_PYTHON, _WAKEUP_IN_PYTHON = "__step", "__wakeup"


class NoSuchCallback:
    """Stands for the step's type where the interpreter has none of its own."""


@functools.cache  # to look through all classes would cost a forked child three milliseconds
def step_type() -> type:
    """The type of the callback that is a C task's step; no module offers it by name."""
    return next((kind for kind in object.__subclasses__() if kind.__name__ == _STEP_TYPE), NoSuchCallback)


def hide_hook(made: Any) -> None:
    """In debug mode asyncio remembers where a handle or task was made: that is not in here."""
    trace = getattr(made, "_source_traceback", None)
    if trace:
        del trace[-1]


def is_asyncios(function: Hook | None) -> bool:
    """Whether this is asyncio's own, and nobody else stands in for it already."""
    code = getattr(function, "__code__", None)
    return code is not None and os.path.dirname(code.co_filename) == os.path.dirname(events.__file__)


def stepping_task(callback: Any) -> Any:
    """The task that this callback is a step or a wake-up of; None for any other callback.

    For all but a C task's step, which the hooks know by its type.
    """
    kind = type(callback)
    if kind is BuiltinFunctionType:
        return callback.__self__ if callback.__name__ == WAKEUP else None
    if kind is MethodType and callback.__name__ in (STEP_IN_PYTHON, _WAKEUP_IN_PYTHON):
        return callback.__self__ if hasattr(callback.__self__, "get_coro") else None
    return None


def is_step(callback: Any) -> bool:
    """Whether a bound method is a Python-written task's step, not its wake-up."""
    return bool(callback.__name__ == STEP_IN_PYTHON)


CodeName = tuple[str, str]  # module of asyncio, qualified name
AS_COMPLETED: tuple[CodeName, ...] = (
    ("tasks", "as_completed.<locals>._wait_for_one"),  # 3.11, 3.12
    ("tasks", "_AsCompletedIterator._wait_for_one"),  # from 3.13
)
ASYNCIO_WAIT: CodeName = ("tasks", "_wait")
CANCEL_AND_WAIT: CodeName = ("tasks", "_cancel_and_wait")  # of `wait_for`
TASK_GROUP: CodeName = ("taskgroups", "TaskGroup._aexit")  # from 3.13
UNIX_CONNECTION: CodeName = ("unix_events", "_UnixSelectorEventLoop.create_unix_connection")
SUBPROCESS_WAIT: CodeName = ("base_subprocess", "BaseSubprocessTransport._wait")
ACCEPT: CodeName = ("selector_events", "BaseSelectorEventLoop._accept_connection2")
LOOP_CLASSES = ("BaseEventLoop", "BaseSelectorEventLoop", "_UnixSelectorEventLoop")

# Methods of transports, by what they do.
TRANSPORT_READS = (
    "_SelectorSocketTransport._read_ready",
    "_UnixReadPipeTransport._read_ready",
    "_ProactorReadPipeTransport._loop_reading",
)
TRANSPORT_WRITES = (
    "_SelectorSocketTransport._write_ready",
    "_SelectorSocketTransport._write_send",  # from 3.12, as the next one
    "_SelectorSocketTransport._write_sendmsg",
    "_UnixWritePipeTransport._write_ready",
    "_ProactorBaseWritePipeTransport._loop_writing",
)
TRANSPORT_CLOSES = tuple(
    f"{kind}._call_connection_lost"
    for kind in ("_SelectorTransport", "_SelectorSocketTransport", "_ProactorBasePipeTransport")
)
DATAGRAM_RECEIVES = ("_SelectorDatagramTransport._read_ready", "_ProactorDatagramTransport._loop_reading")
DATAGRAM_SENDS = ("_SelectorDatagramTransport._sendto_ready",)
