"""From the machine's monotonic clock to nanoseconds since the cell's start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from concmagic.model.trace import Int64s


@dataclass(frozen=True, slots=True)
class CellClock:
    """The cell's beginning and length on CLOCK_MONOTONIC."""

    start_ns: int
    wall_ns: int

    def at(self, absolute_ns: int) -> int:
        """A moment, kept within the cell."""
        return min(max(absolute_ns - self.start_ns, 0), self.wall_ns)

    def pairs_at(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Many stretches in their order, kept within the cell."""
        start = self.start_ns
        if not pairs or (pairs[0][0] >= start and pairs[-1][1] - start <= self.wall_ns):
            return [(begin - start, end - start) for begin, end in pairs]
        return [(self.at(begin), self.at(end)) for begin, end in pairs]

    def since_start(self, absolute_ns: Int64s) -> Int64s:
        """Many moments; those outside the cell stay outside."""
        return absolute_ns - self.start_ns
