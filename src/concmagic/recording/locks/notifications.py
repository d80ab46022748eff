"""Who wakes whom on a condition: `notify` has the locks on which those sleep that it lets go on.

Events, queues, semaphores, barriers and futures of the standard library are made of conditions. Where no
release of a lock is seen by itself, samples tell the address at which a thread slept, and this who woke it.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import Patches
from concmagic.interpreter.frames_and_threads import hide_frame
from concmagic.interpreter.lock_internals import address_of, waiters_of

_MOST = 20_000  # that are kept
Row = tuple[int, int, int]  # the address of the lock on which somebody slept, who let it go, and when


class Notifications:
    """Stands in for `Condition.notify` from `start` to `stop`; nothing is noted where nobody waits."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self.rows: list[Row] = []
        self._failed = failed
        self._patches = Patches()

    def start(self) -> None:
        """Put the stand-in in place."""
        self._patches.wrap(threading.Condition, "notify", self._noting)

    def stop(self) -> None:
        """Put the original back."""
        self._patches.restore()

    def _noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        note = self._note

        @functools.wraps(original)
        def notify(self: Any, n: int = 1) -> Any:
            try:
                if waiters := waiters_of(self):
                    note(waiters, n)
                return original(self, n)
            except BaseException as error:
                hide_frame(error)
                raise

        return notify

    def _note(self, waiters: Any, many: int) -> None:
        try:
            if len(self.rows) < _MOST:
                now_ns, native_id = monotonic_ns(), threading.get_native_id()
                woken = itertools.islice(list(waiters), many)
                self.rows.extend((address_of(lock), native_id, now_ns) for lock in woken)
        except Exception as error:
            self._failed(error)
