"""What can be shown along the axis of time: ticks, thinned curves, states merged where they are too fine.

What is narrower than the resolution becomes one span with the share of each state in it, never
the majority's state. Totals are not read from here: they are exact, and computed in analysis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from concmagic.model.columns import StateColumns
from concmagic.model.states import within
from concmagic.model.trace import Int64s, State, StateInterval, Track
from concmagic.renderers.palette import ORDER
from concmagic.report import Curve

_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
Floats = npt.NDArray[np.float64]
Shares = tuple[float, ...]  # one per category, in the order of `palette.ORDER`; they sum to 1 at most
_BIN = 3  # bins wider than the resolution: shares over a few turns, no beat between turn and bin
# Where much of the cell passes in turns (running, blocking, ready) that are narrower than what is drawn one
# by one, a stretch of some typical ones is drawn larger: one where the lanes share the time as on the whole.
TURNS = 16  # about so many are seen in the stretch
MOST_LANES = 6
_FEWEST = 40  # fewer turns are no alternation
_SHARE = 0.2  # of the cell that passes in them
_LARGER = 3  # a stretch that is not at least so many times larger is not worth it
_MOST_PLACES = 2_000  # that are compared


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale from nanoseconds to pixels."""

    start_ns: float
    end_ns: float
    left: float
    right: float

    @property
    def ns_per_pixel(self) -> float:
        """How much time a pixel is."""
        return (self.end_ns - self.start_ns) / max(self.right - self.left, 1)

    def x(self, time_ns: float) -> float:
        """Where a time stands; times outside are held at the border."""
        inside = min(max(time_ns, self.start_ns), self.end_ns)
        return self.left + (inside - self.start_ns) / max(self.ns_per_pixel, 1e-9)


def tick_step(span_ns: float, most: int) -> float:
    """The smallest of 1, 2, 5 × 10ⁿ ns that gives at most so many ticks."""
    if span_ns <= 0:
        return 1.0
    rough = span_ns / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def ticks(start_ns: float, end_ns: float, most: int) -> list[tuple[float, str]]:
    """The ticks between two times, with their labels."""
    step = tick_step(end_ns - start_ns, most)
    first = math.ceil(start_ns / step - 1e-9)
    last = math.floor(end_ns / step + 1e-9)
    return [(index * step, tick_label(index * step, step, end_ns)) for index in range(first, last + 1)]


def tick_label(time_ns: float, step_ns: float, end_ns: float) -> str:
    """A tick's time, in the unit that fits the axis' end, as exact as the step needs."""
    size, unit = next((pair for pair in _UNITS if end_ns >= pair[0]), _UNITS[-1])
    decimals = max(0, -math.floor(math.log10(step_ns / size) + 1e-9))
    return f"{time_ns / size:.{decimals}f} {unit}" if time_ns else f"0 {unit}"


def thinned(curve: Curve, wall_ns: int, most: int) -> list[tuple[int, float]]:
    """Pairs (time, value from then on), at most about so many."""
    if len(curve.times_ns) <= most:
        return [(time, float(value)) for time, value in zip(curve.times_ns, curve.values, strict=True)]
    times = np.array(curve.times_ns, np.float64)
    values = np.array(curve.values, np.float64)
    knots = np.append(times, max(float(wall_ns), times[-1]))
    area = np.append(0, np.cumsum(np.diff(knots) * values))
    edges = np.linspace(0, max(wall_ns, 1), most + 1)
    means = np.diff(np.interp(edges, knots, area)) / np.diff(edges)
    return [(int(edge), float(mean)) for edge, mean in zip(edges, means, strict=False)]


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
    for code in np.unique(columns.category):
        rows = columns.category == code
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
    sums = [
        np.add.reduceat(np.where(columns.category == code, lengths, 0), starts) for code in range(len(ORDER))
    ]
    whole = np.maximum(columns.end_ns[ends - 1] - columns.start_ns[starts], 1)
    shares: Floats = np.array(sums).T / whole[:, None]
    return shares


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when; the tracks that alternate in it have their states of that time only."""

    start_ns: int
    end_ns: int
    tracks: tuple[Track, ...]


def typical_stretch(columns: StateColumns, wall_ns: int, resolution_ns: float) -> Stretch | None:
    """A stretch that shows how the tracks alternate; None if what is drawn shows it already."""
    turns = columns.in_state(State.RUNNING, State.BLOCKING, State.READY)
    turns &= columns.length_ns < resolution_ns
    many = len(columns.tracks)
    counts = np.bincount(columns.place[turns], minlength=many)
    sums = np.bincount(columns.place[turns], columns.length_ns[turns], minlength=many)
    chosen = np.flatnonzero((counts >= _FEWEST) & (sums >= _SHARE * wall_ns))[:MOST_LANES]
    if not len(chosen):
        return None
    of_chosen = turns & np.isin(columns.place, chosen)
    length = TURNS * float(np.median(columns.length_ns[of_chosen]))
    if not 0 < length * _LARGER <= wall_ns:
        return None
    tracks = [columns.tracks[place] for place in chosen]
    middle = _typical_moment(columns, tracks, wall_ns, length)
    start = round(min(max(middle - length / 2, 0.0), wall_ns - length))
    end = round(start + length)
    return Stretch(start, end, tuple(_cut(track, start, end) for track in tracks))


def _cut(track: Track, start_ns: int, end_ns: int) -> Track:
    return replace(track, states=tuple(within(track.states, start_ns, end_ns)))


def _typical_moment(columns: StateColumns, tracks: list[Track], wall_ns: int, length: float) -> float:
    """The middle of the place whose shares are nearest to those of all places in which something goes on."""
    places = max(min(int(wall_ns / length), _MOST_PLACES), 1)
    edges = np.linspace(0, wall_ns, places + 1)
    shares = np.concatenate([shares_over(columns.only([track]), edges) for track in tracks]) / np.diff(edges)
    goes_on: npt.NDArray[np.bool_] = shares.sum(axis=0) > 0
    usual = shares[:, goes_on].mean(axis=1, keepdims=True)
    distance = np.where(goes_on, np.abs(shares - usual).sum(axis=0), np.inf)
    best = int(distance.argmin())
    return float((edges[best] + edges[best + 1]) / 2)
