"""The chain of states and flows that ends at the cell's end; its parts sum to the wall time.

Walked backwards: from the cell's last moment through what its track did; where it waited for
somebody, on to who let it go on; where a track began, on to who started it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

from concmagic.analysis.path_parts import PathPart, summarised
from concmagic.analysis.path_tracks import children_of, host_of, main_threads, started_by
from concmagic.trace.model import Flow, State, StateInterval, Trace, Track
from concmagic.trace.states import IDLE, JOINING

__all__ = ["PathPart", "path_of", "summarised"]

# Waits that end because somebody of the cell did something; the others end by themselves or from outside.
_RELEASES = ("wake", "join", "result", "release", "send", "submit")
_RESULTS = ("wake", "join", "result", "send")
_NOTICED_LATE_NS = 2_000_000
_ENDED_LATE_NS = 20_000_000
_WATCHING = ("pipe",)  # `connection.wait` on a sentinel; or a message from outside


def path_of(trace: Trace) -> tuple[PathPart, ...]:
    """The path, from the cell's start to its end without gap."""
    return tuple(reversed(_Walk(trace).parts())) if trace.wall_ns > 0 else ()


class _Walk:
    def __init__(self, trace: Trace) -> None:
        self._wall = trace.wall_ns
        self._tracks = {track.id: track for track in trace.tracks}
        self._starts = {track.id: [one.start_ns for one in track.states] for track in trace.tracks}
        self._loops = {track.native_id: track for track in trace.tracks if track.kind == "loop"}
        self._loops_in: dict[int | None, list[Track]] = defaultdict(list)
        self._roots: dict[int | None, list[Track]] = defaultdict(list)
        for track in trace.tracks:
            if track.kind == "loop" and track.role == "work":
                self._loops_in[track.parent].append(track)
            elif track.kind == "task":
                self._roots[track.parent].append(track)
        self._to: dict[int, list[Flow]] = defaultdict(list)
        # A loop's callbacks are nobody's doing: where one ended a wait, the wait itself is part of the path.
        loops = {track.id for track in trace.tracks if track.kind == "loop"}
        for flow in trace.flows:
            if flow.source not in loops:
                self._to[flow.target].append(flow)
        for flows in self._to.values():
            flows.sort(key=lambda flow: flow.target_ns)
        self._to_ns = {target: [flow.target_ns for flow in flows] for target, flows in self._to.items()}
        self._children = children_of(trace)
        self._mains = main_threads(trace)
        self._host = host_of(trace)
        self._found: list[PathPart] = []

    def parts(self) -> list[PathPart]:
        """Newest first."""
        at, track = self._wall, self._host
        here: set[int] = set()  # tracks that were looked at for this very moment
        while at > 0:
            if track is None:
                self._add(None, StateInterval(0, at, State.UNKNOWN), 0, at)
                break
            before, (at, track) = at, self._back(track, at)
            if at < before:
                here.clear()
            elif track is not None and track.id in here:  # in a circle: on where the least is claimed
                track = max((self._tracks[one] for one in here), key=lambda one: self._begun(one, before))
                at = self._stay(track, at)
                here.clear()
            elif track is not None:
                here.add(track.id)
        return self._found

    def _back(self, track: Track, at: int) -> tuple[int, Track | None]:
        """One move: earlier on this track, or over to another one."""
        interval = self._before(track, at)
        if interval is None:
            return at, self._origin(track, at)
        main = self._mains.get(track.id)
        if main is not None and main.start_ns < at <= (self._wall if main.end_ns is None else main.end_ns):
            return at, main  # a child is told by its main thread: messages go from there and to there
        if track.kind == "thread" and self._loops_in.get(track.id):
            return self._beside_loops(track, interval, at)
        if track.kind == "loop":
            return self._in_loop(track, interval, at)
        return self._through(track, interval, at)

    def _through(self, track: Track, interval: StateInterval, at: int) -> tuple[int, Track | None]:
        if interval.state is State.WAITING:
            return self._through_wait(track, interval, at)
        served = self._served_by(track, at) if interval.state is State.UNKNOWN else None
        if served is not None:
            return at, served
        kept_waiting = interval.state is State.READY and interval.reason == "loop"
        if kept_waiting or (interval.state is State.STARTING and track.kind == "task"):
            self._add_loop(track, interval, at)
        else:
            self._add(track, interval, interval.start_ns, at)
        return interval.start_ns, track

    def _beside_loops(self, thread: Track, interval: StateInterval, at: int) -> tuple[int, Track | None]:
        """Into the event loop that runs in this thread; before and after it, what the thread did."""
        ends = [
            (self._wall if loop.end_ns is None else loop.end_ns, loop) for loop in self._loops_in[thread.id]
        ]
        inside = [loop for end, loop in ends if loop.start_ns < at <= end]
        if inside:  # of a loop inside another's step, the inner one
            return at, max(inside, key=lambda loop: loop.start_ns)
        earlier = max((end for end, _ in ends if end < at), default=0)
        if earlier <= interval.start_ns:
            return self._through(thread, interval, at)
        self._add(thread, interval, earlier, at)
        return earlier, thread

    def _in_loop(self, loop: Track, interval: StateInterval, at: int) -> tuple[int, Track | None]:
        """The task that the loop was run for; where there is none, what the loop did."""
        earlier = interval.start_ns
        for task in self._roots.get(loop.id, ()):
            end = self._wall if task.end_ns is None else task.end_ns
            if task.start_ns < at <= end:
                return at, task
            if end < at:
                earlier = max(earlier, end)
        self._add(loop, interval, earlier, at)
        return earlier, loop

    def _through_wait(self, track: Track, wait: StateInterval, at: int) -> tuple[int, Track | None]:
        """To who ended the wait, if somebody of the cell did; else the wait itself is part of the path."""
        source, moment = self._releaser(track, wait, at)
        if source is not None and source.id != track.id and moment > wait.start_ns:
            if moment < at:
                self._add(track, wait, moment, at)
            return moment, source
        served = self._awaited(track, wait, at) if wait.reason in JOINING else self._served_by(track, at)
        if served is not None:  # a helper that waits for something to do keeps nobody waiting
            return at, served
        self._add(track, wait, wait.start_ns, at)
        return wait.start_ns, track

    def _awaited(self, track: Track, wait: StateInterval, at: int) -> Track | None:
        """In the middle of a wait, where a helper led to: whose result comes next, and was being made."""
        flows = self._to.get(track.id, [])
        for flow in flows[bisect_left(self._to_ns.get(track.id, []), at + 1) :]:
            source = self._tracks.get(flow.source)
            if flow.target_ns > wait.end_ns + 1_000_000 or at >= wait.end_ns:
                return None
            if (
                flow.kind == "result"
                and source is not None
                and source.role == "work"
                and source.start_ns < at
            ):
                return source
        return None

    def _served_by(self, track: Track, at: int) -> Track | None:
        """Who started a library's helper thread: what it waits for came from there."""
        if track.role != "machinery" or track.kind != "thread":
            return None
        origin = self._origin(track, at)
        if origin is None or origin.pid != track.pid or origin.kind == "process":
            return None
        return origin

    def _releaser(self, track: Track, wait: StateInterval, at: int) -> tuple[Track | None, int]:
        flows = self._to.get(track.id, [])
        index = bisect_left(self._to_ns.get(track.id, []), at + 1) - 1
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
        """What ended the wait, where its end was sampled a moment before that came."""
        index = bisect_left(self._to_ns.get(track.id, []), at + 1)
        until = at + max(wait.length_ns // 20, 1_000_000)
        while index < len(flows) and flows[index].target_ns <= until:
            flow = flows[index]
            if flow.kind in _ends(wait) and flow.source != track.id and wait.start_ns < flow.source_ns <= at:
                return flow
            index += 1
        return None

    def _last_child(self, track: Track, wait: StateInterval, at: int) -> tuple[Track | None, int]:
        """Of those it had started, the one that ended last in the wait.

        A process's end may be noticed a moment after the wait for it is over.
        """
        until = at + max(wait.length_ns // 20, _NOTICED_LATE_NS)
        ended = [
            child
            for child in started_by(track, self._tracks, self._children)
            if child.end_ns is not None and wait.start_ns < child.end_ns <= until
        ]
        last = max(ended, key=lambda child: child.end_ns or 0, default=None)
        if (
            last is None and wait.reason in JOINING
        ):  # on a busy machine a thread's very end comes later than the end of the wait for it
            soon = [
                child
                for child in started_by(track, self._tracks, self._children)
                if child.end_ns is not None and until < child.end_ns <= at + _ENDED_LATE_NS
            ]
            last = min(soon, key=lambda child: child.end_ns or 0, default=None)
        return (None, at) if last is None else (last, min(last.end_ns or 0, at))

    def _origin(self, track: Track, at: int) -> Track | None:
        """Who started it; else the track it stands under; else the cell."""
        for flow in self._to.get(track.id, ()):
            if flow.kind == "spawn" and flow.source != track.id and flow.source_ns <= at:
                return self._tracks.get(flow.source)
        if track.parent is not None and track.parent != track.id:
            return self._tracks.get(track.parent)
        return None if track is self._host or self._host is None else self._host

    def _add_loop(self, track: Track, ready: StateInterval, at: int) -> None:
        """A task that was ready, or new, had to wait for what the loop did: that is what took the time."""
        loop = self._loops.get(track.native_id)
        if loop is None:
            self._add(track, ready, ready.start_ns, at)
            return
        while at > ready.start_ns:
            interval = self._before(loop, at)
            if interval is None:
                self._add(track, ready, ready.start_ns, at)
                return
            begin = max(interval.start_ns, ready.start_ns)
            self._add(loop, interval if interval.state is not State.WAITING else ready, begin, at)
            at = begin

    def _begun(self, track: Track, at: int) -> int:
        """When what a track did just before a moment began; -1 if it did nothing."""
        interval = self._before(track, at)
        return -1 if interval is None else interval.start_ns

    def _stay(self, track: Track | None, at: int) -> int:
        """Where nobody leads on: the rest of this stretch as it is."""
        interval = self._before(track, at) if track is not None else None
        if track is None or interval is None:
            self._add(None, StateInterval(0, at, State.UNKNOWN), 0, at)
            return 0
        self._add(track, interval, interval.start_ns, at)
        return interval.start_ns

    def _before(self, track: Track, at: int) -> StateInterval | None:
        """What a track did just before a moment."""
        index = bisect_left(self._starts[track.id], at) - 1
        if index < 0:
            return None
        interval = track.states[index]
        if interval.end_ns < at:  # it had ended already
            return StateInterval(interval.end_ns, at, State.UNKNOWN)
        return interval

    def _add(self, track: Track | None, interval: StateInterval, start_ns: int, end_ns: int) -> None:
        if end_ns <= start_ns:
            return
        self._found.append(
            PathPart(
                None if track is None else track.id,
                start_ns,
                end_ns,
                interval.state,
                interval.reason,
                interval.detail,
                interval.file,
                interval.line,
            )
        )


def _ends(wait: StateInterval) -> tuple[str, ...]:
    """What can have ended a wait: one for somebody's end or result is not over because a lock is free."""
    return _RESULTS if wait.reason in JOINING else _RELEASES
