"""What a critical path is looked up in: what each track did when, and who started whom."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from concmagic.model.reasons import told_as
from concmagic.model.trace import Flow, State, StateInterval, Trace, Track

NOTICED_LATE_NS = 2_000_000
_MOST_LOOKS = 16  # at whether to go on waiting for the same


@dataclass(frozen=True, slots=True)
class PathPart:
    """What the cell's end had to wait for in one stretch."""

    track: int | None
    start_ns: int
    end_ns: int
    state: State
    reason: str = ""
    phase: str = ""
    file: str = ""
    line: int = 0

    @property
    def length_ns(self) -> int:
        """How long this part of the path lasts."""
        return self.end_ns - self.start_ns


def kind_of(part: PathPart) -> tuple[State, str]:
    """Equal for parts that are told in the same words."""
    if part.state is State.UNKNOWN:
        return part.state, ""
    return part.state, part.phase if part.state in (State.STARTING, State.TRACING) else told_as(part.reason)


def summarised(parts: Sequence[PathPart]) -> list[tuple[PathPart, int]]:
    """Parts with equal words joined to one of their summed length; longest first."""
    sums: dict[tuple[State, str], int] = defaultdict(int)
    first: dict[tuple[State, str], PathPart] = {}
    for part in parts:
        key = kind_of(part)
        sums[key] += part.length_ns
        longest = first.get(key)
        if longest is None or part.length_ns > longest.length_ns:
            first[key] = part
    return [(first[key], length) for key, length in sorted(sums.items(), key=lambda pair: -pair[1])]


def places_of(parts: Sequence[PathPart], like: PathPart) -> list[tuple[str, int, int]]:
    """Where the parts with the words of this one lie: file, line and their summed length; longest first."""
    sums: dict[tuple[str, int], int] = defaultdict(int)
    for part in parts:
        if kind_of(part) == kind_of(like):
            sums[part.file, part.line] += part.length_ns
    return [(*place, length) for place, length in sorted(sums.items(), key=lambda pair: -pair[1])]


def host_of(trace: Trace) -> Track | None:
    """The track whose end is the cell's end."""
    hosts = [track for track in trace.tracks if track.host]
    hosts += [track for track in trace.tracks if track.kind == "thread" and track.role == "work"]
    hosts += sorted(trace.tracks, key=lambda track: -track.until(trace.wall_ns))
    return next(iter(hosts), None)


def children_of(trace: Trace) -> dict[int, list[Track]]:
    """Who started whom, as far as it is known; else who stands under whom. A thread does its loop itself."""
    tracks = {track.id: track for track in trace.tracks}
    children: dict[int, list[Track]] = defaultdict(list)
    started = set()
    for flow in trace.flows:
        if flow.kind == "spawn" and flow.target in tracks:
            children[flow.source].append(tracks[flow.target])
            started.add(flow.target)
    for track in trace.tracks:
        if track.parent is not None and track.id not in started and track.kind != "loop":
            children[track.parent].append(track)
    return children


def started_by(
    track: Track, tracks: Mapping[int, Track], children: Mapping[int, Sequence[Track]]
) -> Sequence[Track]:
    """Its children; a pool's helper waits for those that others of its process have started."""
    if track.role != "machinery" or track.kind != "thread":
        return children.get(track.id, ())
    beside = [one.id for one in tracks.values() if one.kind == "thread" and one.pid == track.pid]
    return [
        child
        for one in beside
        for child in children.get(one, ())
        if child.kind == "process" or one == track.id
    ]


def main_threads(trace: Trace) -> dict[int, Track]:
    """By the track of a child process: the one of its main thread."""
    processes = {
        (track.id, track.native_id): track.id
        for track in trace.tracks
        if track.kind == "process" and track.parent is not None
    }
    found = {}
    for track in trace.tracks:
        if track.kind == "thread" and track.parent is not None and track.states:
            process = processes.get((track.parent, track.native_id))
            if process is not None:
                found[process] = track
    return found


def _in_step(one: StateInterval) -> bool:
    """Whether a task was in a step: also one that was kept from a core or from the GIL meanwhile."""
    return one.state in (State.RUNNING, State.BLOCKING) or (one.state is State.READY and one.reason != "loop")


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
        self._steps: dict[tuple[int, int], list[tuple[int, int, int]]] | None = None  # begin, end, task
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

    def step_in(self, thread: Track, at: int) -> tuple[Track, int] | None:
        """The task whose step went on in this thread at a moment, or had just ended; and the step's end."""
        if self._steps is None:
            self._steps = defaultdict(list)
            for track in self.tracks.values():
                if track.kind == "task":
                    steps = (one for one in track.states if _in_step(one))
                    of_thread = self._steps[track.pid, track.native_id]
                    of_thread += ((one.start_ns, one.end_ns, track.id) for one in steps)
            for found in self._steps.values():
                found.sort()
        steps_here = self._steps.get((thread.pid, thread.native_id), [])
        index = bisect_left(steps_here, (at,)) - 1
        if index < 0 or at - steps_here[index][1] > NOTICED_LATE_NS:
            return None
        return self.tracks[steps_here[index][2]], steps_here[index][1]

    def since(self, track: Track, at: int) -> Iterator[StateInterval]:
        """What a track began at a moment, and what it did then."""
        for index in range(bisect_left(self._starts[track.id], at), len(track.states)):
            yield track.states[index]

    def begun(self, track: Track, wait: StateInterval) -> int:
        """When a track began to wait for this, with the moments in which it only looked whether to go on."""
        begun = wait.start_ns
        last = bisect_left(self._starts[track.id], begun) - 1
        for index in range(last, max(last - _MOST_LOOKS, -1), -1):
            one = track.states[index]
            if one.state is State.WAITING and one.reason == wait.reason:
                begun = one.start_ns
            elif one.state is State.WAITING or one.length_ns > NOTICED_LATE_NS:
                break
        return begun

    def begins_at(self, begun: int, joiner: Track, wait: StateInterval, at: int) -> bool:
        """Whether a join began as the wait of who is joined ended, or as soon after it as a core was had."""
        late = max(wait.length_ns // 10, NOTICED_LATE_NS)
        if begun <= at + late:
            return wait.start_ns < begun >= at - late
        between = self.between(joiner, at + late, begun)
        return all(one.state in (State.RUNNING, State.READY) for one in between)

    def between(self, track: Track, since: int, until: int) -> Iterator[StateInterval]:
        """What a track did in some stretch, in whole states."""
        for index in range(max(bisect_right(self._starts[track.id], since) - 1, 0), len(track.states)):
            if track.states[index].start_ns >= until:
                return
            if track.states[index].end_ns > since:
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


class Ended:
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

    def between(self, after_ns: int, until_ns: int, most: int) -> Sequence[Track]:
        """Those that ended in that time; of many the last."""
        first, end = bisect_right(self._ends, after_ns), bisect_right(self._ends, until_ns)
        return self._tracks[max(first, end - most) : end]
