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
from concmagic.recording.time_budget import Meter, TimeBudget, WithinBudget

_MOST = 20_000  # that are kept
_AROUND = 4.0  # what standing in takes, in calls of a function
Row = tuple[int, int, int]  # the address of the lock on which somebody slept, who let it go, and when


class Notifications:
    """Stands in for `Condition.notify` from `start` to `stop`; nothing is noted where nobody waits.

    Nor while the budget is spent.
    """

    def __init__(self, failed: Callable[[Exception], None], budget: TimeBudget) -> None:
        self.rows: list[Row] = []
        self._pace, self._meter = WithinBudget(budget), Meter(budget, _AROUND)
        self._failed = failed
        self._patches = Patches()

    def start(self) -> None:
        """Put the stand-in in place."""
        self._patches.wrap(threading.Condition, "notify", self._noting)

    def stop(self) -> None:
        """Put the original back."""
        self._patches.restore()

    def _noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        note, pace, meter = self._note, self._pace, self._meter

        @functools.wraps(original)
        def notify(self: Any, n: int = 1) -> Any:
            meter.left -= 1
            timed = meter.begin() if meter.left <= 0 else 0
            try:
                if not pace.is_spent and (waiters := waiters_of(self)):
                    note(waiters, n)
                if timed:
                    pace.look(meter.end(timed))
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
