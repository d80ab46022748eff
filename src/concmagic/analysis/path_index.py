"""What a path is looked up in: what each track did at a moment, and the flows that lead to it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

from concmagic.model.trace import Flow, State, StateInterval, Trace, Track


class Index:
    """The states and flows of each track, in order of time."""

    def __init__(self, trace: Trace) -> None:
        self.tracks = {track.id: track for track in trace.tracks}
        self._starts = {track.id: [one.start_ns for one in track.states] for track in trace.tracks}
        self._flows: dict[int, list[Flow]] = defaultdict(list)
        # A loop's callbacks are nobody's doing: where one ended a wait, the wait itself is part of the path.
        loops = {track.id for track in trace.tracks if track.kind == "loop"}
        for flow in trace.flows:
            if flow.source not in loops:
                self._flows[flow.target].append(flow)
        for flows in self._flows.values():
            flows.sort(key=lambda flow: flow.target_ns)
        self._moments = {target: [flow.target_ns for flow in flows] for target, flows in self._flows.items()}

    def before(self, track: Track, at: int) -> StateInterval | None:
        """What a track did just before a moment."""
        index = bisect_left(self._starts[track.id], at) - 1
        if index < 0:
            return None
        interval = track.states[index]
        if interval.end_ns < at:  # it had ended already
            return StateInterval(interval.end_ns, at, State.UNKNOWN)
        return interval

    def since(self, track: Track, at: int) -> Iterator[StateInterval]:
        """What a track began at a moment, and what it did then."""
        for index in range(bisect_left(self._starts[track.id], at), len(track.states)):
            yield track.states[index]

    def flows_to(self, track: Track) -> Sequence[Flow]:
        """All flows that lead to a track."""
        return self._flows.get(track.id, ())

    def flows_back(self, track: Track, at: int) -> Iterator[Flow]:
        """Those that came until a moment, the last first."""
        flows = self._flows.get(track.id, ())
        for index in range(bisect_right(self._moments.get(track.id, ()), at) - 1, -1, -1):
            yield flows[index]

    def flows_on(self, track: Track, at: int) -> Iterator[Flow]:
        """Those that came after a moment, the first first."""
        flows = self._flows.get(track.id, ())
        for index in range(bisect_right(self._moments.get(track.id, ()), at), len(flows)):
            yield flows[index]
