"""The parts of a path, and their sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from concmagic.model.trace import State


@dataclass(frozen=True, slots=True)
class PathPart:
    """What the cell's end had to wait for in one stretch."""

    track: int | None
    start_ns: int
    end_ns: int
    state: State
    reason: str = ""
    phase: str = ""
    file: str = ""
    line: int = 0

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.start_ns


def _told_apart(part: PathPart) -> str:
    if part.state is State.UNKNOWN:
        return ""
    return part.phase if part.state is State.STARTING else part.reason


def summarised(parts: Sequence[PathPart]) -> list[tuple[PathPart, int]]:
    """Parts that say the same, as one with their summed length; longest first."""
    sums: dict[tuple[State, str], int] = defaultdict(int)
    first: dict[tuple[State, str], PathPart] = {}
    for part in parts:
        key = (part.state, _told_apart(part))
        sums[key] += part.length_ns
        longest = first.get(key)
        if longest is None or part.length_ns > longest.length_ns:
            first[key] = part
    return [(first[key], length) for key, length in sorted(sums.items(), key=lambda pair: -pair[1])]
