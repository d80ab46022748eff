"""The flows for the script: the ones that ended the longest waits, if there are too many."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from concmagic.model.trace import Flow, Trace, Track
from concmagic.renderers import schema

MOST = 800
_ENDED_NS = 1_000_000  # a wait that goes on for no longer was ended: sampled ones end a moment late
KINDS = ("spawn", "wake", "submit", "result", "send", "release", "join")


def packed_flows(trace: Trace, lane_of: dict[int, int], units: Callable[[float], int]) -> schema.Flows:
    """The flows between lanes, as columns; times as differences."""
    flows = [flow for flow in trace.flows if flow.source in lane_of and flow.target in lane_of]
    if len(flows) > MOST:
        tracks = {track.id: track for track in trace.tracks}
        starts = {track.id: [i.start_ns for i in track.states] for track in trace.tracks}
        flows.sort(key=lambda flow: -_wait_ended(flow, tracks[flow.target], starts[flow.target]))
        flows = flows[:MOST]
    flows.sort(key=lambda flow: flow.target_ns)
    times = [units(flow.target_ns) for flow in flows]
    return schema.Flows(
        kind=[KINDS.index(flow.kind) for flow in flows],
        source=[lane_of[flow.source] for flow in flows],
        ago=[time - units(flow.source_ns) for flow, time in zip(flows, times, strict=True)],
        target=[lane_of[flow.target] for flow in flows],
        steps=[after - before for before, after in zip([0, *times], times, strict=False)],
    )


def _wait_ended(flow: Flow, target: Track, starts: list[int]) -> int:
    """How long the interval was that this flow ended; 0 if that went on: one of several awaited results."""
    before = bisect_left(starts, flow.target_ns) - 1
    if before < 0:
        return 0
    interval = target.states[before]
    goes_on = interval.end_ns - flow.target_ns > max(interval.length_ns // 20, _ENDED_NS)
    return 0 if goes_on else interval.length_ns
