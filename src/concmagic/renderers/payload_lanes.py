"""Which lanes and flows are packed, in which order, and where the calls of each track are drawn."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from concmagic.model.trace import Flow, Trace, Track
from concmagic.renderers import schema
from concmagic.renderers.lanes import Lane
from concmagic.renderers.payload_calls import Place

MOST_LANES = 1_200
MOST_FLOWS = 800
_ENDED_NS = 1_000_000  # a wait that goes on for no longer was ended: sampled ones end a moment late
KINDS = ("spawn", "wake", "submit", "result", "send", "release", "join")


@dataclass(frozen=True, slots=True)
class Placed:
    """A lane with the number of the lane that it is drawn under, -1 for none."""

    lane: Lane
    parent: int


def place(lanes: tuple[Lane, ...]) -> tuple[list[Placed], int]:
    """All lanes in drawing order, the first ones of each fold if there are too many."""
    placed: list[Placed] = []
    left_out = 0

    def visit(lane: Lane, parent: int) -> None:
        nonlocal left_out
        if len(placed) >= MOST_LANES:
            left_out += 1
            return
        number = len(placed)
        placed.append(Placed(lane, parent))
        for child in lane.children:
            visit(child, number)

    for lane in lanes:
        visit(lane, -1)
    return placed, left_out


def within_folds(placed: list[Placed]) -> set[int]:
    """The lanes that are not seen until a fold is opened."""
    hidden: set[int] = set()
    for index, one in enumerate(placed):
        if one.parent >= 0 and (one.parent in hidden or placed[one.parent].lane.is_fold):
            hidden.add(index)
    return hidden


def lane_of_track(placed: list[Placed]) -> dict[int, int]:
    """The number of the lane on which each track is drawn."""
    return {
        track.id: index
        for index, one in enumerate(placed)
        if not one.lane.is_fold
        for track in (*one.lane.tracks, *one.lane.told_too)
    }


def places_of_calls(placed: list[Placed], numbers: dict[int, int]) -> tuple[list[Place], list[Place]]:
    """Lane and track of what is seen at first, and of what is within folds."""
    hidden = within_folds(placed)
    seen: list[Place] = []
    folded: list[Place] = []
    for track, lane in numbers.items():
        (folded if lane in hidden else seen).append((lane, track))
    return seen, folded


def packed_flows(trace: Trace, lane_of: dict[int, int], units: Callable[[float], int]) -> schema.Flows:
    """The flows between lanes, as columns; times as differences."""
    flows = [flow for flow in trace.flows if flow.source in lane_of and flow.target in lane_of]
    if len(flows) > MOST_FLOWS:
        tracks = {track.id: track for track in trace.tracks}
        starts = {track.id: [i.start_ns for i in track.states] for track in trace.tracks}
        flows.sort(key=lambda flow: -_wait_ended(flow, tracks[flow.target], starts[flow.target]))
        flows = flows[:MOST_FLOWS]
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
