"""asyncio's handles: made field by field, known by their callbacks' names; wake-ups of sleeping tasks.

The `__init__` of a handle asks the loop for its debug mode, a call that costs as much as all the rest. A
handle tells no more of itself than its callback, and a callback no more than its qualified name. Most of a
loop's wake-ups end a sleep: what such a wait is, the book of waits finds out once for every place that
sleeps; here it is only looked up.
"""

from __future__ import annotations

from asyncio import events, tasks
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.observer_protocol import Hook, Identity
from concmagic.interpreter.reading import borrowed, code_of

if TYPE_CHECKING:
    from concmagic.interpreter.observer_protocol import Watching


# What ends an `asyncio.sleep`.
SLEEP_TIMER = "_set_result_unless_cancelled"

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
    """What makes a `Handle` field by field, for a loop that is not in debug mode."""
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


def is_sleep(code: Any) -> bool:
    """Whether this is the code of `asyncio.sleep`; where that cannot be read nothing is."""
    return code is not None and code is _SLEEP


def is_known() -> bool:
    """Whether the code of `asyncio.sleep` was found."""
    return _SLEEP is not None


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
