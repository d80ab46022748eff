"""Waits of threads and tasks for locks; who waited for whom when a cell was stopped: chains, and circles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from concmagic.model.findings import WaitLink
from concmagic.model.reasons import OF_LOCKS
from concmagic.model.trace import Named, Resource, State, StateInterval, Trace, Track

STOPPED_SHARE = 0.05  # a wait that ended in this last part of a stopped cell ended because the cell did …
STOPPED_NS = 600_000_000  # … which takes no longer than this
_BY_OTHERS = OF_LOCKS | {"join", "result", "pool"}  # what only another thread of Python's can end
_STOPPED = ("cancelled", "left running", "interrupted", "timed out", "raised")


@dataclass(frozen=True, slots=True)
class LockUse:
    """All waits for one lock; where that is not known, all at one line."""

    reason: str
    lock: Resource | None
    file: str
    line: int
    waits: tuple[tuple[int, StateInterval], ...]  # pairs (track, wait)
    kind: str = "thread"  # of those that waited


def wait_by_lock(trace: Trace) -> list[LockUse]:
    """Waits of the work's threads and tasks by what they were for, the longest sum first."""
    found: dict[tuple[str, str, int, str, int], list[tuple[int, StateInterval]]] = defaultdict(list)
    for track in [*_threads(trace), *_tasks(trace)]:
        for one in track.states:
            if _is_lock_wait(one):
                lock = _lock_of(trace, one)
                key = (-1, one.file, one.line) if lock is None else (one.resource or 0, "", 0)
                found[track.kind, one.reason, *key].append((track.id, one))
    uses = [
        LockUse(reason, trace.resources[number] if number >= 0 else None, file, line, tuple(waits), kind)
        for (kind, reason, number, file, line), waits in found.items()
    ]
    return sorted(uses, key=lambda use: -sum(one.length_ns for _, one in use.waits))


def last_waits(trace: Trace) -> dict[int, StateInterval]:
    """By thread what it waited for when the cell was stopped: a lock, or without a limit another thread."""
    late = stop_ns(trace)
    found = {}
    for track in _threads(trace):
        waits = [one for one in track.states if one.end_ns > late and _is_lock_wait(one)]
        waits = [one for one in waits if one.line or _is_told(trace, one)]  # else it is none of the user's
        if waits:
            found[track.id] = max(waits, key=lambda one: one.length_ns)
    return found | endless_waits(trace)


def endless_waits(trace: Trace) -> dict[int, StateInterval]:
    """By thread the wait without a timeout in which it was seen as the cell was about to be stopped.

    The signal may have ended that a moment before. What else a call without arguments waits for is left out.
    """
    if trace.stop is None:
        return {}
    found = {}
    for track in trace.tracks:
        if track.id in trace.stop.endless:
            waits = [one for one in track.states if one.state is State.WAITING]
            last = next((one for one in reversed(waits) if one.start_ns <= trace.stop.at_ns), None)
            if last is not None and last.reason in _BY_OTHERS:
                found[track.id] = last
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


def stop_ns(trace: Trace) -> int:
    """From when on a wait that ended may have ended because the cell was stopped."""
    return trace.wall_ns - max(round(STOPPED_SHARE * trace.wall_ns), min(STOPPED_NS, trace.wall_ns // 2))


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


def _tasks(trace: Trace) -> list[Track]:
    return [track for track in trace.tracks if track.kind == "task" and track.role == "work"]


@dataclass(frozen=True, slots=True)
class Link:
    """One task or thread that waited, by its track."""

    track: int
    values: WaitLink


@dataclass(frozen=True, slots=True)
class Chain:
    """Who waited, for whom, for whom that one …; `cycle` are those that wait in a circle."""

    links: tuple[Link, ...]
    cycle: tuple[int, ...] = ()


def chains(trace: Trace) -> list[Chain]:
    """Of every task and thread that still waited when the cell was stopped, the chain that begins with it."""
    return [*_of_tasks(trace), *_of_threads(trace)]


def _of_threads(trace: Trace) -> list[Chain]:
    waits = last_waits(trace)
    next_of = holders(waits)
    threads = {track.id: track for track in trace.tracks if track.kind == "thread"}
    named = Named.of(trace)
    return [_chain(number, threads, waits, next_of, named) for number in waits]


def links_of(trace: Trace, waits: Mapping[int, StateInterval]) -> list[Link]:
    """A link of each of these threads' waits, those first that have waited longest."""
    next_of, named = holders(waits), Named.of(trace)
    threads = {track.id: track for track in trace.tracks if track.kind == "thread"}
    order = sorted(waits, key=lambda number: waits[number].start_ns)
    return [_link(number, threads, waits[number], next_of[number], named) for number in order]


def _of_tasks(trace: Trace) -> list[Chain]:
    waits = {track.id: wait for track in trace.tracks if (wait := _last_wait(trace, track)) is not None}
    tasks = {track.id: track for track in trace.tracks if track.kind == "task"}
    next_of = {number: _whom(tasks[number], wait, waits, trace) for number, wait in waits.items()}
    named = Named.of(trace)
    return [_chain(number, tasks, waits, next_of, named) for number in waits]


def longest_chains(trace: Trace) -> list[Chain]:
    """The chains, the longest first; those that lie in another are left out."""
    found = sorted(chains(trace), key=lambda chain: -len(chain.links))
    told: set[int] = set()
    longest = []
    for chain in found:
        if chain.links[0].track in told:
            continue
        told |= {link.track for link in chain.links}
        longest.append(chain)
    return longest


def _last_wait(trace: Trace, track: Track) -> StateInterval | None:
    """What a task waited for when the cell was stopped; what it waited for while it was cancelled is none."""
    if track.kind != "task" or track.role != "work":
        return None
    stopped = track.outcome.kind in _STOPPED
    # One that was there before the cell waits for what the cell knows nothing of.
    if not track.host and (not stopped or track.start_ns <= 0):
        return None
    late = stop_ns(trace)
    waits = [one for one in track.states if one.state is State.WAITING and one.end_ns > late]
    return max(waits, key=lambda one: one.length_ns, default=None)


def _whom(track: Track, wait: StateInterval, waits: dict[int, StateInterval], trace: Trace) -> int | None:
    """The task that this one waits for; None if it is nobody, or not known who."""
    if wait.waits_for:
        return wait.waits_for[-1] if wait.waits_for[-1] >= 0 else None
    if wait.reason not in ("TaskGroup", "gather", "wait", "wait_for", "as_completed"):
        return None
    # Its own tasks: the one of them that has waited longest.
    own = [flow.target for flow in trace.flows if flow.kind == "spawn" and flow.source == track.id]
    return min((one for one in own if one in waits), key=lambda one: waits[one].start_ns, default=None)


def _chain(
    first: int,
    tasks: dict[int, Track],
    waits: dict[int, StateInterval],
    next_of: dict[int, int | None],
    named: Named,
) -> Chain:
    order: list[int] = []
    number: int | None = first
    while number is not None and number in waits and number not in order:
        order.append(number)
        number = next_of[number]
    links = tuple(_link(one, tasks, waits[one], next_of[one], named) for one in order)
    return Chain(links, tuple(order[order.index(number) :]) if number in order else ())


def _link(number: int, tasks: dict[int, Track], wait: StateInterval, whom: int | None, named: Named) -> Link:
    other = tasks[whom].name if whom is not None and whom in tasks else ""
    return Link(number, WaitLink(tasks[number].name, wait, tasks[number].kind == "thread", other, named))
