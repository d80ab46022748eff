"""Switches between threads: who gave up by itself, and who lost the GIL while it still wanted it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from concmagic.analysis.intervals import Pair, Steps, count_at_once
from concmagic.model.trace import State, StateInterval, Trace, Track

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
