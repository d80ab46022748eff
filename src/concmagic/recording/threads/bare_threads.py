"""Threads started by `_thread.start_new_thread` itself, below `threading`.

The thread runs a chain of functions written in C around the user's, so that the traceback of one
that fails has no frame of ours. The chain asks a generator for the function (the thread begins);
the generator is resumed when it returned, or closed when it raised (the thread ends).
"""

from __future__ import annotations

import _thread
import collections
import functools
import operator
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from concmagic.clock import monotonic_ns
from concmagic.interpreter.patches import Patches
from concmagic.recording.guards import guarded
from concmagic.recording.labels import name_of
from concmagic.recording.threads import whose_thread as thread_origin
from concmagic.recording.threads.thread_life import Life


class Lives(Protocol):
    """Who is told of the lives of threads."""

    def begin(self, life: Life) -> None:
        """A thread begins; called in it."""

    def end(self, life: Life) -> None:
        """It ends; called in it."""

    def failed(self, error: BaseException) -> None:
        """Something of ours has failed."""


class BareThreads:
    """Replaces `_thread.start_new_thread` from `install` to `uninstall`."""

    def __init__(self, lives: Lives) -> None:
        self._lives = lives
        self._patches = Patches()

    def install(self) -> None:
        """Begin to see bare threads."""
        self._patches.wrap(_thread, "start_new_thread", partial(_starting, self._lives))

    def uninstall(self) -> None:
        """Put the function back, unless somebody has put their own over ours."""
        self._patches.restore()


class _Chain(functools.partial[Any]):
    """Prints as the user's function: an uncaught exception names it."""

    def __repr__(self) -> str:
        return repr(self.function)  # type: ignore[attr-defined]


def _starting(lives: Lives, original: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(original)
    def start_new_thread(function: Any, args: Any, *more: Any) -> int:
        keywords = more[0] if more else {}
        sound = callable(function) and isinstance(args, tuple) and isinstance(keywords, dict)
        if not sound or len(more) > 1:
            return original(function, args, *more)  # it raises what it always raises
        call = functools.partial(function, *args, **keywords)
        steps = _steps(lives, function, call, monotonic_ns(), threading.get_native_id())
        chain = _Chain(collections.deque, map(operator.call, steps), 0)
        chain.function = function  # type: ignore[attr-defined]
        return original(chain, ())

    return start_new_thread


def _steps(lives: Lives, function: Any, call: Any, started_ns: int, starter: int) -> Iterator[Any]:
    life = guarded(partial(_begun, lives, function, started_ns, starter), lives.failed)
    del function
    try:
        yield call
    finally:
        if life is not None:
            guarded(partial(lives.end, life), lives.failed)


def _begun(lives: Lives, function: Any, started_ns: int, starter: int) -> Life:
    life = Life(name_of(function), True, thread_origin.origin_of(function))
    life.started_ns, life.starter = started_ns, starter
    lives.begin(life)
    return life
