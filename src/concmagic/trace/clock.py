"""From the machine's monotonic clock to nanoseconds since the cell's start."""

from __future__ import annotations

from dataclasses import dataclass

from concmagic.trace.model import Int64s


@dataclass(frozen=True, slots=True)
class CellClock:
    """The cell's beginning and length on CLOCK_MONOTONIC."""

    start_ns: int
    wall_ns: int

    def at(self, absolute_ns: int) -> int:
        """A moment, kept within the cell."""
        return min(max(absolute_ns - self.start_ns, 0), self.wall_ns)

    def since_start(self, absolute_ns: Int64s) -> Int64s:
        """Many moments; those outside the cell stay outside."""
        return absolute_ns - self.start_ns
