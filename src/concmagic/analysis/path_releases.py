"""Who ended a wait: by the flow that came then, else by whose end it was."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from operator import itemgetter

from concmagic.analysis.path_tracks import children_of, started_by
from concmagic.trace.model import Flow, State, StateInterval, Trace, Track
from concmagic.trace.states import IDLE, JOINING

# Waits that end because somebody of the cell did something; the others end by themselves or from outside.
_RELEASES = ("wake", "join", "result", "release", "send", "submit")
_RESULTS = ("wake", "join", "result", "send")
_NOTICED_LATE_NS = 2_000_000
_ENDED_LATE_NS = 20_000_000
# `waitpid`: for a child of multiprocessing, too, which leads on; a command is outside of what is recorded.
_EXIT = "subprocess"
_WATCHING = ("pipe", _EXIT)  # `connection.wait` on a sentinel; or a message from outside


class Releases:
    """The flows of a trace by the track they lead to, and who started whom."""

    def __init__(self, trace: Trace) -> None:
        self._tracks = {track.id: track for track in trace.tracks}
        self._starts = {track.id: [one.start_ns for one in track.states] for track in trace.tracks}
        self.to: dict[int, list[Flow]] = defaultdict(list)
        # A loop's callbacks are nobody's doing: where one ended a wait, the wait itself is part of the path.
        loops = {track.id for track in trace.tracks if track.kind == "loop"}
        for flow in trace.flows:
            if flow.source not in loops:
                self.to[flow.target].append(flow)
        for flows in self.to.values():
            flows.sort(key=lambda flow: flow.target_ns)
        self.to_ns = {target: [flow.target_ns for flow in flows] for target, flows in self.to.items()}
        self._children = children_of(trace)

    def of(self, track: Track, wait: StateInterval, at: int) -> tuple[Track | None, int]:
        """Who ended this wait of a track, as seen from a moment in it, and when; None: nobody of the cell."""
        flows = self.to.get(track.id, [])
        index = bisect_left(self.to_ns.get(track.id, []), at + 1) - 1
        while index >= 0 and flows[index].target_ns > wait.start_ns:
            flow = flows[index]
            if flow.kind in _ends(wait) and at - flow.target_ns <= max(wait.length_ns // 20, 1_000_000):
                return self._tracks.get(flow.source), min(flow.source_ns, at)
            index -= 1
        late = self._noticed_late(flows, track, wait, at)
        if late is not None:
            return self._tracks.get(late.source), min(late.source_ns, at)
        if wait.reason not in JOINING and wait.reason not in IDLE and wait.reason not in _WATCHING:
            return None, at
        child, moment = self._last_child(track, wait, at)
        is_late = at - moment > max(wait.length_ns // 20, _NOTICED_LATE_NS)
        return (None, at) if wait.reason in _WATCHING and is_late else (child, moment)

    def _noticed_late(self, flows: list[Flow], track: Track, wait: StateInterval, at: int) -> Flow | None:
        """What ended the wait, where its end was sampled a moment before that came.

        A message is only read when its reader runs again: it may have to wait for a core or the GIL first.
        And a result may have been sent only after a wait for it seems to have ended.
        """
        until = self._runs_again(track, at) + max(wait.length_ns // 20, 1_000_000)
        first, last = wait.start_ns + 1, until if wait.reason in JOINING else at
        index = bisect_left(self.to_ns.get(track.id, []), at + 1)
        while index < len(flows) and (flow := flows[index]).target_ns <= until:
            if flow.kind in _ends(wait) and flow.source != track.id and first <= flow.source_ns <= last:
                return flow
            index += 1
        return None

    def _runs_again(self, track: Track, at: int) -> int:
        """The end of what it was kept from running for, from a moment on."""
        index = bisect_left(self._starts[track.id], at)
        while index < len(track.states) and (interval := track.states[index]).state is State.READY:
            if interval.start_ns != at:
                break
            at, index = interval.end_ns, index + 1
        return at

    def _last_child(self, track: Track, wait: StateInterval, at: int) -> tuple[Track | None, int]:
        """Of those it had started, the one that ended last in the wait.

        A process's end may be noticed a moment after the wait for it is over.
        """
        until = at + max(wait.length_ns // 20, _NOTICED_LATE_NS)
        ended = [
            (child.end_ns, child)
            for child in started_by(track, self._tracks, self._children)
            if child.end_ns is not None and not (wait.reason == _EXIT and child.start_method == _EXIT)
        ]
        by_end = itemgetter(0)
        in_time = (one for one in ended if wait.start_ns < one[0] <= until)
        _, last = max(in_time, key=by_end, default=(0, None))
        if last is None and wait.reason in JOINING:
            # On a busy machine a thread's very end comes later than the end of the wait for it.
            soon = (one for one in ended if until < one[0] <= at + _ENDED_LATE_NS)
            _, last = min(soon, key=by_end, default=(0, None))
        return (None, at) if last is None else (last, min(last.end_ns or 0, at))


def _ends(wait: StateInterval) -> tuple[str, ...]:
    """What can have ended a wait: one for somebody's end or result is not over because a lock is free."""
    return _RESULTS if wait.reason in JOINING else _RELEASES
