"""Waits for a process's end: for which, and the flow from there. Both are known from the join itself."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from concmagic.importing.cell_clock import CellClock
from concmagic.importing.numbering import TrackIds
from concmagic.model.trace import Facts, Flow, State, StateInterval, Track
from concmagic.records.recording import ProcessRecord

_HOW = ("join", "pipe", "subprocess", "select", "")  # what a thread is seen to wait for inside a join


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


def is_in(interval: StateInterval, joins: Iterable[Join], track: int) -> bool:
    """Whether a state of a track lies in one of these joins."""
    middle = (interval.start_ns + interval.end_ns) // 2
    return any(join.thread == track and join.from_ns <= middle <= join.until_ns for join in joins)


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
    if interval.state is not State.WAITING or interval.reason not in _HOW:
        return interval
    if not is_in(interval, (join,), join.thread):
        return interval
    return replace(interval, reason="join", facts=Facts(waits_for=(join.process,)))
