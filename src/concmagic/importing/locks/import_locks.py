"""What is known of one process's locks, laid over what its calls tell."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from concmagic.importing.calls.import_calls import BlockedCall, ImportedCalls, ThreadCalls
from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds
from concmagic.importing.locks.recorded_lock_waits import FoundWait, LockReader, in_order
from concmagic.importing.locks.sampled_locks import SampledWaits, stopped_waits
from concmagic.importing.threads.samples_and_clocks import Samples
from concmagic.model import reasons
from concmagic.model.trace import Flow, Lock, State, StateInterval
from concmagic.records.recording import ProcessRecord, SampleLog

_SAME = 0.5  # of a sampled wait: a call in which so much of it lies is what waited


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
            if source is None or target is None or one.reason not in reasons.OF_LOCKS or one.object < 0:
                continue
            resource = self.resources[one.object]
            if not one.exact and resource in self.nameless:
                continue  # a lock that only samples saw, and nobody knows: a library's, as in `join`
            if source != target:
                flow = Flow("release", source, one.released_ns, target, one.end_ns, resource=resource)
                found.append(flow)
        return found


def import_locks(
    process: ProcessRecord,
    calls: ImportedCalls,
    samples: SampleLog | None,
    clock: CellClock,
    places: Places,
    period_ns: int,
    ids: TrackIds,
) -> ImportedLocks:
    """Every wait for a lock that is known; those recorded by themselves before those from samples."""
    log = process.locks
    if log is None:
        return ImportedLocks()
    reader = LockReader(process, log, clock, places, ids)
    waits = reader.waits()
    if samples is not None and samples.knows_gil and (log.addresses or log.standing):
        threads = {record.native_id: record.ended_ns for record in process.threads}
        waits += SampledWaits(reader, clock, threads, calls.releases, period_ns).find(samples)
    waits += stopped_waits(reader, clock, waits)
    return ImportedLocks(tuple(waits), tuple(reader.locks()), tuple(reader.resources), reader.nameless)


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
            for (
                number
            ) in inside:  # of another call, but samples may tell of its begin or end too early or late
                left[number] = _beside(left[number], call)
    kept += [
        _blocked(one, wanted, steps.get(number, ""))
        for number, one in enumerate(left)
        if number not in explained and _length(one) > 0
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
