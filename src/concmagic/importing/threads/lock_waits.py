"""Waits for locks, as they were recorded one by one: why, for which, and who had it; laid over the calls."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds, base_name
from concmagic.importing.import_calls import BlockedCall, ImportedCalls, ThreadCalls
from concmagic.importing.threads.sampled_states import Samples
from concmagic.interpreter import recorded_calls
from concmagic.model import reasons
from concmagic.model.trace import NO_FACTS, Facts, Flow, Lock, Resource, State, StateInterval
from concmagic.records.handed_over import CallSite, LockLog, LockObject, LockWait
from concmagic.records.recording import ProcessRecord


@dataclass(frozen=True, slots=True)
class FoundWait:
    """One wait of a thread; times from the cell's start."""

    native_id: int
    start_ns: int
    end_ns: int
    reason: str
    facts: Facts
    file: str
    line: int
    object: int  # -1: not known
    releaser: int | None = None  # native id
    released_ns: int = 0
    exact: bool = True  # seen by itself, not by samples
    notified: bool = False  # who let it go is known by itself


class LockReader:
    """Reads one process's log."""

    def __init__(
        self, process: ProcessRecord, log: LockLog, clock: CellClock, places: Places, ids: TrackIds
    ) -> None:
        self.log = log
        self._pid = process.pid
        self._ids = ids
        self._clock = clock
        self._places = places
        self._names = {record.native_id: record.name for record in process.threads}
        self._told: dict[int, tuple[str, str, int]] = {}
        self.resources = self._numbers()  # of the objects, by their number in the log
        self._facts: dict[tuple[object, ...], Facts] = {}
        pairs = zip(self.resources, log.objects, strict=True)
        self.nameless = frozenset(number for number, one in pairs if not one.name and one.made is None)

    def waits(self) -> list[FoundWait]:
        """Every wait that was recorded by itself."""
        return [self._wait(one) for one in self.log.waits]

    def locks(self) -> list[Lock]:
        """What the user's code waited for or took, with totals; the library's own locks are none of it."""
        told = ((one.object, self.told(one.chain, one.object)) for one in self.log.waits)
        shown = {number for number, (reason, _, line) in told if line and reason in reasons.OF_LOCKS}
        return [
            Lock(one.name, one.kind, one.taken, one.waits, one.wait_ns, self.resources[number])
            for number, one in enumerate(self.log.objects)
            if number in shown or (one.taken and one.name and not one.waits)
        ]

    def told(self, chain: int, number: int) -> tuple[str, str, int]:
        """Reason, file and line of a wait for this object through this chain of calls."""
        known = self._told.get(chain) if chain >= 0 else ("", "", 0)
        if known is None:
            known = self._told[chain] = self._look(self.log.chains[chain])
        reason, file, line = known
        return reason or self.reason_of(number), file, line

    def reason_of(self, number: int) -> str:
        """The reason of a wait for an object's lock; that of samples where the object is not known (-1)."""
        if number < 0:
            return reasons.OF_A_LOCK
        kind = self.log.objects[number].kind
        return {"RLock": "RLock", "SimpleQueue": "Queue.get"}.get(kind, "Lock")

    def is_queue(self, number: int) -> bool:
        """Whether an object is a queue in C, which has no lock to be let go but by what is put."""
        return number >= 0 and self.log.objects[number].kind == "SimpleQueue"

    def facts(self, reason: str, number: int, waiter: int, holders: Iterable[int], more: int = 0) -> Facts:
        """Which one, who had it, and who has to let it go."""
        if reason not in reasons.OF_LOCKS or number < 0:
            return NO_FACTS
        holders = tuple(holders)
        key = reason, number, waiter, holders, more
        found = self._facts.get(key)
        if found is None:
            # Inside a condition or a queue a thread waits for a lock that it has taken itself.
            others = tuple(dict.fromkeys(self.actor(one) for one in holders if one != waiter))
            needs = others[-1:]
            if reason in ("Lock", "RLock") and not others and waiter in holders:
                needs = (self.actor(waiter),)
            elif reason == "Semaphore" and (more or len(others) > 1):
                needs = ()  # of several that each have a permit any may give it back
            found = self._facts[key] = Facts(self.resources[number], others, needs, more)
        return found

    def _numbers(self) -> list[int]:
        """The resource of each object; one whose words no other has is that of calls that name it so."""
        made = [_resource(one, self._places) for one in self.log.objects]
        alone = Counter(made)
        number = self._ids.resources.number
        return [
            number(one, self._pid) if alone[one] == 1 and one.name else number(one, self._pid, key)
            for key, one in enumerate(made)
        ]

    def actor(self, native_id: int) -> int:
        """The id of a thread's track, or of one that has none."""
        known = self._ids.known("thread", self._pid, native_id)
        return self._ids.other(self.name(native_id)) if known is None else known

    def joined(self, native_id: int) -> Facts:
        """Whose end or answer was waited for."""
        return Facts(waits_for=(self.actor(native_id),)) if native_id else NO_FACTS

    def name(self, native_id: int) -> str:
        """A thread's name."""
        return self._names.get(native_id, f"thread {native_id}")

    def _wait(self, one: LockWait) -> FoundWait:
        reason, file, line = self.told(one.chain, one.object)
        return FoundWait(
            one.native_id,
            self._clock.at(one.start_ns),
            self._clock.end_at(one.end_ns),
            reason,
            self._facts_of(reason, one),
            file,
            line,
            one.object,
            one.releaser,
            self._clock.at(one.released_ns) if one.releaser is not None else 0,
        )

    def _facts_of(self, reason: str, one: LockWait) -> Facts:
        if reason in reasons.ANSWERED:
            return self.joined(one.joined)
        if reason in reasons.OUTSIDE:
            return NO_FACTS  # the lock is the library's way to wait for it
        return self.facts(reason, one.object, one.native_id, one.holders, one.more_holders)

    def _look(self, chain: Sequence[CallSite]) -> tuple[str, str, int]:
        own = chain[-1] if chain and self._places.is_own(chain[-1].file) else None
        library = chain[:-1] if own is not None else chain
        known = (
            recorded_calls.LIBRARY_WAITS.get((base_name(site.file), site.name)) for site in reversed(library)
        )
        reason = next((one for one in known if one), "")
        return reason, self._places.short(own.file) if own else "", own.line if own else 0


def _resource(one: LockObject, places: Places) -> Resource:
    kind = reasons.kind_of(one.kind)
    if one.name or one.made is None:
        return Resource(kind, one.name)
    return Resource(kind, "", places.short(one.made.file), one.made.line, one.made_number)


def in_order(waits: Iterable[FoundWait]) -> Mapping[int, list[FoundWait]]:
    """Waits by thread, in order, without overlap and without those outside the cell."""
    found: dict[int, list[FoundWait]] = {}
    for one in sorted(waits, key=lambda wait: wait.start_ns):
        of_thread = found.setdefault(one.native_id, [])
        if one.end_ns > one.start_ns and (not of_thread or of_thread[-1].end_ns <= one.start_ns):
            of_thread.append(one)
    return found


_SAME = 0.5  # of a sampled wait: a call in which so much of it lies is what waited
_EDGE_NS = 5_000_000  # samples miss a begin or an end by so much; less beside a call may be none


@dataclass(frozen=True, slots=True)
class ImportedLocks:
    """The waits of a process's threads, and its locks."""

    waits: tuple[FoundWait, ...] = ()
    locks: tuple[Lock, ...] = ()
    resources: tuple[int, ...] = ()  # of the objects that waits are numbered by
    nameless: frozenset[int] = frozenset()  # resources of which it is not known what they are called

    def flows(self, pid: int, ids: TrackIds) -> list[Flow]:
        """From who let a lock go to who got it."""
        found = []
        for one in self.waits:
            source, target = ids.known("thread", pid, one.releaser), ids.known("thread", pid, one.native_id)
            if source is None or target is None or one.reason not in reasons.OF_LOCKS:
                continue
            resource = self.resources[one.object] if one.object >= 0 else None
            is_nameless = resource is None or (not one.exact and resource in self.nameless)
            if is_nameless and not one.notified:
                continue  # a lock that only samples saw, and nobody knows: a library's, as in `join`
            if source != target:
                flow = Flow("release", source, one.released_ns, target, one.end_ns, resource=resource)
                found.append(flow)
        return found


def with_locks(calls: ImportedCalls, locks: ImportedLocks, samples: Samples) -> ImportedCalls:
    """The calls, with the waits for locks among what blocked."""
    if not locks.waits:
        return calls
    threads = dict(calls.threads)
    for native_id, waits in in_order(locks.waits).items():
        known = threads.get(native_id, ThreadCalls())
        wanted = [one for one in samples.get(native_id, ()) if one.state is State.READY]
        threads[native_id] = replace(known, blocked=_merged(known.blocked, waits, wanted, locks.nameless))
    return replace(calls, threads=threads)


def _merged(
    blocked: Sequence[BlockedCall],
    waits: Sequence[FoundWait],
    wanted: Sequence[StateInterval],
    nameless: frozenset[int],
) -> tuple[BlockedCall, ...]:
    kept: list[BlockedCall] = []
    explained: set[int] = set()
    steps: dict[int, str] = {}  # the user's own call in which an exact wait lies
    begins = [one.start_ns for one in waits]
    left = list(waits)
    for call in blocked:
        first = max(bisect_left(begins, call.start_ns) - 1, 0)
        until = bisect_left(begins, call.end_ns)
        inside = [number for number in range(first, until) if waits[number].end_ns > call.start_ns]
        sampled = [number for number in inside if _is_of(waits[number], call)]
        is_exact = any(waits[number].exact for number in inside)
        if sampled:  # the call's own times are exact
            explained.update(sampled)
            longest = max((waits[number] for number in sampled), key=_length)
            kept.append(_told(call, longest, nameless))
        elif is_exact:
            steps |= dict.fromkeys(inside, call.step)
        else:
            kept.append(call)
            for number in inside:  # of another call; samples tell its begin or end too early or late
                left[number] = _beside(left[number], call)
    kept += [
        _blocked(one, wanted, steps.get(number, ""))
        for number, one in enumerate(left)
        if number not in explained and _length(one) > (0 if one is waits[number] else _EDGE_NS)
    ]
    return tuple(sorted(kept, key=lambda one: one.start_ns))


def _beside(wait: FoundWait, call: BlockedCall) -> FoundWait:
    """The larger part of a sampled wait that lies before or after a call."""
    if call.start_ns - wait.start_ns > wait.end_ns - call.end_ns:
        return replace(wait, end_ns=min(wait.end_ns, call.start_ns))
    return replace(wait, start_ns=max(wait.start_ns, call.end_ns))


def _is_of(wait: FoundWait, call: BlockedCall) -> bool:
    """Whether a sampled wait is what this call waited for: at least half of it lies within."""
    common = min(call.end_ns, wait.end_ns) - max(call.start_ns, wait.start_ns)
    return not wait.exact and common >= _SAME * _length(wait)


def _length(wait: FoundWait) -> int:
    return wait.end_ns - wait.start_ns


def _told(call: BlockedCall, wait: FoundWait, nameless: frozenset[int]) -> BlockedCall:
    """A call that waited for a lock, with the lock's name."""
    # An inner lock of an event or a condition is none that the user knows.
    if call.reason not in ("Lock", "RLock", wait.reason):
        return call
    facts = wait.facts
    if facts.resource is None or facts.resource in nameless:  # the line that waits may know what it is called
        facts = replace(facts, resource=call.facts.resource)
    if call.line or not wait.line:
        return replace(call, facts=facts)
    return replace(call, facts=facts, file=wait.file, line=wait.line)


def _blocked(wait: FoundWait, wanted: Sequence[StateInterval], step: str) -> BlockedCall:
    """A wait as a call. Once the lock was let go, a thread that wants the GIL waits for that."""
    end = wait.end_ns
    if wait.releaser is not None:
        index = bisect_left(wanted, wait.released_ns, key=lambda one: one.end_ns)
        if index < len(wanted) and wanted[index].start_ns < end:
            end = max(wanted[index].start_ns, wait.released_ns)
    called = "_thread.RLock.acquire" if wait.reason == "RLock" else "_thread.lock.acquire"
    if not step and wait.reason not in ("Lock", "RLock"):
        step = wait.reason
    return BlockedCall(wait.start_ns, end, wait.reason, called, wait.file, wait.line, step, wait.facts)
