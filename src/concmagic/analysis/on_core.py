"""How many tracks are on a core at the same instant."""

from __future__ import annotations

import numpy as np

from concmagic.analysis import work
from concmagic.analysis.intervals import Steps, count_at_once, union
from concmagic.analysis.switches import is_gil_wait
from concmagic.model.trace import Int64s, Trace

PERIODS = 2  # between two samples: an overlap at a hand-over that is shorter may be none
_ROUNDS = 4  # an overlap may stand on another one


def at_once(trace: Trace) -> Steps:
    """The sum of what is known of each track.

    A thread that waits for a core can look like one that has it: there are never more than there are cores.
    """
    return count_at_once(work.on_a_core(trace), trace.wall_ns).at_most(max(trace.build.cores, 1))


def on_a_core_curve(trace: Trace) -> Steps:
    """The same, without what only samples make of it.

    Where threads hand the GIL over, the one seems to run on while the other has begun: by less than the
    time between two samples of each. Native code that released the GIL runs beside others for longer.
    """
    curve = at_once(trace)
    waits = union(
        (one.start_ns, one.end_ns)
        for track in trace.tracks
        if track.kind == "thread"
        for one in track.states
        if is_gil_wait(one)
    )
    least_ns = PERIODS * trace.build.sampling_ns
    if not waits or not least_ns:
        return curve
    pairs = np.array(waits, np.int64)
    for _ in range(_ROUNDS):
        curve = _lowered(curve, pairs, least_ns, trace.wall_ns)
    return curve


def _lowered(curve: Steps, waits: Int64s, least_ns: int, wall_ns: int) -> Steps:
    """Without stretches that stand out for a moment, where a wait for the GIL begins or ends."""
    if len(curve.values) < 3:
        return curve
    ends = np.append(curve.times_ns[1:], wall_ns)
    around = np.maximum(curve.values[:-2], curve.values[2:])
    short = (ends - curve.times_ns)[1:-1] < least_ns
    index = np.searchsorted(waits[:, 1], curve.times_ns[1:-1])  # the first wait that ends then or later
    begins = np.append(waits[:, 0], np.iinfo(np.int64).max)[index]
    # Over nobody at all a turn is no overlap, however short it is.
    spike = short & (around > 0) & (curve.values[1:-1] > around) & (begins <= ends[1:-1])
    values = curve.values.copy()
    values[1:-1] = np.where(spike, around, values[1:-1])
    changed = np.append(True, np.diff(values) != 0)
    return Steps(curve.times_ns[changed], values[changed])
