"""What the waits of threads lack by themselves: at what, and for whom."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from concmagic.importing.clock_ids_places import CellClock, TrackIds
from concmagic.model.reasons import LOCATED
from concmagic.model.states import cut, within
from concmagic.model.trace import NO_FACTS, Facts, Flow, FlowKind, Job, State, StateInterval, Track
from concmagic.records.recording import ProcessRecord

_SAMPLED_NS = 10_000_000  # at least so long after a wait that samples tell may have ended what it was for
_LATE_NS = 1_000_000  # a worker notes its job's end after it has handed the result over
JOIN, RESULT = ("join",), ("result",)
_HOW = ("join", "pipe", "subprocess", "select", "")  # what a thread is seen to wait for inside a join

_IN_SELECTOR = ("select", "events", "")

Pair = tuple[int, int]
Calls = Mapping[int, Sequence[Pair]]  # by track: from and to when its calls blocked, in order


def to_their_ends(waits: Sequence[StateInterval], samples: Sequence[StateInterval]) -> list[StateInterval]:
    """Waits whose end was not recorded, with the end that samples saw: as long as the thread did not move."""
    found = list(waits)
    for one in samples:
        if found and one.state is State.WAITING and one.start_ns < found[-1].end_ns < one.end_ns:
            found[-1] = cut(found[-1], found[-1].start_ns, one.end_ns)
    return found


def with_places(waits: Sequence[StateInterval], samples: Sequence[StateInterval]) -> list[StateInterval]:
    """The waits with the address or file that samples saw in them."""
    told = [one for one in samples if one.facts is not NO_FACTS]
    begins = [one.start_ns for one in told]
    found = []
    for wait in waits:
        if wait.reason in LOCATED and wait.facts is NO_FACTS:
            index = bisect_right(begins, wait.start_ns) - 1
            inside = [one for one in told[max(index, 0) : index + 4] if _shared(one, wait) > 0]
            if inside:
                best = max(inside, key=lambda one: _shared(one, wait))
                wait = replace(wait, facts=best.facts)
        found.append(wait)
    return found


def _shared(one: StateInterval, other: StateInterval) -> int:
    return min(one.end_ns, other.end_ns) - max(one.start_ns, other.start_ns)


@dataclass(frozen=True, slots=True)
class End:
    """An end of something on a track, at a moment, that a wait can have been for."""

    at_ns: int
    track: int
    name: str
    begun_ns: int  # nobody waited for it before


def for_whom(
    tracks: Sequence[Track],
    ends: Sequence[End],
    calls: Calls,
    reasons: Sequence[str],
    kind: FlowKind,
    late_ns: int = 0,
    near_ns: int = _SAMPLED_NS,
    processes: Sequence[Join] = (),
) -> tuple[list[Track], list[Flow]]:
    """Waits of a kind with what they were for, the last that ended in that time; and the flows from there.

    Not those for `processes`, which are known already.
    """
    ordered = sorted(ends, key=lambda end: end.at_ns)
    moments = [end.at_ns for end in ordered]
    by_track: dict[int, list[End]] = defaultdict(list)
    for one in ordered:
        by_track[one.track].append(one)
    told, flows = [], []
    for track in tracks:
        states = list(track.states)
        in_process_joins = inside(processes, track.id)
        for index, wait in enumerate(states):
            if wait.state is not State.WAITING or wait.reason not in reasons:
                continue
            if in_process_joins(wait):
                continue
            until = _returned(wait, calls.get(track.id, ()))
            # Whom a sampled wait was for may have been seen; when it was over is only nearly known.
            named = by_track.get(wait.waits_for[0], ()) if wait.waits_for else ()
            if named:
                end = _last(named, [end.at_ns for end in named], wait.start_ns, until + near_ns, track.id)
            else:
                end = _last(ordered, moments, wait.start_ns, until + late_ns, track.id)
            if end is not None:
                flows.append(Flow(kind, end.track, end.at_ns, track.id, max(until, end.at_ns), end.name))
                if not wait.waits_for:
                    job = end.name if kind == "result" else ""
                    facts = replace(wait.facts, waits_for=(end.track,), job=job)
                    states[index] = replace(wait, facts=facts)
        told.append(replace(track, states=tuple(states)) if flows else track)
    return told, flows


def _returned(wait: StateInterval, calls: Sequence[Pair]) -> int:
    """When the wait's call returned, which is later than it waited where it was kept READY."""
    index = bisect_right(calls, (wait.start_ns, 1 << 62)) - 1
    return (
        max(wait.end_ns, calls[index][1]) if index >= 0 and calls[index][1] > wait.start_ns else wait.end_ns
    )


def _last(ends: Sequence[End], moments: Sequence[int], start: int, until: int, own: int) -> End | None:
    index = bisect_right(moments, until) - 1
    while index >= 0 and moments[index] >= start:
        if ends[index].track != own and ends[index].begun_ns <= until:
            return ends[index]
        index -= 1
    return None


def joined(
    tracks: Sequence[Track], calls: Calls, sampling_ns: int = 0, processes: Sequence[Join] = ()
) -> tuple[list[Track], list[Flow]]:
    """Waits in `join`, with the thread or process that was joined."""
    tracks, flows = with_process_joins(tracks, processes)
    ends = [
        End(track.end_ns, track.id, track.name, track.start_ns)
        for track in tracks
        if track.end_ns is not None and track.role == "work"
    ]
    near_ns = max(2 * sampling_ns, _SAMPLED_NS)
    told, of_threads = for_whom(tracks, ends, calls, JOIN, "join", near_ns=near_ns, processes=processes)
    return told, [*flows, *of_threads]


def with_results(
    tracks: Sequence[Track], jobs: Sequence[Job], calls: Calls
) -> tuple[list[Track], list[Flow]]:
    """Waits for a job's result, with the job."""
    known = {track.id for track in tracks}
    ends = [
        End(job.end_ns, job.track, job.label, job.submit_ns)
        for job in jobs
        if job.end_ns is not None and job.track in known and job.count == 1
    ]
    threads = [track for track in tracks if track.kind == "thread"]
    if not ends:
        return list(tracks), []
    told, flows = for_whom(threads, ends, calls, RESULT, "result", _LATE_NS)
    by_id = {track.id: track for track in told}
    return [by_id.get(track.id, track) for track in tracks], flows


@dataclass(frozen=True, slots=True)
class Join:
    """A thread waited from a moment to another for a process, and saw its end."""

    thread: int  # its track
    from_ns: int
    until_ns: int
    process: int  # its track
    name: str
    ended_ns: int


def process_joins(
    parent: ProcessRecord, processes: Iterable[ProcessRecord], clock: CellClock, ids: TrackIds
) -> list[Join]:
    """The joins by which threads of a process saw ends of its children."""
    found = []
    for child in processes:
        if child.parent_pid != parent.pid or child.ended_ns is None or not child.joins:
            continue
        process, ended = ids.get("process", child.pid, 0), clock.at(child.ended_ns)
        for join in child.joins:
            thread = ids.known("thread", parent.pid, join.native_id)
            if thread is not None and join.until_ns >= child.ended_ns > join.from_ns:
                begin, end = clock.at(join.from_ns), clock.at(join.until_ns)
                found.append(Join(thread, begin, end, process, child.name, ended))
    return found


def with_process_joins(tracks: Sequence[Track], joins: Sequence[Join]) -> tuple[list[Track], list[Flow]]:
    """The threads with the process on each wait for one; and the flows from the processes' ends."""
    of_thread: dict[int, list[Join]] = {}
    for join in joins:
        of_thread.setdefault(join.thread, []).append(join)
    told = [_told(track, of_thread[track.id]) if track.id in of_thread else track for track in tracks]
    return told, [
        Flow("join", join.process, join.ended_ns, join.thread, max(join.until_ns, join.ended_ns), join.name)
        for join in joins
    ]


def inside(joins: Iterable[Join], track: int) -> Callable[[StateInterval], bool]:
    """What tells whether a state of a track lies in one of these joins; quick for very many."""
    begins: list[int] = []
    ends: list[int] = []
    for begin, end in sorted((join.from_ns, join.until_ns) for join in joins if join.thread == track):
        if ends and begin <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            begins.append(begin)
            ends.append(end)

    def is_inside(interval: StateInterval) -> bool:
        middle = (interval.start_ns + interval.end_ns) // 2
        index = bisect_right(begins, middle) - 1
        return index >= 0 and middle <= ends[index]

    return is_inside


def _told(track: Track, joins: Iterable[Join]) -> Track:
    ordered = sorted(joins, key=lambda join: join.from_ns)
    states, index = [], 0
    for interval in track.states:
        while index < len(ordered) and ordered[index].until_ns <= interval.start_ns:
            index += 1
        states.append(_of(interval, ordered[index]) if index < len(ordered) else interval)
    return replace(track, states=tuple(states))


def _of(interval: StateInterval, join: Join) -> StateInterval:
    middle = (interval.start_ns + interval.end_ns) // 2
    is_of_it = interval.state is State.WAITING and interval.reason in _HOW
    if not is_of_it or not join.from_ns <= middle <= join.until_ns:
        return interval
    return replace(interval, reason="join", facts=Facts(waits_for=(join.process,)))


def as_its_loop(states: Sequence[StateInterval], idle: Sequence[StateInterval]) -> list[StateInterval]:
    """A thread's waits in the selector of an event loop, for what that loop waits."""
    told = []
    for wait in idle:
        for one in within(states, wait.start_ns, wait.end_ns):
            if one.state is State.WAITING and one.reason in _IN_SELECTOR:
                told.append(replace(one, reason=wait.reason, facts=NO_FACTS))
    return told
