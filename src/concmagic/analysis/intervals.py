"""Stretches of time as sorted pairs: sums, what two have in common, and how many hold at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from concmagic.model.trace import Int64s, State, Track

Pair = tuple[int, int]
_END = itemgetter(1)


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A step curve: from times_ns[i] on the value is values[i]; it begins at 0 with its first value."""

    times_ns: Int64s
    values: Int64s

    def mean(self, wall_ns: int) -> float:
        """The time-weighted mean over the cell."""
        if wall_ns <= 0:
            return float("nan")
        lengths = np.diff(np.append(self.times_ns, wall_ns))
        return float((lengths * self.values).sum() / wall_ns)

    @property
    def peak(self) -> int:
        """The highest value."""
        return int(self.values.max(initial=0))

    def at_most(self, limit: int) -> Steps:
        """This curve with its values limited to what they can be at most."""
        return Steps(self.times_ns, np.minimum(self.values, limit))


def count_at_once(pairs: Iterable[Pair] | Int64s, wall_ns: int) -> Steps:
    """How many of the pairs hold at each time."""
    flat = pairs if isinstance(pairs, np.ndarray) else np.array([*pairs], np.int64).reshape(-1, 2)
    flat = flat[flat[:, 1] > flat[:, 0]]
    times = np.concatenate((flat[:, 0], flat[:, 1]))
    changes = np.concatenate((np.ones(len(flat), np.int64), -np.ones(len(flat), np.int64)))
    moments, where = np.unique(np.append(times, 0), return_inverse=True)
    steps = np.zeros(len(moments), np.int64)
    np.add.at(steps, where, np.append(changes, 0))
    values = np.cumsum(steps)
    changed = np.append(True, np.diff(values) != 0)
    inside = changed & ((moments < wall_ns) | (moments == 0))
    return Steps(moments[inside], values[inside])


def union(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs that overlap or touch, as one."""
    merged: list[Pair] = []
    for start, end in sorted(pairs):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def minus(pairs: Sequence[Pair], holes: Sequence[Pair]) -> list[Pair]:
    """What is left of sorted pairs without overlap where sorted holes are taken out."""
    out: list[Pair] = []
    first = 0
    for start, end in pairs:
        at = start
        while first < len(holes) and holes[first][1] <= at:
            first += 1
        index = first
        while index < len(holes) and holes[index][0] < end:
            if holes[index][0] > at:
                out.append((at, holes[index][0]))
            at = max(at, holes[index][1])
            index += 1
        if at < end:
            out.append((at, end))
    return out


def common(one: Sequence[Pair], other: Sequence[Pair]) -> list[Pair]:
    """What two sorted lists without overlap in themselves have in common."""
    out: list[Pair] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if end > start:
            out.append((start, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return out


def meets(one: Sequence[Pair], other: Sequence[Pair]) -> bool:
    """Whether two sorted lists without overlap in themselves have anything in common."""
    for start, end in one:
        index = bisect_right(other, start, key=_END)
        if index < len(other) and other[index][0] < end:
            return True
    return False


def spent(track: Track, state: State) -> int:
    """How long a track was in a state."""
    return sum(one.length_ns for one in track.states if one.state is state)


def total(pairs: Iterable[Pair]) -> int:
    """The summed length of pairs."""
    return sum(end - start for start, end in pairs)
