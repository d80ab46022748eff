"""The states of tracks as columns, merged where they are too fine to be drawn.

What is narrower than the resolution becomes one span with the share of each state in it, never
the majority's state. Totals are not read from here: they are exact, and computed in analysis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from concmagic.renderers.palette import ORDER
from concmagic.trace.model import Int64s, StateInterval, Track

Shares = tuple[float, ...]  # one per state, in the order of `palette.ORDER`; they sum to 1 at most
_BIN = 3  # bins wider than the resolution: shares over a few turns, no beat between turn and bin
_CODES = {state: code for code, state in enumerate(ORDER)}


@dataclass(frozen=True, slots=True)
class Span:
    """One recorded interval, or several merged ones with the shares of their states."""

    start_ns: int
    end_ns: int
    interval: StateInterval | None = None
    shares: Shares = ()
    merged: int = 1  # how many intervals it stands for


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """One track's states as columns, with the track they were read from."""

    track: Track
    start_ns: Int64s
    end_ns: Int64s
    code: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.code)


def columns_of(track: Track) -> Columns:
    """Read a track's states into columns."""
    states = track.states
    return Columns(
        track,
        np.fromiter((interval.start_ns for interval in states), np.int64, len(states)),
        np.fromiter((interval.end_ns for interval in states), np.int64, len(states)),
        np.fromiter((_CODES[interval.state] for interval in states), np.int8, len(states)),
    )


def merge(columns: Columns, resolution_ns: float) -> list[Span]:
    """The spans of a track: long intervals as they are, runs of short ones merged per bin."""
    if not len(columns):
        return []
    starts = group_starts(columns, resolution_ns)
    ends = np.append(starts[1:], len(columns))
    sums = _sums_by_state(columns, starts)
    return [
        _span(columns, int(a), int(b), sums[:, i]) for i, (a, b) in enumerate(zip(starts, ends, strict=True))
    ]


def group_starts(columns: Columns, resolution_ns: float) -> Int64s:
    """The indices at which a new span begins."""
    if not len(columns):
        return np.empty(0, np.int64)
    small = (columns.end_ns - columns.start_ns) < resolution_ns
    in_bin = columns.start_ns // max(_BIN * resolution_ns, 1)
    begins = np.ones(len(columns), bool)
    begins[1:] = ~(small[1:] & small[:-1] & (in_bin[1:] == in_bin[:-1]))
    return np.flatnonzero(begins)


def resolution_for(tracks: Sequence[Columns], wall_ns: int, most: int, finest_ns: float) -> float:
    """The finest resolution, from `finest_ns` up by steps, at which at most so many spans remain."""
    resolution = max(finest_ns, 1.0)
    while sum(len(group_starts(columns, resolution)) for columns in tracks) > most and resolution < wall_ns:
        resolution *= 1.4
    return resolution


def shares_over(tracks: Iterable[Columns], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Nanoseconds per state (rows) and bin (columns), summed over the tracks; exact, not sampled."""
    total = np.zeros((len(ORDER), len(edges) - 1))
    for columns in tracks:
        if not len(columns):
            continue
        knots = np.append(columns.start_ns[:1], columns.end_ns).astype(float)
        lengths = columns.end_ns - columns.start_ns
        for code in np.unique(columns.code):
            grown = np.append(0, np.cumsum(np.where(columns.code == code, lengths, 0)))
            total[code] += np.diff(np.interp(edges, knots, grown))
    return total


def stacked(tracks: Sequence[Columns], wall_ns: int, bins: int) -> list[Span]:
    """Many tracks as one: for each bin the share of them in each state."""
    edges = np.linspace(0, max(wall_ns, 1), bins + 1)
    room = np.diff(edges) * max(len(tracks), 1)
    shares = shares_over(tracks, edges) / room
    rounded = edges.astype(np.int64)
    return [
        Span(int(rounded[i]), int(rounded[i + 1]), shares=tuple(float(share) for share in shares[:, i]))
        for i in range(bins)
        if shares[:, i].any()
    ]


def _sums_by_state(columns: Columns, starts: Int64s) -> npt.NDArray[np.int64]:
    lengths = columns.end_ns - columns.start_ns
    rows = [np.add.reduceat(np.where(columns.code == code, lengths, 0), starts) for code in range(len(ORDER))]
    return np.array(rows)


def _span(columns: Columns, first: int, end: int, sums: npt.NDArray[np.int64]) -> Span:
    start_ns, end_ns = int(columns.start_ns[first]), int(columns.end_ns[end - 1])
    if end - first == 1:
        return Span(start_ns, end_ns, columns.track.states[first])
    length = max(end_ns - start_ns, 1)
    return Span(start_ns, end_ns, shares=tuple(float(part) / length for part in sums), merged=end - first)
