"""What the hooks of asyncio expect of the observer of tasks: what they call, and where they write."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

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
    births: Any
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
