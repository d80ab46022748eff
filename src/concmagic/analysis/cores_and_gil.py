"""Who is on a core at the same instant, and how threads lose and give up the GIL and their cores."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from concmagic.analysis import work
from concmagic.analysis.intervals import Pair, Steps, count_at_once, union
from concmagic.model.trace import Int64s, State, StateInterval, Trace, Track

_RAN = (State.RUNNING, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Switches:
    """How often one thread stopped computing, as far as it was seen; what is shorter than a sample is not."""

    cooperative: int = 0  # into a wait of its own, as far as samples saw it
    preemptive: int = 0  # it wanted to go on: it lost the GIL, or its core
    handovers: int = 0  # waits for the GIL that ended with having it
    lost_core: int | None = None  # of the preemptive ones those that the kernel counted; None is not known


def is_gil_wait(one: StateInterval) -> bool:
    """Whether a thread wanted the GIL and did not have it."""
    return one.state is State.READY and one.reason == "GIL"


def switches(trace: Trace) -> dict[int, Switches]:
    """Of each thread, by its track."""
    threads = [track for track in trace.tracks if track.kind == "thread"]
    running: dict[int, list[Pair]] = defaultdict(list)  # by process, of all its threads
    for track in threads:
        running[track.pid] += [
            (one.start_ns, one.end_ns) for one in track.states if one.state is State.RUNNING
        ]
    at_once = {pid: count_at_once(pairs, trace.wall_ns) for pid, pairs in running.items()}
    return {track.id: _of_thread(trace, track, at_once[track.pid]) for track in threads}


def _of_thread(trace: Trace, track: Track, at_once: Steps) -> Switches:
    cooperative = preemptive = handovers = 0
    for one, following in pairwise(track.states):
        if one.state is State.RUNNING and following.state is State.WAITING:
            cooperative += 1
        elif one.state is State.RUNNING and is_gil_wait(following):
            # Whoever computed beside another thread was in native code that had given the GIL up.
            beside = _ran_beside(at_once, one, trace.build.sampling_ns)
            cooperative, preemptive = cooperative + beside, preemptive + (not beside)
        handovers += is_gil_wait(one) and following.state in _RAN
    lost_core = track.switches[1] if track.switches is not None else None
    return Switches(cooperative, preemptive + (lost_core or 0), handovers, lost_core)


def _ran_beside(at_once: Steps, one: StateInterval, period_ns: int) -> bool:
    """Whether another was on a core a sampling period before this stretch ended, within it."""
    moment = max(one.end_ns - period_ns * 5 // 4, one.start_ns) - 1
    index = int(np.searchsorted(at_once.times_ns, moment, "right")) - 1
    return moment >= one.start_ns and index >= 0 and int(at_once.values[index]) > 1


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
