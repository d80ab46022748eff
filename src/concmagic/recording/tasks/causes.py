"""Which callback of a loop means what, for a task that it wakes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from concmagic.recording.texts import cut

Cause = Literal["task", "callback", "timer", "io", "thread", "self", "unknown"]

# A file descriptor became ready: the last part of the callback's qualified name.
_IO = frozenset(
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
_TIMERS = {
    "_set_result_unless_cancelled": "",
    "Timeout._on_timeout": "timeout",
    "_release_waiter": "timeout",
}

# A future of an executor hands its result over; run in the loop's thread on behalf of the other one.
EXECUTOR_RESULT = "_chain_future.<locals>._set_state"

# Callbacks that only make a future done: none of them cancels a task.
CANCEL_NOBODY = frozenset({"_set_result_unless_cancelled", "BaseSelectorEventLoop._read_from_self"})


@dataclass(frozen=True, slots=True)
class Callback:
    """A kind of callback that is no task's step, on one loop."""

    loop: int
    name: str
    timer: bool = False
    io: bool = False  # the loop's selector holds its handle
    thread: int | None = None  # native id of the thread that sent it with call_soon_threadsafe
    relayed: bool = False  # a result that is handed over, and is no executor's: a coroutine's in another loop

    @property
    def by_thread(self) -> bool:
        """Whether another thread is behind it: which one is not known of a job that was over at once."""
        return self.thread is not None or self.of_executor

    @property
    def of_executor(self) -> bool:
        """Whether it hands over the result of an executor's job."""
        return self.name == EXECUTOR_RESULT and not self.relayed

    @property
    def cause(self) -> Cause:
        """What a wake-up by this callback is put down to."""
        if self.by_thread:
            return "thread"
        if self.timer:
            return "timer"
        return "io" if self.io or self._is_asyncios_io else "callback"

    @property
    def _is_asyncios_io(self) -> bool:
        return self.name.rpartition(".")[2] in _IO

    @property
    def detail(self) -> str:
        """A word more on the cause, "" where it says all."""
        if self.timer:
            return _TIMERS.get(self.name, self.name)
        return "" if self.by_thread or self.relayed or self._is_asyncios_io else self.name


def name_of(callback: Any) -> str:
    """The qualified name of a callback, looking through `functools.partial`."""
    while isinstance(callback, partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None)
    return cut(name if isinstance(name, str) else type(callback).__qualname__)
