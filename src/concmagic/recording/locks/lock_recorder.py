"""Records the locks of this process for one cell: one by one from Python 3.12 on, before that by samples."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from concmagic.interpreter import lock_internals
from concmagic.interpreter import value_stack as stack
from concmagic.interpreter.borrowing import FREE_THREADED
from concmagic.problems import Problem
from concmagic.recording import interrupts_kept_back, own_threads
from concmagic.recording.locks.lock_holders import LockTable
from concmagic.recording.locks.lock_sites import CreationHooks
from concmagic.recording.time_budget import SLICE_NS, TimeBudget

if TYPE_CHECKING:
    from concmagic.recording.locks.futex_addresses import LockAddresses
    from concmagic.recording.locks.notifications import Notifications
    from concmagic.records.handed_over import LockLog


_LOOK_S = 0.2  # the budget is not spent and earned again in less

_current: LockRecorder | None = None  # after a fork the parent's, until the child has its own


class LockRecorder:
    """Observes locks from `start` to `stop`.

    `namespace` is where their names are looked for; `sampled` says that the sampler runs, too;
    `time_of_locks` is what may be spent.
    """

    def __init__(
        self,
        namespace: Mapping[str, Any] | None = None,
        sampled: bool = False,
        time_of_locks: TimeBudget | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self._namespace = namespace
        self._table = LockTable()
        self._monitor: Any = None
        self._time = time_of_locks or TimeBudget()
        # Of children nothing is watched again: most are over before.
        self._again = own_threads.OwnThread(self._watch_again) if sampled else None
        self._makers: CreationHooks | None = None
        self._addresses: LockAddresses | None = None
        self._notifications: Notifications | None = None
        if (
            sampled or not lock_internals.here().exact
        ):  # else it is not needed, and its import takes a child's time
            from concmagic.recording.locks import futex_addresses

            exact = lock_internals.here().exact
            if lock_internals.can_tell() or (exact and not FREE_THREADED):
                chains, repeat = self._table.chains, sampled and not FREE_THREADED
                self._addresses = futex_addresses.LockAddresses(chains, repeat, self._look_failed, exact)
                if repeat and not exact:
                    from concmagic.recording.locks.notifications import Notifications

                    self._notifications = Notifications(self._look_failed, self._time)

    def start(self) -> None:
        """Observe from now on. Of a lock that is held already the holder is not known."""
        global _current
        if _current is not None:
            _current.abandon()
        _current = self
        if self._addresses is not None:
            self._addresses.start()
            if not lock_internals.here().exact:
                interrupts_kept_back.call_before_end(self._look_before_end, self._look_failed)
        if lock_internals.here().exact:
            self._start_monitor()
        self._time.begin()
        if not lock_internals.here().exact or not stack.can_read():
            self._makers = CreationHooks(self._table.creations, self._time)
            self._makers.start()
        if self._notifications is not None:
            self._notifications.start()

    def _start_monitor(self) -> None:
        from concmagic.recording.locks.monitor import LockMonitor

        monitor = LockMonitor(self._table, self._time)
        if not monitor.sees_with:
            self.problems.append(Problem.of("locks_of_with_unseen"))
        try:
            monitor.start()
        except RuntimeError:
            self.problems.append(Problem.of("no_tool_for_locks"))
        else:
            self._monitor = monitor
            if self._again is not None:
                with suppress(RuntimeError):  # no thread is to be had: once the budget is spent it stays so
                    self._again.start()

    def _watch_again(self) -> None:
        """In a thread of ours: watch for another stretch as soon as one can be paid for."""
        seconds = _LOOK_S
        while self._again is not None and not self._again.pause(seconds):
            monitor, seconds = self._monitor, _LOOK_S
            if monitor is not None and monitor.rests:
                seconds = self._time.seconds_until(SLICE_NS)
                if not seconds:
                    monitor.resume()
                    seconds = _LOOK_S

    def abandon(self) -> None:
        """In a forked child: switch off what it inherited of its parent's recording."""
        interrupts_kept_back.forget_look(self._look_before_end)
        for one in (self._makers, self._notifications):
            if one is not None:
                one.stop()
        if self._monitor is not None:
            self._monitor.stop()

    def _look_before_end(self, frame: FrameType | None) -> None:
        """Who waits for what and has what, while the cell stands still; one by one it is known anyway."""
        if self._addresses is not None:
            threads = {one.ident or 0: one.native_id or 0 for one in threading.enumerate()}
            self._addresses.look_at_end(frame, threads)

    def _look_failed(self, error: Exception) -> None:
        problem = Problem.of("look_at_locks_failed", error)
        if problem not in self.problems:
            self.problems.append(problem)

    def stop(self) -> LockLog:
        """Put everything back, and hand over what was seen."""
        global _current
        if _current is self:
            _current = None
        interrupts_kept_back.forget_look(self._look_before_end)
        for one in (self._makers, self._notifications):
            if one is not None:
                one.stop()
        if self._again is not None:
            self._again.end()
        monitor, self._monitor = self._monitor, None
        watched: list[tuple[int, int]] = []
        counted_until_ns = None
        if monitor is not None:
            monitor.stop()
            watched = monitor.watched
            if len(watched) > 1 or monitor.rests:
                counted_until_ns = watched[0][1]
            self._table.finish()
        if self._addresses is not None:
            self._addresses.stop()
        self._tell_losses(monitor)
        from concmagic.recording.locks.lock_log import (
            make_log,  # which reads sources: at the end is early enough
        )

        namespace = vars(sys.modules["__main__"]) if self._namespace is None else self._namespace
        notified = () if self._notifications is None else self._notifications.rows
        spent_ns = self._time.spent_ns
        log = make_log(self._table, self._addresses, namespace, watched, counted_until_ns, spent_ns, notified)
        self._table, self._addresses, self._notifications = LockTable(), None, None
        return log

    def _tell_losses(self, monitor: Any) -> None:
        if monitor is not None and monitor.lost_to is not None:
            self.problems.append(Problem.of("tool_for_locks_lost", monitor.lost_to))
        elif monitor is not None and monitor.failure is not None:
            self.problems.append(Problem.of("recorder_failed", "locks", monitor.failure))
        if self._table.merged:
            self.problems.append(Problem.of("lock_waits_merged", len(self._table.waits), self._table.merged))
