"""Records the locks of this process for one cell: one by one from Python 3.12 on, before that by samples."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

from concmagic import sentences
from concmagic.recording.locks.addresses import LockAddresses, can_tell
from concmagic.recording.locks.log import make_log
from concmagic.recording.locks.table import LockTable
from concmagic.recording.raw_locks import LockLog

_EXACT = sys.version_info >= (3, 12)
_current: LockRecorder | None = None


def look_before_end(frame: FrameType | None) -> None:
    """Say that the cell is about to be stopped: `frame` is where the calling thread is in it."""
    if _current is not None:
        _current.look_before_end(frame)


class LockRecorder:
    """Observes locks from `start` to `stop`.

    `namespace` is where their names are looked for; `sampled` says that the sampler runs, too.
    """

    def __init__(self, namespace: Mapping[str, Any] | None = None, sampled: bool = False) -> None:
        self.problems: list[str] = []
        self._namespace = namespace
        self._table = LockTable()
        self._monitor: Any = None
        self._addresses: LockAddresses | None = None
        if can_tell() and (sampled or not _EXACT):
            self._addresses = LockAddresses(self._table.chains, repeat=sampled and not _EXACT)

    def start(self) -> None:
        """Watch. Of a lock that is held already the holder is not known."""
        global _current
        _current = self
        if self._addresses is not None:
            self._addresses.start()
        if _EXACT:
            self._start_monitor()

    def _start_monitor(self) -> None:
        from concmagic.recording.locks.monitor import LockMonitor

        monitor = LockMonitor(self._table)
        if not monitor.sees_with:
            self.problems.append(sentences.LOCKS_OF_WITH_UNSEEN)
        try:
            monitor.start()
        except RuntimeError:
            self.problems.append(sentences.NO_TOOL_FOR_LOCKS)
        else:
            self._monitor = monitor

    def look_before_end(self, frame: FrameType | None) -> None:
        """See the function of this name."""
        if self._addresses is not None and not _EXACT:
            threads = {one.ident or 0: one.native_id or 0 for one in threading.enumerate()}
            self._addresses.look_at_end(frame, threads)

    def stop(self) -> LockLog:
        """Leave nothing, and hand over what was seen."""
        global _current
        if _current is self:
            _current = None
        monitor, self._monitor = self._monitor, None
        exact_until_ns = 0
        if monitor is not None:
            monitor.stop()
            exact_until_ns = monitor.full_ns or time.monotonic_ns()
            self._table.finish()
        if self._addresses is not None:
            self._addresses.stop()
        self._tell_losses(monitor)
        namespace = vars(sys.modules["__main__"]) if self._namespace is None else self._namespace
        log = make_log(self._table, self._addresses, namespace, exact_until_ns)
        self._table, self._addresses = LockTable(), None
        return log

    def _tell_losses(self, monitor: Any) -> None:
        if monitor is not None and monitor.full_ns:
            self.problems.append(sentences.locks_no_longer_watched(self._table.operations))
        if self._table.merged:
            self.problems.append(sentences.lock_waits_merged(len(self._table.waits), self._table.merged))
