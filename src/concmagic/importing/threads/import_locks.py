"""What is known of one process's locks: waits recorded by themselves, and those that only samples tell."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds
from concmagic.importing.import_calls import ImportedCalls
from concmagic.importing.threads.lock_waits import ImportedLocks, LockReader
from concmagic.importing.threads.sampled_lock_waits import SampledWaits, stopped_waits, taken_from_queues
from concmagic.model.reasons import OF_LOCKS
from concmagic.model.trace import Resource, State, StateInterval, Track
from concmagic.records.recording import ProcessRecord, SampleLog


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
    if not log.watched:
        waits += taken_from_queues(calls)
    waits += stopped_waits(reader, clock, waits)
    return ImportedLocks(tuple(waits), tuple(reader.locks()), tuple(reader.resources), reader.nameless)


_Wait = tuple[StateInterval, int]  # and whose
Rows = tuple[tuple[int, int, int], ...]
NOT_KNOWN = -1  # how many are inside


def with_use(resources: Sequence[Resource], tracks: Iterable[Track]) -> tuple[Resource, ...]:
    """The resources, with who had them and who waited."""
    waits: dict[int, list[_Wait]] = defaultdict(list)
    for track in tracks:
        if track.kind in ("task", "thread"):  # a process's states are those of its threads
            _add_waits(track, waits)
    used = list(resources)
    for number, of_lock in waits.items():
        of_lock.sort(key=lambda wait: (wait[0].end_ns, wait[0].start_ns))
        held = _held(of_lock) if used[number].kind == "lock" else ()
        used[number] = replace(used[number], held=held, queue=_queue(of_lock, held))
    return tuple(used)


def _add_waits(track: Track, waits: dict[int, list[_Wait]]) -> None:
    """By resource; a wait that is told in several states is one."""
    for one in track.states:
        if one.state is State.WAITING and one.reason in OF_LOCKS and one.resource is not None:
            of_lock = waits[one.resource]
            if of_lock and of_lock[-1][1] == track.id and of_lock[-1][0].end_ns == one.start_ns:
                one = replace(one, start_ns=of_lock.pop()[0].start_ns)
            of_lock.append((one, track.id))


def _held(waits: Sequence[_Wait]) -> Rows:
    """Per wait its last holder: from when that one's own wait ended, or this began, until this ended."""
    found: list[tuple[int, int, int]] = []
    ends = [one.end_ns for one, _ in waits]
    for one, _ in waits:
        begin, before = one.start_ns, bisect_left(ends, one.end_ns) - 1
        is_between = before >= 0 and ends[before] > begin  # somebody got it while this one waited
        if is_between and one.holders[-1:] == (waits[before][1],):
            begin = ends[before]
        elif is_between or len(one.holders) + one.facts.more != 1:  # when the holder got it is not known
            continue
        if begin < one.end_ns:
            found.append((begin, one.end_ns, one.holders[-1]))
    joined: list[tuple[int, int, int]] = []
    for begin, end, who in sorted(found):  # waits at the same time tell of the same holder
        if joined and joined[-1][2] == who and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), who)
        else:
            joined.append((begin, end, who))
    return tuple(joined)


def _queue(waits: Sequence[_Wait], held: Rows) -> Rows:
    """From each moment on how many wait, and how many are inside."""
    changes: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    waited = [(one.start_ns, one.end_ns, whose) for one, whose in waits]
    for kind, stretches in enumerate((waited, held)):
        for begin, end, _ in stretches:
            changes[begin][kind] += 1
            changes[end][kind] -= 1
    rows, waiting, inside = [], 0, 0
    for moment in sorted(changes):
        waiting, inside = waiting + changes[moment][0], inside + changes[moment][1]
        rows.append((moment, waiting, inside or NOT_KNOWN))
    return tuple(rows)
