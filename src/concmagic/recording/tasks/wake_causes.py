"""Which callback of a loop means what, for a task that it wakes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from concmagic.interpreter.hook_parts import EXECUTOR_RESULT, OF_DESCRIPTORS, OF_TIMERS
from concmagic.recording.labels import cut

Cause = Literal["task", "callback", "timer", "io", "thread", "self", "unknown"]


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
        return self.name.rpartition(".")[2] in OF_DESCRIPTORS

    @property
    def detail(self) -> str:
        """A word more on the cause, "" where it says all."""
        if self.timer:
            return OF_TIMERS.get(self.name, self.name)
        return "" if self.by_thread or self.relayed or self._is_asyncios_io else self.name


def name_of(callback: Any) -> str:
    """The qualified name of a callback, looking through `functools.partial`."""
    while isinstance(callback, partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None)
    return cut(name if isinstance(name, str) else type(callback).__qualname__)
