"""Beside the tracks: sums of alike tasks, of a loop's steps, of what is hidden; how all stood at the stop."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from concmagic.model.outcomes import Outcome
from concmagic.model.states import State

Int64s = npt.NDArray[np.int64]


class Called(NamedTuple):
    """What a track is called: its name, and how many alike tasks it stands for."""

    name: str
    members: int = 1


def no_times() -> Int64s:
    """An empty column."""
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Group:
    """A track that stands for many alike tasks: its states show shares, what they took is exact here."""

    track: int
    members: int
    ended: int
    failed: int  # that raised
    steps: int
    starting_ns: int
    running_ns: int
    ready_ns: int
    waiting_ns: int
    outside_ns: int  # the part of it in which they waited for something outside, such as a sleep
    outcomes: tuple[tuple[Outcome, int], ...] = ()  # how they ended, and how many did so

    def spent_ns(self, state: State) -> int:
        """How long its members were in this state, together."""
        return int(getattr(self, f"{state.value}_ns", 0))


@dataclass(frozen=True, slots=True)
class LoopSteps:
    """What an event loop was asked to do: its longest step or callback, and who waited for theirs."""

    track: int
    longest_ns: int
    longest_of: int | None  # the id of the task or callback
    delay_p50_ns: int | None = None  # how long its tasks were ready before a step; None: they never were
    delay_p99_ns: int | None = None
    delay_max_ns: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Flights:
    """Columns: as many members of groups were in flight at a time as these stretches hold then."""

    start_ns: Int64s = field(default_factory=no_times)
    end_ns: Int64s = field(default_factory=no_times)

    def __len__(self) -> int:
        return len(self.start_ns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flights):
            return NotImplemented
        same_starts = np.array_equal(self.start_ns, other.start_ns)
        return same_starts and np.array_equal(self.end_ns, other.end_ns)

    def __hash__(self) -> int:
        return hash(len(self))


@dataclass(frozen=True, slots=True)
class Hidden:
    """Tracks that were seen and left out, shown by `--all`."""

    threads: int = 0  # the kernel's own
    tasks: int = 0
    earlier_threads: int = 0  # of earlier cells: those that were at work, for themselves
    earlier_tasks: int = 0
    earlier_cpu_ns: int = 0  # what these threads used

    def __add__(self, other: Hidden) -> Hidden:
        """Those of two processes, or of two kinds."""
        return Hidden(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Hidden)))


@dataclass(frozen=True, slots=True)
class Stop:
    """How the threads stood just before the cell was stopped from outside."""

    at_ns: int
    endless: tuple[int, ...] = ()  # ids of those that were in a wait without a timeout
    others: int = 0  # what has no track and may have acted: threads of earlier cells, native ones, timers
