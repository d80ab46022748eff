"""Records of steps, callbacks and wake-ups: cheap to take, compact to keep, bounded in memory.

A record is three integers. `(begin, end, task)` is a step, `(begin, end, -callback)` a run of a callback,
`(at, -wait, task)` a wake-up: at that time, after that wait, and `(loop, 0, task)` says that the loop's next
callback is run because that task has ended; numbers start at 1. Of a member of a group (see `task_groups`)
it is also noted when it was made, `(at, -CREATED, task)`, and how it ended. A step's record is written
when it ends, so what happened during it (wake-ups, eager steps) stands before it: that nesting says who
did what, and nothing has to be looked up while the cell runs. That a task yielded to the loop
(`sleep(0)`) is not recorded at all: it is what lies between two steps without a wake-up.
"""

from __future__ import annotations

import _thread
import mmap
import os
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import get_ident, get_native_id
from typing import Any, Literal

from concmagic.clock import monotonic_ns, thread_time_ns
from concmagic.interpreter.hook_parts import EXECUTOR_RESULT, OF_DESCRIPTORS, OF_TIMERS
from concmagic.pipes import Owned
from concmagic.recording.labels import cut
from concmagic.recording.tasks.folding import FIELDS, Folding
from concmagic.records.recording import LongStep

FLUSH_AT = 8_192 * FIELDS  # about 0.4 ms of work for the loop
_UNREAD = 400_000  # records of 24 bytes that wait to be read after the cell: that takes longer than writing
LONG_NS = 1_000_000  # a step from this length on is looked at
_FRESH_NS = 500_000  # a reading older than this is taken again before a step
_MOST_LONG = 200_000  # long steps kept

Cause = Literal["task", "callback", "timer", "io", "thread", "self", "unknown"]


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


class StepClock:
    """How much of a long step its thread computed, by the thread's own CPU clock.

    The clock is read seldom: where it was not read for half a millisecond when a step begins, and after a
    step that took more than one. A step that did not compute while it held its loop was blocked, whatever
    it called; only the time in which the operating system gave its core to others is told apart.
    """

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
        if at <= begin and len(self.steps) < _MOST_LONG:
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


@dataclass(frozen=True, slots=True)
class Callback:
    """A kind of callback that is no task's step, on one loop, and what it means for a task that it wakes."""

    loop: int
    name: str
    timer: bool = False
    io: bool = False  # the loop's selector holds its handle
    thread: int | None = None  # native id of the thread that sent it with call_soon_threadsafe
    relayed: bool = False  # a result that is handed over, and is no executor's: a coroutine's in another loop

    @property
    def by_thread(self) -> bool:
        """Whether another thread is behind it: which one is not known of a job that was over at once."""
        return self.thread is not None or self.of_executor

    @property
    def of_executor(self) -> bool:
        """Whether it hands over the result of an executor's job."""
        return self.name == EXECUTOR_RESULT and not self.relayed

    @property
    def cause(self) -> Cause:
        """What a wake-up by this callback is put down to."""
        if self.by_thread:
            return "thread"
        if self.timer:
            return "timer"
        return "io" if self.io or self._is_asyncios_io else "callback"

    @property
    def _is_asyncios_io(self) -> bool:
        return self.name.rpartition(".")[2] in OF_DESCRIPTORS

    @property
    def detail(self) -> str:
        """A word more on the cause, "" where it says all."""
        if self.timer:
            return OF_TIMERS.get(self.name, self.name)
        return "" if self.by_thread or self.relayed or self._is_asyncios_io else self.name


def name_of(callback: Any) -> str:
    """The qualified name of a callback, looking through `functools.partial`."""
    while isinstance(callback, partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None)
    return cut(name if isinstance(name, str) else type(callback).__qualname__)
