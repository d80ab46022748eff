"""Who held an event loop when: found for many questions at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from concmagic.model.trace import NO_FACTS, Facts, Int32s, Int64s, State, StateInterval

Hold = tuple[int, int, int]  # begin, end, whose id
_BATCH = 4_000  # stretches asked about together
_SHARE = 0.2  # less of the wait than this: no single one held it


class LoopHolds:
    """The steps and callbacks of one loop, in order."""

    def __init__(self, holds: Sequence[Hold]) -> None:
        self._holds = sorted(holds)
        self._begin = np.array([hold[0] for hold in self._holds], np.int64)
        self._end = np.maximum.accumulate(np.array([hold[1] for hold in self._holds], np.int64))
        self._length = self._end - self._begin
        self._longest = _range_maxima(self._length)

    def holders(self, begins: Sequence[int], ends: Sequence[int]) -> list[tuple[int | None, int]]:
        """For each stretch who held the loop longest in it, None if no single one did; and how many did."""
        if not self._holds or not begins:
            return [(None, 0)] * len(begins)
        begin, end = np.array(begins, np.int64), np.array(ends, np.int64)
        low = np.searchsorted(self._end, begin, "right")
        high = np.searchsorted(self._begin, end, "left")
        best, length = self._best(low, high, begin, end)
        long_enough = (length >= _SHARE * (end - begin)) & (high > low)
        names = zip(best.tolist(), long_enough.tolist(), np.maximum(high - low, 0).tolist(), strict=True)
        return [(self._holds[at][2] if known else None, many) for at, known, many in names]

    def _best(self, low: Int64s, high: Int64s, begin: Int64s, end: Int64s) -> tuple[Int64s, Int64s]:
        """The longest hold in each range; its first and last one count only as far as they are inside."""
        last = len(self._holds) - 1
        best, length = np.minimum(low, last), np.zeros(len(low), np.int64)
        for candidate in (low, high - 1):
            at = np.clip(candidate, 0, last)
            inside = np.minimum(self._end[at], end) - np.maximum(self._begin[at], begin)
            longer = inside > length
            best, length = np.where(longer, at, best), np.where(longer, inside, length)
        inner = np.flatnonzero(high - low > 2)
        at = _argmax(self._length, self._longest, low[inner] + 1, high[inner] - 1)
        full = self._length[at]
        longer = full > length[inner]
        best[inner] = np.where(longer, at, best[inner])
        length[inner] = np.where(longer, full, length[inner])
        return best, length


def name_holders(holds: Sequence[Hold], drafts: Sequence[list[StateInterval]]) -> None:
    """Say of each READY in these drafts who held the loop meanwhile."""
    loop = LoopHolds(holds)
    facts: dict[tuple[int | None, int], Facts] = {}
    for some in _batches(drafts):
        ready = [draft[index] for draft, index in some]
        found = loop.holders([one.start_ns for one in ready], [one.end_ns for one in ready])
        facts.update({one: _facts(*one) for one in set(found) - facts.keys()})
        for (draft, index), one, holders in zip(some, ready, found, strict=True):
            draft[index] = StateInterval(one.start_ns, one.end_ns, State.READY, "loop", facts[holders])


def _facts(who: int | None, many: int) -> Facts:
    if who is None:
        return Facts(more=many) if many else NO_FACTS
    return Facts(holders=(who,))


def _batches(drafts: Sequence[list[StateInterval]]) -> Iterator[list[tuple[list[StateInterval], int]]]:
    """Where the READY ones stand, some thousands at a time: all at once take much memory."""
    some: list[tuple[list[StateInterval], int]] = []
    for draft in drafts:
        some += [
            (draft, index)
            for index, interval in enumerate(draft)
            if interval.state is State.READY and interval.reason == "loop"
        ]
        if len(some) >= _BATCH:
            yield some
            some = []
    if some:
        yield some


def _range_maxima(values: Int64s) -> list[Int32s]:
    """For each power of two the places of the maxima of all ranges of that length."""
    levels = [np.arange(len(values), dtype=np.int32)]
    width = 1
    while 2 * width <= len(values):
        place = levels[-1]
        left, right = place[: len(place) - width], place[width:]
        levels.append(np.where(values[right] > values[left], right, left))
        width *= 2
    return levels


def _argmax(values: Int64s, levels: list[Int32s], low: Int64s, high: Int64s) -> Int64s:
    """The place of the maximum of each range [low, high), none of them empty."""
    best = low.copy()
    sizes = high - low
    for level, place in enumerate(levels):
        width = 1 << level
        rows = np.flatnonzero((sizes >= width) & ((sizes < 2 * width) | (level == len(levels) - 1)))
        left, right = place[low[rows]], place[high[rows] - width]
        best[rows] = np.where(values[right] > values[left], right, left)
    return best
