"""Who ended a wait: by the flow that came then, else by whose end it was."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from concmagic.analysis.path_index import Index, children_of, started_by
from concmagic.model.reasons import IDLE, JOINING
from concmagic.model.trace import Flow, State, StateInterval, Trace, Track

# Waits that end because somebody of the cell did something; the others end by themselves or from outside.
_RELEASES = ("wake", "join", "result", "release", "send", "submit")
_RESULTS = ("wake", "join", "result", "send")
_NOTICED_LATE_NS = 2_000_000
_ENDED_LATE_NS = 20_000_000
# `waitpid`: for a child of multiprocessing, too, which leads on; a command is outside of what is recorded.
_EXIT = "subprocess"
_WATCHING = ("pipe", _EXIT)  # `connection.wait` on a sentinel; or a message from outside


class Releases:
    """Who ended the waits of a trace."""

    def __init__(self, trace: Trace, index: Index) -> None:
        self._index = index
        self._children = children_of(trace)
        self._ended: dict[tuple[int, bool], _Ended] = {}

    def of(self, track: Track, wait: StateInterval, at: int) -> tuple[Track | None, int]:
        """Who ended this wait of a track, as seen from a moment in it, and when; None: nobody of the cell."""
        for flow in self._index.flows_back(track, at):
            if flow.target_ns <= wait.start_ns:
                break
            if flow.kind in _ends(wait) and at - flow.target_ns <= max(wait.length_ns // 20, 1_000_000):
                return self._index.tracks.get(flow.source), min(flow.source_ns, at)
        late = self._noticed_late(track, wait, at)
        if late is not None:
            return self._index.tracks.get(late.source), min(late.source_ns, at)
        if wait.reason not in JOINING and wait.reason not in IDLE and wait.reason not in _WATCHING:
            return None, at
        child, moment = self._last_child(track, wait, at)
        is_late = at - moment > max(wait.length_ns // 20, _NOTICED_LATE_NS)
        return (None, at) if wait.reason in _WATCHING and is_late else (child, moment)

    def _noticed_late(self, track: Track, wait: StateInterval, at: int) -> Flow | None:
        """What ended the wait, where its end was sampled a moment before that came.

        A message is only read when its reader runs again: it may have to wait for a core or the GIL first.
        And a result may have been sent only after a wait for it seems to have ended.
        """
        until = self._runs_again(track, at) + max(wait.length_ns // 20, 1_000_000)
        first, last = wait.start_ns + 1, until if wait.reason in JOINING else at
        for flow in self._index.flows_on(track, at):
            if flow.target_ns > until:
                break
            if flow.kind in _ends(wait) and flow.source != track.id and first <= flow.source_ns <= last:
                return flow
        return None

    def _runs_again(self, track: Track, at: int) -> int:
        """The end of what it was kept from running for, from a moment on."""
        for interval in self._index.since(track, at):
            if interval.state is not State.READY or interval.start_ns != at:
                break
            at = interval.end_ns
        return at

    def _last_child(self, track: Track, wait: StateInterval, at: int) -> tuple[Track | None, int]:
        """Of those it had started, the one that ended last in the wait.

        A process's end may be noticed a moment after the wait for it is over.
        """
        until = at + max(wait.length_ns // 20, _NOTICED_LATE_NS)
        ended = self._ended_of(track, wait.reason == _EXIT)
        last = ended.last(wait.start_ns, until)
        if last is None and wait.reason in JOINING:
            # On a busy machine a thread's very end comes later than the end of the wait for it.
            last = ended.first(until, at + _ENDED_LATE_NS)
        return (None, at) if last is None else (last, min(last.end_ns or 0, at))

    def _ended_of(self, track: Track, without_commands: bool) -> _Ended:
        """Those it had started that have ended; sorted once, for a thread may wait for thousands."""
        key = track.id, without_commands
        if key not in self._ended:
            self._ended[key] = _Ended(
                [
                    child
                    for child in started_by(track, self._index.tracks, self._children)
                    if child.end_ns is not None and not (without_commands and child.start_method == _EXIT)
                ]
            )
        return self._ended[key]


class _Ended:
    """Tracks in the order of their ends; of those that ended at once the first given comes first."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self._tracks = sorted(tracks, key=lambda track: track.end_ns or 0)
        self._ends = [track.end_ns or 0 for track in self._tracks]

    def last(self, after_ns: int, until_ns: int) -> Track | None:
        """The one that ended last in that time."""
        index = bisect_right(self._ends, until_ns) - 1
        if index < 0 or self._ends[index] <= after_ns:
            return None
        return self._tracks[bisect_left(self._ends, self._ends[index])]

    def first(self, after_ns: int, until_ns: int) -> Track | None:
        """The one that ended first in that time."""
        index = bisect_right(self._ends, after_ns)
        return self._tracks[index] if index < len(self._ends) and self._ends[index] <= until_ns else None


def _ends(wait: StateInterval) -> tuple[str, ...]:
    """What can have ended a wait: one for somebody's end or result is not over because a lock is free."""
    return _RESULTS if wait.reason in JOINING else _RELEASES
