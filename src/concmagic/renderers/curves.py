"""Step curves, thinned to what a picture can show: means over bins, so that areas stay true."""

from __future__ import annotations

import numpy as np

from concmagic.report import Curve


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
