"""Waits of threads for locks: which lock, and which thread had it, read from the states."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from concmagic import sentences
from concmagic.model.states import OF_LOCKS
from concmagic.model.trace import State, StateInterval, Trace, Track

STOPPED_SHARE = 0.05  # a wait that ended in this last part of a stopped cell ended because the cell did …
STOPPED_NS = 600_000_000  # … which takes no longer than this
_HELD = "held by "


@dataclass(frozen=True, slots=True)
class LockUse:
    """All waits for one lock; `name` is "" where the line alone tells it."""

    reason: str
    name: str
    file: str
    line: int
    waits: tuple[tuple[int, StateInterval], ...]  # pairs (track, wait)


def wait_by_lock(trace: Trace) -> list[LockUse]:
    """Waits of the work's threads by what they were for, the longest sum first."""
    found: dict[tuple[str, str, str, int], list[tuple[int, StateInterval]]] = defaultdict(list)
    for track in _threads(trace):
        for one in track.states:
            if _is_lock_wait(one):
                name, _ = split(one.detail)
                place = ("", 0) if name else (one.file, one.line)
                found[one.reason, name, *place].append((track.id, one))
    uses = [LockUse(*key, tuple(waits)) for key, waits in found.items()]
    return sorted(uses, key=lambda use: -sum(one.length_ns for _, one in use.waits))


def split(detail: str) -> tuple[str, str]:
    """Name of the lock, and who had it."""
    name, mark, holder = detail.rpartition(_HELD)
    return (name.removesuffix(", "), holder) if mark else (detail, "")


def last_waits(trace: Trace) -> dict[int, StateInterval]:
    """By thread what it waited for when the cell was stopped, of those that waited for a lock."""
    late = trace.wall_ns - max(round(STOPPED_SHARE * trace.wall_ns), min(STOPPED_NS, trace.wall_ns // 2))
    found = {}
    for track in _threads(trace):
        waits = [one for one in track.states if one.end_ns > late and _is_lock_wait(one)]
        waits = [one for one in waits if one.detail or one.line]  # else it is none of the user's
        if waits:
            found[track.id] = max(waits, key=lambda one: one.length_ns)
    return found


def holders(trace: Trace, waits: Mapping[int, StateInterval]) -> dict[int, int | None]:
    """By waiting thread the one that has what it waits for: itself waiting at that time, else None."""
    count = Counter(track.name for track in _threads(trace))
    by_name = {track.name: track.id for track in _threads(trace) if count[track.name] == 1}
    found: dict[int, int | None] = {}
    for number, wait in waits.items():
        _, holder = split(wait.detail)
        # Of several that had it in turn the last is named last.
        whom = next((each for name, each in by_name.items() if _names(holder, name)), None)
        if wait.reason == "Semaphore" and holder not in by_name:
            whom = None  # of several that each have a permit any may give it back
        other = waits.get(whom) if whom is not None else None
        at_once = other is not None and max(wait.start_ns, other.start_ns) < min(wait.end_ns, other.end_ns)
        found[number] = whom if at_once else None
    return found


def _names(holder: str, name: str) -> bool:
    return holder in (name, sentences.waits_for_itself(name)) or holder.endswith(
        sentences.lock_holders(["", name], 0)
    )


def _is_lock_wait(one: StateInterval) -> bool:
    return one.state is State.WAITING and one.reason in OF_LOCKS


def _threads(trace: Trace) -> list[Track]:
    return [track for track in trace.tracks if track.kind == "thread" and track.role == "work"]
