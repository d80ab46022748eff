"""Switches between threads: who gave up by itself, and who lost the GIL while it still wanted it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from concmagic.analysis.intervals import Pair
from concmagic.trace.model import State, StateInterval, Trace, Track

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
    running = {
        track.id: [(one.start_ns, one.end_ns) for one in track.states if one.state is State.RUNNING]
        for track in threads
    }
    return {track.id: _of_thread(trace, track, threads, running) for track in threads}


def _of_thread(
    trace: Trace, track: Track, threads: list[Track], running: Mapping[int, list[Pair]]
) -> Switches:
    others = [running[other.id] for other in threads if other.pid == track.pid and other.id != track.id]
    cooperative = preemptive = handovers = 0
    for one, following in pairwise(track.states):
        if one.state is State.RUNNING and following.state is State.WAITING:
            cooperative += 1
        elif one.state is State.RUNNING and is_gil_wait(following):
            # Whoever computed beside another thread was in native code that had given the GIL up.
            beside = any(_ran_before(pairs, one, trace.build.sampling_ns) for pairs in others)
            cooperative, preemptive = cooperative + beside, preemptive + (not beside)
        handovers += is_gil_wait(one) and following.state in _RAN
    lost_core = track.switches[1] if track.switches is not None else None
    return Switches(cooperative, preemptive + (lost_core or 0), handovers, lost_core)


def _ran_before(pairs: list[Pair], one: StateInterval, period_ns: int) -> bool:
    """Whether another was on a core a sampling period before this stretch ended, within it."""
    moment = max(one.end_ns - period_ns * 5 // 4, one.start_ns) - 1
    index = bisect_right(pairs, (moment, 1 << 62)) - 1
    return index >= 0 and moment >= one.start_ns and pairs[index][1] > moment
