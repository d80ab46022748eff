"""Where futures are made: by a loop's `create_future`, or by hand, with `asyncio.Future()`.

Their class is written in C and tells nobody of a new one; but while one is made, its loop is asked
whether it is in debug mode. The future is nobody's yet then, and the newest thing that the collector knows.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from itertools import islice
from types import FrameType
from typing import Any

from concmagic.code_owner import owner_of
from concmagic.interpreter import support
from concmagic.interpreter.asyncio_fields import own_loop
from concmagic.records.recording import CodePlace

_MOST_BY_HAND = 1_000  # futures whose place is found: each takes up to 20 µs
_MOST_LOOKED_THROUGH = 5_000  # objects since the last collection, all of which are listed: 20 µs
_NEWEST = 8  # frames and the like may have come after it
_IN_ORDER = not support.FREE_THREADED  # there the collector keeps no objects in their order


class Births:
    """Notes where each future was made. Its methods are called by the hooks and never raise."""

    def __init__(
        self, places: weakref.WeakKeyDictionary[Any, CodePlace], fail: Callable[[Exception], None]
    ) -> None:
        self._places = places
        self._fail = fail
        self._by_hand = 0

    def made(self, future: Any, frame: FrameType) -> None:
        """`create_future` was called here."""
        try:
            if owner_of(frame.f_code.co_filename) not in ("stdlib", "ours"):
                self._places[future] = frame.f_code.co_filename, frame.f_lineno
        except Exception as error:
            self._fail(error)

    def by_hand(self, loop: Any, frame: FrameType) -> None:
        """A loop was asked for its debug mode here: perhaps by a future that is being made."""
        try:
            code = frame.f_code
            if owner_of(code.co_filename) in ("stdlib", "ours") or "get_debug" in code.co_names:
                return  # in the second case the code itself may have asked
            future = newest_future(loop) if self._by_hand < _MOST_BY_HAND else None
            self._by_hand += 1
            if future is None:
                return
            while frame.f_code.co_name == "__init__" and frame.f_back is not None:
                frame = frame.f_back  # a class of the user's own: what makes one is told
            self._places[future] = frame.f_code.co_filename, frame.f_lineno
        except Exception as error:
            self._fail(error)


def newest_future(loop: Any) -> Any:
    """The future of this loop that is being made right now; None where that cannot be told."""
    if not _IN_ORDER or gc.get_count()[0] > _MOST_LOOKED_THROUGH:
        return None
    for thing in islice(reversed(gc.get_objects(0)), _NEWEST):
        kind: Any = type(thing)
        if issubclass(kind, asyncio.Future) and kind.__hash__ is object.__hash__:
            is_task = hasattr(kind, "get_coro")
            return None if is_task or own_loop(thing) is not loop or thing.done() else thing
    return None
