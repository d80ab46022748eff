"""What is made of the records of a long cell: the first ones stay, of the others only exact sums do.

A stretch of merged steps begins where the last kept step of its task has ended and goes on to the end of
its last one, so that no time is lost between two of them; its window is closed now and then to show how the
cell changed. A step stays, whenever it was, if it was long or woke somebody whose wake-up has stayed.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable

from concmagic.recording.tasks.task_groups import FIRST, Crowd
from concmagic.records.recording import MergedSteps

FIELDS = 3
_WINDOW = 200_000  # records that go into one stretch per task, at first
_MOST_STRETCHES = 20_000  # in all; then each two neighbours become one
_MOST_LONG = 20_000  # steps of more than a millisecond that stay
_LONG_NS = 1_000_000
_PER_STEP = 8  # so many callbacks take the room of one step; a wake-up takes none
_NESTED = 64  # steps of other loops, or eager ones, within one


class _Sums:
    """A merged stretch of one task's life, being made."""

    __slots__ = ("begin", "end", "ready", "running", "steps", "waiting", "wakes")

    def __init__(self, begin: int) -> None:
        self.begin = self.end = begin
        self.steps = self.running = self.ready = self.waiting = 0
        # Wake-ups that no step has followed yet: two, if a task is woken during its own step,
        # whose record comes last.
        self.wakes: list[tuple[int, int]] = []

    def add(self, begin: int, end: int) -> None:
        """Append a step; the gap before it is split at its wake-up."""
        woken = self.end
        while self.wakes and self.wakes[0][0] <= begin:
            woken = max(woken, self.wakes.pop(0)[0])
        woken = min(woken, max(begin, self.end))
        self.waiting += woken - self.end
        self.ready += max(begin - woken, 0)
        self.running += end - begin
        self.steps += 1
        self.end = end

    def result(self) -> MergedSteps:
        """The finished stretch."""
        return MergedSteps(self.begin, self.end, self.steps, self.running, self.ready, self.waiting)


class _Busy:
    """A merged stretch of one loop: how long it ran steps and callbacks."""

    __slots__ = ("_floor", "begin", "end", "inner", "running", "steps")

    def __init__(self, begin: int, floor: int) -> None:
        self.begin = self.end = begin
        self._floor = floor  # what lies before is told already
        self.steps = self.running = 0
        # The last ones, which may lie within one that ends later.
        self.inner: deque[tuple[int, int]] = deque(maxlen=_NESTED)

    def add(self, begin: int, end: int) -> None:
        """A step or callback of the loop has ended; what lies within it is not counted twice."""
        self.steps += 1
        inner = self.inner
        if begin >= self.end:  # what comes after all others, as nearly each does
            inner.append((begin, end - begin))
            self.running += end - begin
            self.end = end
            return
        begin = max(begin, self._floor)
        self.begin = min(self.begin, begin)
        length = end - begin
        while inner and inner[-1][0] >= begin:
            length -= inner.pop()[1]
        inner.append((begin, end - begin))
        self.running += max(length, 0)
        self.end = max(self.end, end)

    def result(self) -> MergedSteps:
        """The finished stretch."""
        running = min(self.running, self.end - self.begin)
        return MergedSteps(self.begin, self.end, self.steps, running, 0, self.end - self.begin - running)


class Folding:
    """Keeps records up to a limit and adds the others up per task and loop."""

    def __init__(
        self,
        room: int,
        crowd: Crowd | None = None,
        loop_of: Callable[[int], int] = lambda number: 1,
        window: int = _WINDOW,
    ) -> None:
        self.kept: list[array[int]] = []
        self.merged: dict[int, list[MergedSteps]] = {}  # by task number
        self.of_loops: dict[int, list[MergedSteps]] = {}
        self.steps = 0  # of tasks, in all
        self._room = room * _PER_STEP
        self._is_full = False
        self._crowd = crowd
        self._loop_of = loop_of
        self._window = self._left = window
        self._long = _MOST_LONG
        self._open: dict[int, _Sums] = {}
        self._busy: dict[int, _Busy] = {}
        self._until: dict[int, int] = {}  # loop → until when it has been told
        self._woken: dict[int, int] = {}  # loop → when the last wake-up that stayed was
        self._stretches = 0

    def fold(self, part: array[int]) -> None:
        """Take in records, in order."""
        if not self._is_full:
            part = self._kept_of(part)
        kept = self._summed(part) if part else None
        if kept:
            self.kept.append(array("q", kept))

    def _kept_of(self, part: array[int]) -> array[int]:
        """Keep what there is room for; the rest is handed back."""
        size = self._room // _PER_STEP * FIELDS
        now, rest = (part, part[:0]) if size >= len(part) else (part[:size], part[size:])
        if self._crowd is not None and self._crowd.groups:
            now = self._told(now, self._crowd)
        self.kept.append(now)
        callbacks = sum(map((0).__gt__, now[2::FIELDS]))
        steps = sum(map((0).__lt__, now[1::FIELDS])) - callbacks
        self._room -= steps * _PER_STEP + callbacks
        if rest and self._room < _PER_STEP:
            self._fill()
        elif rest:  # wake-ups take no room
            return self._kept_of(rest)
        return rest

    def _told(self, part: array[int], crowd: Crowd) -> array[int]:
        """These records with the numbers of groups in place of their members'."""
        told = array("q")
        numbers = iter(part)
        for at, end, number in zip(numbers, numbers, numbers, strict=False):
            if number >= FIRST:
                number = crowd.note(at, end, number)
                if end < 0 or not number:
                    continue
                self.steps += end > 0
            told.extend((at, end, number))
        return told

    def _fill(self) -> None:
        """The room is used up: every task's stretch begins where what was kept of it ends."""
        self._is_full, self._room = True, 0
        for part in self.kept:
            numbers = iter(part)
            for at, end, number in zip(numbers, numbers, numbers, strict=False):
                if end > 0 and number > 0:
                    sums = self._open.get(number)
                    if sums is None:
                        self._open[number] = _Sums(end)
                    else:
                        sums.begin = sums.end = end
                        sums.wakes = [wake for wake in sums.wakes if wake[0] > at]
                elif end < 0 and number in self._open:
                    self._open[number].wakes.append((at, end))

    def _summed(self, part: Iterable[int]) -> list[int]:
        """Add records up; those that stay as records of their own are handed back."""
        kept: list[int] = []
        opened, loop_of, crowd = self._open, self._loop_of, self._crowd
        numbers = iter(part)
        for at, end, number in zip(numbers, numbers, numbers, strict=False):
            is_member = number >= FIRST
            if is_member and crowd is not None:
                number = crowd.note(at, end, number)
            if end == 0 or number == 0 or (is_member and end < 0):
                continue
            sums = None if is_member else opened.get(number)
            if end < 0:
                if sums is None:  # it has not begun: perhaps it was cancelled
                    kept += (at, end, number)
                    self._woken[loop_of(number)] = at
                else:
                    sums.wakes.append((at, end))
                continue
            loop = loop_of(number)
            self.steps += is_member
            if self._stays(loop, at, end):
                if number > 0 and not is_member:
                    kept += self._restart(number, at, end)
                kept += (at, end, number)
                self._close_loop(loop)
                continue
            if number > 0 and not is_member:
                if sums is None:
                    opened[number] = sums = _Sums(at)
                sums.add(at, end)
            self._busy_at(loop, at, end)
            self._left -= 1
        if self._left <= 0:
            self.close()
        return kept

    def _stays(self, loop: int, at: int, end: int) -> bool:
        if end - at >= _LONG_NS and self._long:
            self._long -= 1
            return True
        return bool(self._woken) and at <= self._woken.pop(loop, -1) <= end

    def _restart(self, number: int, at: int, end: int) -> list[int]:
        """A step stays: what was merged ends before the gap that leads to it, and begins anew behind it.

        The wake-ups in that gap are handed back, as records.
        """
        sums = self._open.get(number)
        if sums is not None:
            self._result(number, sums)
        self._open[number] = again = _Sums(end)
        if sums is None:
            return []
        again.wakes = [wake for wake in sums.wakes if wake[0] > at]
        return [field for wake in sums.wakes if wake[0] <= at for field in (*wake, number)]

    def _busy_at(self, loop: int, at: int, end: int) -> None:
        busy = self._busy.get(loop)
        if busy is None:
            busy = self._busy[loop] = _Busy(at, self._until.get(loop, 0))
        busy.add(at, end)

    def _result(self, number: int, sums: _Sums) -> None:
        if sums.steps:
            self.merged.setdefault(number, []).append(sums.result())
            self.steps += sums.steps
            self._stretches += 1

    def _close_loop(self, loop: int) -> None:
        busy = self._busy.pop(loop, None)
        if busy is not None and busy.end > busy.begin:
            self._until[loop] = busy.end
            self.of_loops.setdefault(loop, []).append(busy.result())
            self._stretches += 1

    def close(self) -> None:
        """End the window: each task goes on in a stretch that begins where this one ends."""
        for number, sums in self._open.items():
            self._result(number, sums)
            if sums.steps:
                self._open[number] = again = _Sums(sums.end)
                again.wakes = sums.wakes
        for loop, busy in [*self._busy.items()]:
            self._close_loop(loop)
            self._busy[loop] = _Busy(busy.end, busy.end)
        if self._stretches > _MOST_STRETCHES:
            self._halve()
        self._left = self._window

    def _halve(self) -> None:
        self._stretches = 0
        for table in (self.merged, self.of_loops):
            for number, stretches in table.items():
                table[number] = _joined(stretches)
                self._stretches += len(table[number])
        self._window *= 2

    def finish(self) -> None:
        """All records have been folded: end every stretch."""
        for number, sums in self._open.items():
            self._result(number, sums)
        for loop in [*self._busy]:
            self._close_loop(loop)
        # Wake-ups that no step has followed, as records.
        left = [(*wake, number) for number, sums in self._open.items() for wake in sums.wakes]
        self._open.clear()
        if left:
            self.kept.append(array("q", [field for wake in left for field in wake]))


def _joined(stretches: list[MergedSteps]) -> list[MergedSteps]:
    """Each two that touch, as one."""
    joined: list[MergedSteps] = []
    fresh = False
    for one in stretches:
        if fresh and joined[-1].end_ns == one.start_ns:
            last = joined[-1]
            joined[-1] = MergedSteps(
                last.start_ns,
                one.end_ns,
                last.steps + one.steps,
                last.running_ns + one.running_ns,
                last.ready_ns + one.ready_ns,
                last.waiting_ns + one.waiting_ns,
            )
            fresh = False
        else:
            joined.append(one)
            fresh = True
    return joined
