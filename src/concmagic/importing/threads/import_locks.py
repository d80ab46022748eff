"""What is known of one process's locks: waits recorded by themselves, and those that only samples tell.

Of the latter the address at which the thread slept tells which lock, and a look at its frame meanwhile where.
What is shorter than LONG_NS keeps no name: samples do not tell such waits from each other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds
from concmagic.importing.import_calls import ImportedCalls
from concmagic.importing.threads.lock_waits import FoundWait, ImportedLocks, LockReader
from concmagic.importing.threads.native_waits import Slept, beside_native, in_native_code
from concmagic.interpreter import recorded_calls
from concmagic.model.reasons import OF_LOCKS
from concmagic.model.trace import Int64s, Resource, State, StateInterval, Track
from concmagic.records.handed_over import HeldAtStop, Standing
from concmagic.records.recording import ProcessRecord, SampleLog

LONG_NS = 10_000_000
# Between the moment at which samples saw a wait end, and the moment at which it did: so many periods;
# at least as long as the sampler itself may have to wait for a core.
_PERIODS, _SLACK_NS = 2, 10_000_000
_AT_STOP_NS = 100_000_000  # between what ended a wait and the look at the frames


class SampledWaits:
    """The long waits of one process's threads for locks that are known; whoever let one go had it.

    `threads` are native ids, and when the thread ended; `releases` rows of moments and native ids.
    """

    def __init__(
        self,
        reader: LockReader,
        clock: CellClock,
        threads: Mapping[int, int | None],
        releases: Int64s,
        period_ns: int,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._threads = threads
        self._moments, self._who = releases
        self._period_ns = period_ns
        self._standing: dict[int, list[Standing]] = defaultdict(list)
        for one in sorted(reader.log.standing, key=lambda one: one.from_ns):
            self._standing[one.native_id].append(one)
        self._near_ns = max(_PERIODS * period_ns, _SLACK_NS)

    def find(self, log: SampleLog) -> list[FoundWait]:
        """Read the samples."""
        columns = (log.native_id, log.start_ns, log.end_ns, log.code, log.argument)
        rows = np.stack([np.frombuffer(column, "<i8") for column in columns])
        last = dict(zip(rows[0].tolist(), rows[2].tolist(), strict=True))
        numbers = dict(self._reader.log.addresses)
        found: list[FoundWait] = []
        untold: list[Slept] = []
        for one in self._stretches(rows):
            if one.end_ns - one.start_ns < LONG_NS:
                untold.append(one)
                continue
            stood = self._stood(one)
            if stood is not None and stood.chain in self._reader.log.native:
                found.append(in_native_code(self._reader, self._clock, one, stood))
                continue
            unseen = self._unseen(one)
            if unseen is None:
                untold += [one] if stood is None else ()
                continue
            one = unseen
            number = numbers.get(one.address & (1 << 64) - 1, -1)
            if stood is not None and stood.object >= 0:
                number = stood.object
            if number >= 0 or stood is not None:
                is_last = one.end_ns == last[one.native_id]
                found.append(self._wait(self._to_its_end(one) if is_last else one, number, stood, is_last))
            else:
                untold.append(one)
        found += beside_native(untold, found, self._clock, self._near_ns)
        return [_with_stop(one, self._reader, self._clock) for one in found]

    def _unseen(self, one: Slept) -> Slept | None:
        """The part of it that was not watched: what began while it was is known by itself, until then."""
        for from_ns, until_ns in self._reader.log.watched:
            if from_ns <= one.start_ns < until_ns:
                one = replace(one, start_ns=until_ns)
        return one if one.end_ns - one.start_ns >= LONG_NS else None

    def _to_its_end(self, one: Slept) -> Slept:
        """A thread's last stretch reaches to its end, if no sample was due between (see `import_threads`)."""
        ended_ns = self._threads[one.native_id]
        if ended_ns is not None and 0 < ended_ns - one.end_ns <= self._period_ns * 5 // 4:
            return replace(one, end_ns=ended_ns)
        return one

    def _stood(self, one: Slept) -> Standing | None:
        """Where the thread stood while it slept; a period at either edge it may not have slept yet."""
        looks = self._standing.get(one.native_id, ())
        index = bisect_left(looks, one.start_ns + self._period_ns, key=lambda look: look.from_ns)
        if index < len(looks) and looks[index].to_ns <= one.end_ns - self._period_ns:
            return looks[index]
        return None

    def _stretches(self, rows: Int64s) -> list[Slept]:
        """Stretches of sleep at one address. A sample now and then finds a thread awake that is not."""
        rows = rows[:, np.isin(rows[3], (recorded_calls.FUTEX, recorded_calls.SHARED_FUTEX))]
        found: list[Slept] = []
        before: dict[int, int] = {}
        for native_id, start_ns, end_ns, _, address in rows.T.tolist():
            if native_id not in self._threads:
                continue
            index = before.get(native_id, -1)
            if index >= 0 and self._goes_on(found[index], start_ns, address):
                found[index] = Slept(native_id, found[index].start_ns, end_ns, address)
            else:
                before[native_id] = len(found)
                found.append(Slept(native_id, start_ns, end_ns, address))
        return found

    def _goes_on(self, one: Slept, start_ns: int, address: int) -> bool:
        """Whether a stretch is the same wait: not if the thread has let go meanwhile what it waited for."""
        if one.address != address or start_ns - one.end_ns > self._near_ns:
            return False
        who, _ = self._between(self._clock.at(one.end_ns) - self._near_ns, self._clock.at(start_ns))
        return not bool((who == one.native_id).any())

    def _wait(self, one: Slept, number: int, stood: Standing | None, is_last: bool) -> FoundWait:
        start, end = self._clock.at(one.start_ns), self._clock.at(one.end_ns)
        over = not is_last or self._threads[one.native_id] is not None
        releaser, released_ns = self._releaser(one.native_id, start, end) if over else (None, 0)
        reason, file, line = self._reader.told(-1 if stood is None else stood.chain, number)
        # Who lets the inner lock of an event go had not held it: that only says that it happened.
        holders = [releaser] if releaser is not None and reason in ("Lock", "RLock") else []
        facts = self._reader.facts(reason, number, one.native_id, holders)
        if stood is not None and reason == "join":
            facts = self._reader.joined(stood.joined)
        end = max(end, released_ns)
        return FoundWait(
            one.native_id,
            start,
            end,
            reason,
            facts,
            file,
            line,
            number,
            releaser,
            released_ns,
            exact=False,
        )

    def _releaser(self, waiter: int, start_ns: int, end_ns: int) -> tuple[int | None, int]:
        """The one other thread that let a lock go about then, and when; nobody if several did.

        Not before the wait began: a sample saw it go on after that.
        """
        since = max(start_ns, end_ns - self._near_ns)
        who, moments = self._between(since, end_ns + self._near_ns)
        others = np.flatnonzero(who != waiter)
        if not len(others) or (who[others] != who[others[0]]).any():
            return None, 0
        return int(who[others[0]]), int(moments[others[-1]])

    def _between(self, start_ns: int, end_ns: int) -> tuple[Int64s, Int64s]:
        """Who let a lock go between two moments, and when; thousands of threads may at once."""
        first, last = np.searchsorted(self._moments, (start_ns, end_ns), "left")
        return self._who[first:last], self._moments[first:last]


def _with_stop(one: FoundWait, reader: LockReader, clock: CellClock) -> FoundWait:
    """With what a look at the frames told when the cell was stopped during this wait."""
    for stopped in reader.log.frames:
        at = clock.at(stopped.at_ns)
        if stopped.native_id == one.native_id and one.start_ns <= at <= one.end_ns + _AT_STOP_NS:
            number = one.object if stopped.object is None else stopped.object
            return _stopped(one.start_ns, max(one.end_ns, at), stopped, number, reader)
    return one


def _stopped(start_ns: int, end_ns: int, stopped: HeldAtStop, number: int, reader: LockReader) -> FoundWait:
    reason, file, line = reader.told(stopped.chain, number)
    holders = [other.native_id for other in reader.log.frames if number in other.held]
    facts = reader.facts(reason, number, stopped.native_id, holders)
    return FoundWait(stopped.native_id, start_ns, end_ns, reason, facts, file, line, number, exact=False)


def stopped_waits(reader: LockReader, clock: CellClock, known: Sequence[FoundWait]) -> list[FoundWait]:
    """Waits that only the look at the frames told: from then on."""
    found = []
    for stopped in reader.log.frames:
        at = clock.at(stopped.at_ns)
        covered = any(
            one.native_id == stopped.native_id and one.start_ns <= at <= one.end_ns + _AT_STOP_NS
            for one in known
        )
        if stopped.object is not None and not covered:
            found.append(_stopped(at, clock.wall_ns, stopped, stopped.object, reader))
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
