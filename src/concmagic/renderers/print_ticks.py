"""Where lanes have the ticks of what was printed from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from concmagic.model.trace import Trace
from concmagic.renderers.lanes import Lane

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
