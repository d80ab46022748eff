"""Time to pixels, and the ticks of a time axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
