"""The axis of time: a scale with ticks, step curves thinned to what it can show, ticks of prints."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from concmagic.model.trace import Trace
from concmagic.renderers.lanes import Lane
from concmagic.report import Curve

_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


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


Moments = Mapping[int, Sequence[int]]  # by track


def moments_of(trace: Trace) -> Moments:
    """When each track printed."""
    found: dict[int, list[int]] = defaultdict(list)
    for one in trace.prints:
        found[one.track].append(one.at_ns)
    return found


def on_lane(lane: Lane, moments: Moments, apart_ns: float) -> list[int]:
    """When a lane printed, at most once in so many nanoseconds; a fold is nobody's lane."""
    if lane.is_fold:
        return []
    kept: list[int] = []
    for at in sorted(at for track in (*lane.tracks, *lane.told_too) for at in moments.get(track.id, ())):
        if not kept or at - kept[-1] >= apart_ns:
            kept.append(at)
    return kept
