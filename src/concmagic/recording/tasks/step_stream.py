"""Records of steps and wake-ups: as cheap as can be to take, compact to keep, bounded in memory.

A record is three integers. `(begin, end, task)` is a step, `(begin, end, -callback)` a run of a callback,
`(at, -wait, task)` a wake-up: at that time, after that wait, and `(loop, 0, task)` says that the loop's next
callback is run because that task has ended; numbers start at 1. Of a member of a group (see `crowd`) it is
also noted when it was made, `(at, -CREATED, task)`, and how it ended. A step's record is written
when it ends, so what happened during it (wake-ups, eager steps) stands before it: that nesting says who
did what, and nothing has to be looked up while the cell runs. That a task yielded to the loop
(`sleep(0)`) is not recorded at all: it is what lies between two steps without a wake-up.
"""

from __future__ import annotations

import _thread
import mmap
from array import array
from collections import deque
from collections.abc import Iterator

from concmagic.recording.tasks.folding import FIELDS, Folding

FLUSH_AT = 8_192 * FIELDS  # about 0.4 ms of work for the loop
_UNREAD = 400_000  # records of 24 bytes that wait to be read after the cell: that takes longer than writing


class Stream:
    """The records of one cell: in detail up to a limit, from then on as exact sums per task."""

    def __init__(self, folding: Folding) -> None:
        self.buffer: list[int] = []
        self.folding = folding
        # Memory of their own, which goes back to the system as soon as it has been read.
        self._unread: deque[mmap.mmap] = deque()
        self._size = 0  # of those
        self._lock = _thread.allocate_lock()

    def flush(self) -> None:
        """Move what was recorded out of the list, whose integers take four times the room."""
        if len(self.buffer) < FLUSH_AT or not self._lock.acquire(False):
            return
        try:
            self._drain()
            while self._size > _UNREAD * FIELDS:
                self._read()
        finally:
            self._lock.release()

    def _drain(self) -> None:
        """Move everything, at once; other threads may go on recording meanwhile."""
        size = len(self.buffer)
        if size:
            part = array("q", self.buffer[:size]).tobytes()
            self._unread.append(room := mmap.mmap(-1, len(part)))
            room[:] = part
            del self.buffer[:size]
            self._size += size

    def _read(self) -> None:
        part = array("q")
        with self._unread.popleft() as room:
            part.frombytes(room[:])
        self._size -= len(part)
        self.folding.fold(part)

    def close(self) -> None:
        """Read all that is left, when nobody records any more."""
        self._drain()
        while self._unread:
            self._read()
        self.folding.finish()

    def records(self) -> Iterator[tuple[int, int, int]]:
        """All kept records, in order; each part is let go of when it has been read."""
        kept = self.folding.kept
        kept.reverse()
        while kept:
            numbers = iter(kept.pop())
            yield from zip(numbers, numbers, numbers, strict=False)
