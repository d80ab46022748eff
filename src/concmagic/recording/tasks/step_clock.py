"""How much of a long step its thread computed, by the thread's own CPU clock.

The clock is read seldom: where it was not read for half a millisecond when a step begins, and after a
step that took more than one. A step that did not compute while it held its loop was blocked, whatever
it called; only the time in which the operating system gave its core to others is told apart.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import get_ident, get_native_id

from concmagic.clock import monotonic_ns, thread_time_ns
from concmagic.pipes import Owned
from concmagic.records.recording import LongStep

LONG_NS = 1_000_000  # a step from this length on is looked at
_FRESH_NS = 500_000  # a reading older than this is taken again before a step
_MOST = 200_000  # steps kept


class StepClock:
    """Readings of the CPU clocks of the threads that run loops."""

    def __init__(self) -> None:
        self.steps: list[LongStep] = []
        self._last: dict[int, tuple[int, int, int]] = {}  # thread → when, its CPU time, its wait for a core
        self._files: dict[int, int] = {}
        self._opened: list[Owned] = []
        self._closed = False

    def read(self) -> int:
        """Take a reading in this thread; tells until when it is fresh enough."""
        ident = get_ident()
        core = self._core_wait_ns(ident)
        at = monotonic_ns()
        self._last[ident] = at, thread_time_ns(), core
        return at + _FRESH_NS

    def long(self, begin: int, end: int) -> int:
        """A long step of this thread has ended: note what it computed; as `read` beyond that."""
        cpu = thread_time_ns()
        ident = get_ident()
        core = self._core_wait_ns(ident)
        at, cpu_before, core_before = self._last.get(ident, (begin, 0, core))
        # A reading that was taken within the step (another loop ran in it) tells nothing of its whole.
        if at <= begin and len(self.steps) < _MOST:
            length = end - begin
            used, kept = min(cpu - cpu_before, length), min(max(core - core_before, 0), length)
            self.steps.append(LongStep(get_native_id(), begin, end, used, kept))
        self._last[ident] = end, cpu, core
        return end + _FRESH_NS

    def _core_wait_ns(self, ident: int) -> int:
        """How long this thread has wanted a core and not had one; 0 where the system does not tell."""
        file = self._files.get(ident, -1 if self._closed else None)
        if file is None:
            file = self._files[ident] = self._open_schedstat()
        if file < 0:
            return 0
        try:
            return int(os.pread(file, 64, 0).split()[1])
        except (OSError, ValueError, IndexError):  # the thread is another one by now, or /proc has gone
            return 0

    def close(self) -> None:
        """Close the files; what was noted stays."""
        self._closed = True  # the step in which this happens has yet to end
        opened, self._opened, self._files = self._opened, [], {}
        self._last.clear()
        for each in opened:
            with suppress(OSError):  # closed by somebody else already: all that was wanted
                each.close()

    def _open_schedstat(self) -> int:
        """It stays this thread's: one that gets the same number later is not read."""
        try:
            file = os.open(f"/proc/self/task/{get_native_id()}/schedstat", os.O_RDONLY)
        except OSError:
            return -1
        self._opened.append(Owned(file))
        return file
