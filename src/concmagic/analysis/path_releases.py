"""Who ended a wait: by the flow that came then, by who had the lock, by whose end or result it was for."""

from __future__ import annotations

from bisect import bisect_left

from concmagic.analysis.path_lookup import NOTICED_LATE_NS, Ended, Index, children_of, started_by
from concmagic.model.reasons import BY_ITSELF, IDLE, JOINING, OF_LOCKS
from concmagic.model.trace import Flow, State, StateInterval, Trace, Track

# Waits that end because somebody of the cell did something; the others end by themselves or from outside.
_RELEASES = ("wake", "join", "result", "release", "send", "submit")
_MUTEXES = ("Lock", "RLock")  # one at a time has it: who gets it, gets it from who had it
_RESULTS = ("wake", "join", "result", "send")
_CANCELS = ("wake",)
_ENDED_LATE_NS = 20_000_000
# `waitpid`: for a child of multiprocessing, too, which leads on; a command is outside of what is recorded.
_EXIT = "subprocess"
_WATCHING = ("pipe", _EXIT)  # `connection.wait` on a sentinel; or a message from outside


class Releases:
    """Who ended the waits of a trace."""

    def __init__(self, trace: Trace, index: Index) -> None:
        self._index = index
        self._children = children_of(trace)
        self._ended: dict[tuple[int, bool], Ended] = {}
        self._taken: dict[int, list[tuple[int, int]]] | None = None

    def of(self, track: Track, wait: StateInterval, at: int) -> tuple[Track | None, int]:
        """Who ended this wait of a track, as seen from a moment in it, and when; None: nobody of the cell."""
        came, there_already = self._came(track, wait, at)
        came = came or self._noticed_late(track, wait, at) or there_already
        if came is not None:
            return self._index.tracks.get(came.source), min(came.source_ns, at)
        if wait.reason in OF_LOCKS and wait.holders:  # who had it last, at the end of the wait
            return self._index.tracks.get(wait.holders[-1]), at
        if wait.reason in _MUTEXES and wait.resource is not None:
            return self._had_it_before(track, wait, at), at
        if wait.reason not in JOINING and wait.reason not in IDLE and wait.reason not in _WATCHING:
            return None, at
        if wait.reason in IDLE and track.role == "machinery":
            return None, at  # a server's next request has nothing to do with who has answered the last
        child, moment = self._last_child(track, wait, at)
        is_late = at - moment > max(wait.length_ns // 20, NOTICED_LATE_NS)
        return (None, at) if wait.reason in _WATCHING and is_late else (child, moment)

    def _came(self, track: Track, wait: StateInterval, at: int) -> tuple[Flow | None, Flow | None]:
        """What came as the wait ended; and what was there when it began, and is read now."""
        there_already = None
        for flow in self._index.flows_back(track, at):
            if flow.target_ns <= wait.start_ns:
                break
            if flow.kind in _ends(wait) and at - flow.target_ns <= max(wait.length_ns // 20, 1_000_000):
                if flow.source_ns > wait.start_ns:
                    return flow, None
                there_already = there_already or flow
        return None, there_already

    def _noticed_late(self, track: Track, wait: StateInterval, at: int) -> Flow | None:
        """What ended the wait, where its end was sampled a moment before that came.

        A message is only read when its reader runs again: it may have to wait for a core or the GIL first.
        And a result may have been sent, or a lock been let go, only after the wait seems to have ended.
        """
        until = self._runs_again(track, at) + max(wait.length_ns // 20, 1_000_000)
        first, of_lock = wait.start_ns + 1, wait.reason in OF_LOCKS
        for flow in self._index.flows_on(track, at):
            # A lock, and a reader of a pipe, may go on before who let it go has come back from doing so.
            is_its_own = wait.reason in JOINING or flow.kind == "send" or (of_lock and flow.kind == "release")
            last = until if is_its_own else at
            # A lock that is had is noted only when its taker runs again, however long that takes.
            if flow.target_ns > until and (not of_lock or flow.source_ns > last):
                break
            if flow.kind in _ends(wait) and flow.source != track.id and first <= flow.source_ns <= last:
                return flow
        return None

    def _had_it_before(self, track: Track, wait: StateInterval, at: int) -> Track | None:
        """Who got the lock last while this one waited for it, and so let it go; None if nobody is known."""
        taken = self._taken_in_order().get(wait.resource or 0, [])
        index = bisect_left(taken, (at, -1)) - 1
        while index >= 0 and taken[index][0] > wait.start_ns:
            if taken[index][1] != track.id:
                return self._index.tracks[taken[index][1]]
            index -= 1
        return None

    def _taken_in_order(self) -> dict[int, list[tuple[int, int]]]:
        """By lock: when a wait for it ended, and whose."""
        if self._taken is None:
            self._taken = {}
            for track in self._index.tracks.values():
                for one in track.states:
                    if one.state is State.WAITING and one.reason in _MUTEXES and one.resource is not None:
                        self._taken.setdefault(one.resource, []).append((one.end_ns, track.id))
            for taken in self._taken.values():
                taken.sort()
        return self._taken

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
        until = at + max(wait.length_ns // 20, NOTICED_LATE_NS)
        ended = self.ended_of(track, wait.reason == _EXIT)
        last = ended.last(wait.start_ns, until)
        if last is None and wait.reason in JOINING:
            # On a busy machine a thread's very end comes later than the end of the wait for it.
            last = ended.first(until, at + _ENDED_LATE_NS)
        return (None, at) if last is None else (last, min(last.end_ns or 0, at))

    def ended_of(self, track: Track, without_commands: bool = False) -> Ended:
        """Those it had started that have ended; sorted once, for a thread may wait for thousands."""
        key = track.id, without_commands
        if key not in self._ended:
            self._ended[key] = Ended(
                [
                    child
                    for child in started_by(track, self._index.tracks, self._children)
                    if child.end_ns is not None and not (without_commands and child.start_method == _EXIT)
                ]
            )
        return self._ended[key]


def _ends(wait: StateInterval) -> tuple[str, ...]:
    """What can have ended a wait: one for somebody's end or result is not over because a lock is free.

    Nor is a sleep because what is looked at next had its result already: only who cancels it ends it.
    """
    if wait.reason in BY_ITSELF:
        return _CANCELS
    return _RESULTS if wait.reason in JOINING else _RELEASES
