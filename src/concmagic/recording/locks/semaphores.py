"""Who holds the permits of each `threading.Semaphore`, by the returns of its `acquire` and `release`.

A semaphore is no lock of C and does not know who has it. Where somebody lets go what they never took, it is
no permit but a signal that is passed on, and from then on nobody holds it.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from types import CodeType
from typing import Any

from concmagic.interpreter.reading import code_of
from concmagic.recording.locks.lock_state import MOST_HOLDERS

_MOST_PAST = 64  # holdings of one semaphore that are over
_PRUNE_AT = 1_000
_TELLING = (
    (threading.Semaphore, "acquire", True),
    (threading.Semaphore, "release", False),
    (threading.BoundedSemaphore, "release", False),
)


class _Permits:
    """Of one semaphore."""

    __slots__ = ("held", "is_signal", "past", "ref")

    def __init__(self, semaphore: Any) -> None:
        self.ref = weakref.ref(semaphore)
        self.held: dict[int, list[int]] = {}  # by native id since when, one for each permit
        self.past: deque[tuple[int, int, int]] = deque(maxlen=_MOST_PAST)  # since when, until when, who
        self.is_signal = False


class Semaphores:
    """All semaphores that were met during a recording; keeps none alive."""

    def __init__(self) -> None:
        self._permits: dict[int, _Permits] = {}

    def acquired(self, semaphore: Any, native_id: int, how_many: int, now_ns: int) -> None:
        """A thread has got permits."""
        self._of(semaphore).held.setdefault(native_id, []).extend([now_ns] * how_many)

    def released(self, semaphore: Any, native_id: int, how_many: int, now_ns: int) -> None:
        """A thread has given permits back, or has given what it never had."""
        permits = self._of(semaphore)
        own = permits.held.get(native_id, [])
        permits.is_signal = permits.is_signal or how_many > len(own)
        for _ in range(min(how_many, len(own))):
            permits.past.append((own.pop(), now_ns, native_id))

    def holders(self, semaphore: Any, at_ns: int) -> tuple[int, ...]:
        """Who had a permit at a moment, by native id, in the order of taking it."""
        permits = self._permits.get(id(semaphore))
        if permits is None or permits.ref() is not semaphore or permits.is_signal:
            return ()
        past = [(since_ns, who) for since_ns, until_ns, who in list(permits.past) if until_ns > at_ns]
        now = [(since_ns, who) for who, own in list(permits.held.items()) for since_ns in list(own)]
        found = dict.fromkeys(who for since_ns, who in sorted((*past, *now)) if since_ns <= at_ns)
        return tuple(found)[:MOST_HOLDERS]

    def _of(self, semaphore: Any) -> _Permits:
        found = self._permits.get(id(semaphore))
        if found is None or found.ref() is not semaphore:
            if len(self._permits) % _PRUNE_AT == _PRUNE_AT - 1:
                for key in [key for key, one in list(self._permits.items()) if one.ref() is None]:
                    self._permits.pop(key, None)
            found = self._permits[id(semaphore)] = _Permits(semaphore)
        return found


def codes() -> dict[CodeType, bool]:
    """The functions whose return tells it → whether they take."""
    found = {code_of(kind, name, at_import=False): takes for kind, name, takes in _TELLING}
    return {code: takes for code, takes in found.items() if code is not None}
