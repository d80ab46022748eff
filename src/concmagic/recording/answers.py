"""Which thread has to end a wait that is for no lock: the one that is joined, or runs what is asked for."""

from __future__ import annotations

import weakref
from types import FrameType
from typing import Any

from concmagic.interpreter import known_functions
from concmagic.interpreter.frames_and_threads import is_join

_MOST = 10_000  # futures that are remembered
_JOIN_DEPTH = 2  # until 3.12 it waits in a function of its own

# By the id of a future of `concurrent.futures` itself and the loop that has to make it done.
_loops: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}


def note_sent(callback: Any, loop: Any) -> None:
    """Something is sent to a loop; if that is a coroutine, somebody is going to wait for its future."""
    from concmagic.interpreter.endless_waits import future_of_coroutine

    future = future_of_coroutine(callback)
    if future is not None and len(_loops) < _MOST:
        key = id(future)
        _loops[key] = weakref.ref(future, lambda _: _loops.pop(key, None)), weakref.ref(loop)


def forget() -> None:
    """Remember nothing of what was sent."""
    _loops.clear()


def joined_by(frame: FrameType | None) -> int:
    """The native id of the thread whose end or answer a frame waits for; 0 if that is not known."""
    at = frame
    for _ in range(_JOIN_DEPTH):
        if at is not None and is_join(at.f_code):
            return getattr(known_functions.owner(at), "native_id", None) or 0
        at = None if at is None else at.f_back
    return _loops_thread(frame) if _loops else 0


def _loops_thread(frame: FrameType | None) -> int:
    from concmagic.interpreter.endless_waits import awaited_future
    from concmagic.interpreter.task_scheduling import thread_of_loop

    future = awaited_future(frame)
    known, loop = _loops.get(id(future), (_nothing, _nothing))
    if future is None or known() is not future:
        return 0
    return thread_of_loop(loop())


def _nothing() -> None: ...
