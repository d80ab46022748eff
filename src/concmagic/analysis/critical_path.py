"""The chain of states and flows that ends at the cell's end; its parts sum to the wall time.

Walked backwards: from the cell's last moment through what its track did; where it waited for
somebody, on to who let it go on; where a track began, on to who started it.
"""

from __future__ import annotations

from collections import defaultdict

from concmagic.analysis.path_lookup import (
    Index,
    PathPart,
    host_of,
    kind_of,
    main_threads,
    summarised,
)
from concmagic.analysis.path_ours import without_ours
from concmagic.analysis.path_releases import Releases
from concmagic.model.reasons import CALLED_OFF, IDLE, JOINING
from concmagic.model.trace import State, StateInterval, Trace, Track

__all__ = ["PathPart", "kind_of", "path_of", "summarised"]


def path_of(trace: Trace) -> tuple[PathPart, ...]:
    """The path, from the cell's start to its end without gap."""
    return tuple(reversed(_Walk(trace).parts())) if trace.wall_ns > 0 else ()


class _Walk:
    def __init__(self, trace: Trace) -> None:
        self._wall = trace.wall_ns
        self._index = Index(trace)
        self._releases = Releases(trace, self._index)
        self._threads = {
            (track.pid, track.native_id): track for track in trace.tracks if track.kind == "thread"
        }
        self._loops = {track.native_id: track for track in trace.tracks if track.kind == "loop"}
        self._loops_in: dict[int | None, list[Track]] = defaultdict(list)
        self._roots: dict[int | None, list[Track]] = defaultdict(list)
        for track in trace.tracks:
            if track.kind == "loop" and track.role == "work":
                self._loops_in[track.parent].append(track)
            elif track.kind == "task":
                self._roots[track.parent].append(track)
        self._mains = main_threads(trace)
        self._host = host_of(trace)
        self._found: list[PathPart] = []
        self._joins: dict[int, tuple[Track, StateInterval]] = {}  # by track: the wait for its end or result
        self._came: dict[int, Track] = {}  # by track: who waited for what it did, and so led to it

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
                track = max(
                    (self._index.tracks[one] for one in here), key=lambda one: self._begun(one, before)
                )
                at = self._stay(track, at)
                here.clear()
            elif track is not None:
                here.add(track.id)
        return self._found

    def _back(self, track: Track, at: int) -> tuple[int, Track | None]:
        """One move: earlier on this track, or over to another one."""
        interval = self._index.before(track, at)
        if interval is None:
            return at, self._origin(track, at)
        main = self._mains.get(track.id)
        if main is not None and main.start_ns < at <= main.until(self._wall):
            if track.id in self._joins:
                self._joins[main.id] = self._joins[track.id]
            return at, main  # a child is told by its main thread: messages go from there and to there
        if track.kind == "thread" and self._loops_in.get(track.id):
            return self._beside_loops(track, interval, at)
        if track.kind == "loop":
            return self._in_loop(track, interval, at)
        return self._through(track, interval, at)

    def _through(self, track: Track, interval: StateInterval, at: int) -> tuple[int, Track | None]:
        if interval.state is State.WAITING:
            return self._through_wait(track, interval, at)
        if interval.state is State.BLOCKING:
            return self._through_block(track, interval, at)
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
        ends = [(loop.until(self._wall), loop) for loop in self._loops_in[thread.id]]
        inside = [loop for end, loop in ends if loop.start_ns < at <= end]
        stopped = [one.start_ns for loop in inside if (one := self._not_run(loop, at)) is not None]
        running = [loop for loop in inside if self._not_run(loop, at) is None]
        if running:  # of a loop inside another's step, the inner one
            loop = max(running, key=lambda loop: loop.start_ns)
            if thread.id in self._joins:
                self._joins[loop.id] = self._joins[thread.id]
            return at, loop
        earlier = max((*stopped, *(end for end, _ in ends if end < at)), default=0)
        if earlier <= interval.start_ns:
            return self._through(thread, interval, at)
        self._add(thread, interval, earlier, at)
        return earlier, thread

    def _not_run(self, loop: Track, at: int) -> StateInterval | None:
        """Where a loop stood between two runs, in which its thread did something else."""
        one = self._index.before(loop, at)
        return one if one is not None and one.state is State.WAITING and one.reason in IDLE else None

    def _in_loop(self, loop: Track, interval: StateInterval, at: int) -> tuple[int, Track | None]:
        """The task whose step it was; else the one the loop was run for, where it can be the cell's own."""
        tasks = self._roots.get(loop.id, ())
        thread = self._index.tracks.get(-1 if loop.parent is None else loop.parent)
        if thread is not None and self._not_run(loop, at) is not None:
            return at, thread
        if not tasks:
            return self._through(loop, interval, at)
        ends = [(task.until(self._wall), task) for task in tasks]
        inside = [task for end, task in ends if task.start_ns < at <= end]
        if inside:
            step = None if thread is None else self._index.step_in(thread, at)
            if step is not None:
                self._add(loop, interval, min(at, step[1]), at)
                return min(at, step[1]), step[0]
            return at, self._host if self._host in inside else inside[0]
        earlier = max((end for end, _ in ends if end < at), default=interval.start_ns)
        earlier = max(earlier, interval.start_ns)
        self._add(loop, interval, earlier, at)
        return earlier, loop

    def _through_wait(self, track: Track, wait: StateInterval, at: int) -> tuple[int, Track | None]:
        """To who ended the wait, if somebody of the cell did; else the wait itself is part of the path."""
        source, moment = self._releases.of(track, wait, at)
        if source is not None and source.id != track.id and moment > wait.start_ns:
            started = self._releases.ended_of(track)
            own, when = without_ours(self._index, started, track, wait, at, source, moment)
            if own.id != source.id:
                self._add(source, StateInterval(when, at, State.TRACING), when, at)
                source, moment = own, when
            elif moment < at:
                self._add(track, wait, moment, at)
            if wait.reason in JOINING:
                self._joins[source.id] = track, wait
            self._came[source.id] = track
            return moment, source
        called_off = self._called_off(track, wait, at)
        if called_off is not None:
            return called_off
        # What it was given was there before it began to wait: it had not been ready for that.
        asked = self._asked(track) if wait.reason in IDLE and source is None else None
        if asked is not None:
            return at, asked
        served = self._awaited(track, wait, at) if wait.reason in JOINING else self._served_by(track, at)
        if served is not None:  # a helper that waits for something to do keeps nobody waiting
            return at, served
        self._add(track, wait, wait.start_ns, at)
        return wait.start_ns, track

    def _called_off(self, track: Track, wait: StateInterval, at: int) -> tuple[int, Track] | None:
        """To who joins a helper, where that is what ended its wait, and nothing told so.

        A worker without work keeps nobody waiting. Another wait counts as called off where it ended as the
        join began: a timer's, a listener's, a server's.
        """
        joiner, join = self._joins.get(track.id, (None, wait))
        if joiner is None or wait.reason not in CALLED_OFF:
            return None
        is_idle = wait.reason in IDLE
        begun = join.start_ns if is_idle else self._index.begun(joiner, join)
        if not is_idle and not self._index.begins_at(begun, joiner, wait, at):
            return None
        since = min(max(begun, wait.start_ns), at)
        self._add(joiner, join, since, at)
        return since, joiner

    def _asked(self, track: Track) -> Track | None:
        """Who gave work to one that waited for it, where nothing told that: who needed what came of it.

        A server's threads need each other, and all of them whoever needs the server: in the end the cell.
        """
        asked = self._came.get(track.id)
        if track.role == "machinery" and (asked is None or asked.role == "machinery"):
            return None if self._host is None or self._host.pid == track.pid else self._host
        return asked

    def _through_block(self, task: Track, block: StateInterval, at: int) -> tuple[int, Track | None]:
        """Into the process that the step's thread waited for; else the blocked step is part of the path."""
        thread = self._threads.get((task.pid, task.native_id))
        wait = None if thread is None else self._index.before(thread, at)
        begin = block.start_ns if wait is None else max(block.start_ns, wait.start_ns)
        if thread is not None and wait is not None and wait.state is State.WAITING:
            source, moment = self._releases.of(thread, wait, at)
            outside = source is not None and (source.pid != task.pid or source.role == "machinery")
            if outside and moment > wait.start_ns:
                self._add(task, block, moment, at)
                return moment, source
        self._add(task, block, begin, at)
        return begin, task

    def _awaited(self, track: Track, wait: StateInterval, at: int) -> Track | None:
        """In the middle of a wait, where a helper led to: whose result comes next, and was being made."""
        for flow in self._index.flows_on(track, at):
            source = self._index.tracks.get(flow.source)
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
        one = self._index.before(track, at)
        writes = one is not None and one.reason == "write"  # that is what it was given to do
        if track.role != "machinery" or track.kind != "thread" or writes:
            return None
        origin = self._origin(track, at)
        if origin is None or origin.pid != track.pid or origin.kind == "process":
            return None
        return origin

    def _origin(self, track: Track, at: int) -> Track | None:
        """Who started it; else the track it stands under; else the cell."""
        for flow in self._index.flows_to(track):
            if flow.kind == "spawn" and flow.source != track.id and flow.source_ns <= at:
                return self._index.tracks.get(flow.source)
        if track.parent is not None and track.parent != track.id:
            return self._index.tracks.get(track.parent)
        return None if track is self._host or self._host is None else self._host

    def _add_loop(self, track: Track, ready: StateInterval, at: int) -> None:
        """A task that was ready, or new, had to wait for what the loop did: that is what took the time."""
        loop = self._loops.get(track.native_id)
        if loop is None:
            self._add(track, ready, ready.start_ns, at)
            return
        while at > ready.start_ns:
            interval = self._index.before(loop, at)
            if interval is None:
                self._add(track, ready, ready.start_ns, at)
                return
            begin = max(interval.start_ns, ready.start_ns)
            self._add(loop, interval if interval.state is not State.WAITING else ready, begin, at)
            at = begin

    def _begun(self, track: Track, at: int) -> int:
        """When what a track did just before a moment began; -1 if it did nothing."""
        interval = self._index.before(track, at)
        return -1 if interval is None else interval.start_ns

    def _stay(self, track: Track | None, at: int) -> int:
        """Where nobody leads on: the rest of this stretch as it is."""
        interval = self._index.before(track, at) if track is not None else None
        if track is None or interval is None:
            self._add(None, StateInterval(0, at, State.UNKNOWN), 0, at)
            return 0
        self._add(track, interval, interval.start_ns, at)
        return interval.start_ns

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
                interval.phase,
                interval.file,
                interval.line,
            )
        )
