"""Records of steps and wake-ups: as cheap as can be to take, compact to keep, bounded in memory.

A record is three integers. `(begin, end, task)` is a step, `(begin, end, -callback)` a run of a callback,
`(at, -wait, task)` a wake-up: at that time, after that wait, and `(loop, 0, task)` says that the loop's next
callback is run because that task has ended; numbers start at 1. A step's record is written
when it ends, so what happened during it (wake-ups, eager steps) stands before it: that nesting says who
did what, and nothing has to be looked up while the cell runs. That a task yielded to the loop
(`sleep(0)`) is not recorded at all: it is what lies between two steps without a wake-up.
"""

from __future__ import annotations

import _thread
from array import array
from collections.abc import Iterator, Sequence

from concmagic.recording.raw import MergedSteps

FIELDS = 3
FLUSH_AT = 8_192 * FIELDS  # about 0.4 ms of work for the loop
_WINDOW = 500_000  # records that go into one merged stretch per task


class Stream:
    """The records of one cell: in detail up to a limit, from then on as exact sums per task."""

    def __init__(self, limit: int) -> None:
        self.buffer: list[int] = []
        self.kept: list[array[int]] = []
        self.folding: Folding | None = None
        self.flush_at = min(FLUSH_AT, limit * FIELDS)
        self._room = limit
        self._lock = _thread.allocate_lock()

    def flush(self) -> None:
        """Move what was recorded out of the list, whose integers take four times the room."""
        if len(self.buffer) < self.flush_at or not self._lock.acquire(False):
            return
        try:
            self.drain()
        finally:
            self._lock.release()

    def drain(self) -> None:
        """Move everything, at once; other threads may go on recording meanwhile."""
        size = len(self.buffer)
        part = array("q", self.buffer[:size])
        del self.buffer[:size]
        room = self._room * FIELDS
        self._room -= min(size, room) // FIELDS
        self.keep(part[:room])
        if size > room:
            self.folding = self.folding or Folding()
            self.keep(self.folding.fold(part[room:]))

    def keep(self, records: Sequence[int]) -> None:
        """Put records behind the others."""
        if records:
            self.kept.append(array("q", records))

    def records(self) -> Iterator[tuple[int, int, int]]:
        """All kept records, in order."""
        for part in self.kept:
            numbers = iter(part)
            yield from zip(numbers, numbers, numbers, strict=False)


class _Sums:
    """A merged stretch of one task's life, being made."""

    __slots__ = ("begin", "end", "ready", "running", "steps", "waiting", "wakes")

    def __init__(self, begin: int, end: int) -> None:
        self.begin, self.end = begin, end
        self.steps, self.running = 1, end - begin
        self.ready = self.waiting = 0
        # Wake-ups that no step has followed yet: two, if a task is woken during its own step,
        # whose record comes last.
        self.wakes: list[tuple[int, int]] = []

    def add(self, begin: int, end: int) -> None:
        """Put a step on the end; the gap before it is split at its wake-up."""
        woken = self.end
        while self.wakes and self.wakes[0][0] <= begin:
            woken = max(woken, self.wakes.pop(0)[0])
        self.waiting += woken - self.end
        self.ready += begin - woken
        self.running += end - begin
        self.steps += 1
        self.end = end

    def result(self) -> MergedSteps:
        """The finished stretch."""
        return MergedSteps(self.begin, self.end, self.steps, self.running, self.ready, self.waiting)


class Folding:
    """Adds records up per task and callback, window by window."""

    def __init__(self, window: int = _WINDOW) -> None:
        self.merged: dict[int, list[MergedSteps]] = {}  # by task number, or minus a callback's
        self.steps = 0  # of tasks, in all
        self._window = window
        self._left = window
        self._open: dict[int, _Sums] = {}

    def fold(self, part: array[int]) -> list[int]:
        """Add these up; what must still be kept as a record of its own is handed back."""
        kept: list[int] = []
        numbers = iter(part)
        for at, end, number in zip(numbers, numbers, numbers, strict=False):
            sums = self._open.get(number)
            if end == 0:
                continue
            if end < 0 and sums is None:  # the first of a stretch is what leads into it
                kept.extend((at, end, number))
            elif end < 0:
                sums.wakes.append((at, end))  # type: ignore[union-attr]
            elif sums is None:
                self._open[number] = _Sums(at, end)
            else:
                sums.add(at, end)
        self._left -= len(part) // FIELDS
        if self._left <= 0:
            kept.extend(self.close())
        return kept

    def close(self) -> list[int]:
        """End the window; a wake-up that still waits for its step is handed back as a record."""
        kept: list[int] = []
        for number, sums in self._open.items():
            self.merged.setdefault(number, []).append(sums.result())
            self.steps += sums.steps if number > 0 else 0
            for at, wait in sums.wakes:
                kept.extend((at, wait, number))
        self._open.clear()
        self._left = self._window
        return kept
