"""Waits for what processes share: who let go what ended each, and until when its thread surely waited."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.import_messages import ThreadKey
from concmagic.model.states import cover, within
from concmagic.model.trace import Flow, State, StateInterval, Track
from concmagic.records.recording import ProcessRecord

_REASON = "process lock"
_KNOWN_TO = (State.RUNNING, State.READY, State.UNKNOWN)  # of what is told of who waits: what it did not do
# From a release to the moment at which who waited runs again; where releases were not all noted, what
# comes later may be another's doing.
_LATE_NS, _NEAR_NS = 200_000_000, 2_000_000


@dataclass(frozen=True, slots=True)
class SharedWait:
    """One wait of one thread, on the machine's clock."""

    waiter: ThreadKey
    start_ns: int
    end_ns: int
    releaser: ThreadKey | None = None  # who let go what it waited for, if that is known, …
    released_ns: int = 0  # … then


class SharedWaits:
    """All waits of a recording for what its processes share."""

    def __init__(self, processes: Sequence[ProcessRecord], clock: CellClock) -> None:
        self._clock = clock
        self._waits = shared_waits(processes)
        self._by_thread: dict[ThreadKey, list[SharedWait]] = defaultdict(list)
        for wait in self._waits:
            self._by_thread[wait.waiter].append(wait)

    def over(self, track: Track) -> Track:
        """The thread's track, with its waits over what else is told of it."""
        waits = self._by_thread.get((track.pid, track.native_id), ())
        layer = [*_layer(track, waits, self._clock)] if track.states else []
        if not layer:
            return track
        begin, end = track.states[0].start_ns, track.states[-1].end_ns
        return replace(track, states=cover(begin, end, track.states, layer))

    def flows(self, tracks: Sequence[Track]) -> list[Flow]:
        """From who let go to who could go on."""
        threads = {(track.pid, track.native_id): track for track in tracks if track.kind == "thread"}
        at, flows = self._clock.at, []
        for wait in self._waits:
            source, target = threads.get(wait.releaser or (0, 0)), threads.get(wait.waiter)
            if source is not None and target is not None and wait.end_ns > self._clock.start_ns:
                released, end = at(wait.released_ns), at(wait.end_ns)
                flows.append(Flow("release", source.id, released, target.id, _over(target, released, end)))
        return flows


def shared_waits(processes: Sequence[ProcessRecord]) -> tuple[SharedWait, ...]:
    """Every wait for a semaphore, with the release that ended it; linear but for sorting."""
    ends = [log.ended_ns for one in processes if (log := one.process_locks) is not None]
    all_until = min((end for end in ends if end is not None), default=None)
    found = [
        wait
        for of_lock in _by_lock(processes).values()
        for wait in _matched(sorted(of_lock, key=lambda event: event.at_ns), all_until)
    ]
    return tuple(sorted(found, key=lambda wait: wait.end_ns))


@dataclass(frozen=True, slots=True)
class _Event:
    """A release, or the end of a wait."""

    at_ns: int
    who: ThreadKey
    start_ns: int | None = None  # of a wait
    taken: bool = False


def _by_lock(processes: Sequence[ProcessRecord]) -> Mapping[str, list[_Event]]:
    found: dict[str, list[_Event]] = defaultdict(list)
    for process in processes:
        log = process.process_locks
        if log is None:
            continue
        for lock, native_id, at_ns in log.releases:
            found[log.locks[lock]].append(_Event(at_ns, (process.pid, native_id)))
        for wait in log.waits:
            who = process.pid, wait.native_id
            found[log.locks[wait.lock]].append(_Event(wait.end_ns, who, wait.start_ns, wait.taken))
    return found


def _matched(events: Sequence[_Event], all_until: int | None) -> Iterator[SharedWait]:
    """Each wait with the last release before its end that ended no other.

    Earlier ones were taken by who did not have to wait. Of two that are noted late the one that was woken
    later may be noted first: then the other is left with the earlier release, which was its own.
    """
    free: list[_Event] = []
    for one in events:
        if one.start_ns is None:
            free.append(one)
            continue
        wait = SharedWait(one.who, one.start_ns, one.at_ns)
        is_whole = all_until is None or one.at_ns <= all_until
        since = max(one.start_ns, one.at_ns - (_LATE_NS if is_whole else _NEAR_NS))
        if one.taken and free and free[-1].at_ns >= since:
            release = free.pop()
            wait = replace(wait, releaser=release.who, released_ns=release.at_ns)
        yield wait


def _layer(track: Track, waits: Sequence[SharedWait], clock: CellClock) -> Iterator[StateInterval]:
    """It waited until it was let go on, whatever else seems to have been."""
    for wait in waits:
        start, end = clock.at(wait.start_ns), clock.at(wait.released_ns or wait.end_ns)
        pieces = within(track.states, start, end)
        told = max((one for one in pieces if one.state is State.WAITING), key=_length, default=None)
        if told is None:
            told = StateInterval(start, end, State.WAITING, _REASON)
        for one in pieces:
            if one.state in _KNOWN_TO:
                yield replace(told, start_ns=one.start_ns, end_ns=one.end_ns)


def _length(one: StateInterval) -> int:
    return one.length_ns


def _over(track: Track, released_ns: int, end_ns: int) -> int:
    """When the wait is over in the track: with the last state of waiting before the thread went on."""
    index = bisect_left(track.states, end_ns, key=lambda one: one.start_ns) - 1
    while index >= 0 and track.states[index].end_ns >= released_ns:
        if track.states[index].state is State.WAITING:
            return min(track.states[index].end_ns, end_ns)
        index -= 1
    return end_ns
