"""The states of tracks as columns, merged where they are too fine to be drawn.

What is narrower than the resolution becomes one span with the share of each state in it, never
the majority's state. Totals are not read from here: they are exact, and computed in analysis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from concmagic.model.columns import StateColumns
from concmagic.model.trace import Int64s, StateInterval
from concmagic.renderers.palette import ORDER

Floats = npt.NDArray[np.float64]
Shares = tuple[float, ...]  # one per state, in the order of `palette.ORDER`; they sum to 1 at most
_BIN = 3  # bins wider than the resolution: shares over a few turns, no beat between turn and bin


@dataclass(frozen=True, slots=True)
class Span:
    """One recorded interval, or several merged ones with the shares of their states."""

    start_ns: int
    end_ns: int
    interval: StateInterval | None = None
    shares: Shares = ()
    merged: int = 1  # how many intervals it stands for


def merge(columns: StateColumns, resolution_ns: float) -> list[list[Span]]:
    """The spans of each track: long intervals as they are, runs of short ones merged per bin."""
    spans: list[list[Span]] = [[] for _ in columns.tracks]
    if not len(columns):
        return spans
    starts = group_starts(columns, resolution_ns)
    ends = np.append(starts[1:], len(columns))
    shares, bounds = _shares(columns, starts, ends), columns.bounds.tolist()
    rows = zip(
        columns.place[starts].tolist(),
        columns.start_ns[starts].tolist(),
        columns.end_ns[ends - 1].tolist(),
        starts.tolist(),
        (ends - starts).tolist(),
        shares.tolist(),
        strict=True,
    )
    for place, start_ns, end_ns, first, merged, parts in rows:
        if merged == 1:
            interval = columns.tracks[place].states[first - bounds[place]]
            spans[place].append(Span(start_ns, end_ns, interval))
        else:
            spans[place].append(Span(start_ns, end_ns, None, tuple(parts), merged))
    return spans


def group_starts(columns: StateColumns, resolution_ns: float) -> Int64s:
    """The rows at which a new span begins."""
    small = columns.length_ns < resolution_ns
    in_bin = columns.start_ns // max(_BIN * resolution_ns, 1)
    begins = np.ones(len(columns) + 1, bool)
    begins[1:-1] = ~(small[1:] & small[:-1] & (in_bin[1:] == in_bin[:-1]))
    begins[columns.bounds] = True
    return np.flatnonzero(begins[:-1])


def resolution_for(columns: StateColumns, wall_ns: int, most: int, finest_ns: float) -> float:
    """The finest resolution, from `finest_ns` up by steps, at which at most so many spans remain."""
    resolution = max(finest_ns, 1.0)
    while len(columns) > most and len(group_starts(columns, resolution)) > most and resolution < wall_ns:
        resolution *= 1.4
    return resolution


def shares_over(columns: StateColumns, edges: Floats) -> Floats:
    """Nanoseconds per state (rows) and bin (columns), summed over the tracks; exact, not sampled."""
    total = np.zeros((len(ORDER), len(edges) - 1))
    for code in np.unique(columns.code):
        rows = columns.code == code
        until = _summed_until(columns.start_ns[rows], edges) - _summed_until(columns.end_ns[rows], edges)
        total[code] = np.diff(until)
    return total


def _summed_until(moments: Int64s, edges: Floats) -> Floats:
    """For each edge how long ago the moments before it were, summed."""
    in_order = np.sort(moments).astype(float)
    before = np.searchsorted(in_order, edges)
    summed: Floats = before * edges - np.append(0, np.cumsum(in_order))[before]
    return summed


def stacked(columns: StateColumns, wall_ns: int, bins: int) -> list[Span]:
    """Many tracks as one: for each bin the share of them in each state."""
    edges = np.linspace(0, max(wall_ns, 1), bins + 1)
    room = np.diff(edges) * max(len(columns.tracks), 1)
    shares = shares_over(columns, edges) / room
    rounded = edges.astype(np.int64).tolist()
    return [
        Span(rounded[i], rounded[i + 1], None, tuple(parts))
        for i, parts in enumerate(shares.T.tolist())
        if any(parts)
    ]


def _shares(columns: StateColumns, starts: Int64s, ends: Int64s) -> Floats:
    """The share of each state in each span."""
    lengths = columns.length_ns
    sums = [np.add.reduceat(np.where(columns.code == code, lengths, 0), starts) for code in range(len(ORDER))]
    whole = np.maximum(columns.end_ns[ends - 1] - columns.start_ns[starts], 1)
    shares: Floats = np.array(sums).T / whole[:, None]
    return shares
