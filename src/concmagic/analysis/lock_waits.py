"""Waits of threads for locks: which lock, and which thread had it, read from the states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from concmagic.model.reasons import OF_LOCKS
from concmagic.model.trace import Resource, State, StateInterval, Trace, Track

STOPPED_SHARE = 0.05  # a wait that ended in this last part of a stopped cell ended because the cell did …
STOPPED_NS = 600_000_000  # … which takes no longer than this


@dataclass(frozen=True, slots=True)
class LockUse:
    """All waits for one lock; where that is not known, all at one line."""

    reason: str
    lock: Resource | None
    file: str
    line: int
    waits: tuple[tuple[int, StateInterval], ...]  # pairs (track, wait)


def wait_by_lock(trace: Trace) -> list[LockUse]:
    """Waits of the work's threads by what they were for, the longest sum first."""
    found: dict[tuple[str, int, str, int], list[tuple[int, StateInterval]]] = defaultdict(list)
    for track in _threads(trace):
        for one in track.states:
            if _is_lock_wait(one):
                lock = _lock_of(trace, one)
                key = (-1, one.file, one.line) if lock is None else (one.resource or 0, "", 0)
                found[one.reason, *key].append((track.id, one))
    uses = [
        LockUse(reason, trace.resources[number] if number >= 0 else None, file, line, tuple(waits))
        for (reason, number, file, line), waits in found.items()
    ]
    return sorted(uses, key=lambda use: -sum(one.length_ns for _, one in use.waits))


def last_waits(trace: Trace) -> dict[int, StateInterval]:
    """By thread what it waited for when the cell was stopped, of those that waited for a lock."""
    late = trace.wall_ns - max(round(STOPPED_SHARE * trace.wall_ns), min(STOPPED_NS, trace.wall_ns // 2))
    found = {}
    for track in _threads(trace):
        waits = [one for one in track.states if one.end_ns > late and _is_lock_wait(one)]
        waits = [one for one in waits if one.line or _is_told(trace, one)]  # else it is none of the user's
        if waits:
            found[track.id] = max(waits, key=lambda one: one.length_ns)
    return found


def holders(waits: Mapping[int, StateInterval]) -> dict[int, int | None]:
    """By waiting thread the one that has what it waits for: itself waiting at that time, else None."""
    found: dict[int, int | None] = {}
    for number, wait in waits.items():
        whom = wait.waits_for[-1] if wait.waits_for else None
        other = waits.get(whom) if whom is not None else None
        at_once = other is not None and max(wait.start_ns, other.start_ns) < min(wait.end_ns, other.end_ns)
        found[number] = whom if at_once else None
    return found


def _is_told(trace: Trace, one: StateInterval) -> bool:
    """Whether it is known which lock it was, or who had it."""
    return bool(one.holders or one.waits_for or _lock_of(trace, one))


def _lock_of(trace: Trace, one: StateInterval) -> Resource | None:
    """The lock that was waited for, if it has a name or it is known where it was made."""
    lock = None if one.resource is None else trace.resources[one.resource]
    return lock if lock is not None and (lock.name or lock.line) else None


def _is_lock_wait(one: StateInterval) -> bool:
    return one.state is State.WAITING and one.reason in OF_LOCKS


def _threads(trace: Trace) -> list[Track]:
    return [track for track in trace.tracks if track.kind == "thread" and track.role == "work"]
