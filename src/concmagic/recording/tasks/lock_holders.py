"""Who holds an asyncio.Lock: noted when it is taken, asked for when another task waits for it.

An asyncio.Lock is fair: who takes a free one has it at once, else the first that waits gets it when it is
woken. So a look at `acquire` as it is called, and at the wake-ups, tells the holder; nothing of ours is on
the stack while the lock's own code runs.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from concmagic.interpreter.asyncio_fields import mark_coroutine_function


class Notes(Protocol):
    """Who is told that a lock is asked for."""

    active: bool

    def asks_for(self, lock: Any) -> None:
        """`acquire` of this lock is called."""


class LockHolders:
    """Per lock the number of the task that took it last; no lock is kept alive by that."""

    def __init__(self) -> None:
        self._holders: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def took(self, lock: Any, number: int) -> None:
        """This task has the lock now."""
        self._holders[lock] = number

    def of(self, lock: Any) -> int | None:
        """Who took it last, and so has it for as long as others wait; None is not known."""
        return self._holders.get(lock)


def acquire_hook(notes: Notes, original: Callable[..., Any]) -> Callable[..., Any]:
    """The stand-in for `asyncio.Lock.acquire`: notes who takes a free lock."""

    @functools.wraps(original)
    def acquire(self: Any) -> Any:
        if notes.active:
            notes.asks_for(self)
        return original(self)

    _mark(acquire)
    return acquire


def _mark(function: Callable[..., Any]) -> None:
    """Say that this returns a coroutine, as the original does."""
    if hasattr(inspect, "markcoroutinefunction"):  # from 3.12
        inspect.markcoroutinefunction(function)
    else:
        mark_coroutine_function(function)
