"""Waits for locks that only samples and looks at frames tell, not the locks themselves.

The address at which a thread slept tells which lock, and a look at its frame meanwhile where. What is shorter
than LONG_NS keeps no name: samples do not tell such waits from each other. Sleeps in native code, which has
locks of its own, are told apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.import_calls import ImportedCalls
from concmagic.importing.threads.lock_waits import FoundWait, LockReader
from concmagic.interpreter import recorded_calls
from concmagic.model.reasons import ANSWERED, IN_NATIVE_CODE
from concmagic.model.trace import NO_FACTS, Int64s
from concmagic.records.handed_over import HeldAtStop, Standing
from concmagic.records.recording import SampleLog

LONG_NS = 10_000_000
# Between the moment at which samples saw a wait end, and the moment at which it did: so many periods;
# at least as long as the sampler itself may have to wait for a core.
_PERIODS, _SLACK_NS = 2, 10_000_000
_NOTICED_LATE_NS = 100_000_000  # where the sampler itself had no core
_AT_STOP_NS = 100_000_000  # between what ended a wait and the look at the frames


class SampledWaits:
    """The long waits of one process's threads for locks that are known; whoever let one go had it.

    `threads` are native ids, and when the thread ended; `releases` rows of moments, native ids and puts.
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
        self._releases = {puts: releases[:2, releases[2] == puts] for puts in (False, True)}
        self._period_ns = period_ns
        self._standing: dict[int, list[Standing]] = defaultdict(list)
        for one in sorted(reader.log.standing, key=lambda one: one.from_ns):
            self._standing[one.native_id].append(one)
        self._near_ns = max(_PERIODS * period_ns, _SLACK_NS)
        self._notified: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for address, who, at_ns in reader.log.notified:
            self._notified[address].append((clock.at(at_ns), who))

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
        who, _ = self._between(self._clock.at(one.end_ns) - self._near_ns, self._clock.at(start_ns), False)
        return not bool((who == one.native_id).any())

    def _wait(self, one: Slept, number: int, stood: Standing | None, is_last: bool) -> FoundWait:
        start, end = self._clock.at(one.start_ns), self._clock.at(one.end_ns)
        over = not is_last or self._threads[one.native_id] is not None
        notified = self._notifier(one, start, end) if over else None
        puts = self._reader.is_queue(number)
        releaser, released_ns = notified or (
            self._releaser(one.native_id, start, end, puts) if over else (None, 0)
        )
        reason, file, line = self._reader.told(-1 if stood is None else stood.chain, number)
        # Who lets the inner lock of an event go had not held it: that only says that it happened.
        holders = [releaser] if releaser is not None and reason in ("Lock", "RLock") else []
        facts = self._reader.facts(reason, number, one.native_id, holders)
        if stood is not None and reason in ANSWERED:
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
            notified=notified is not None,
        )

    def _notifier(self, one: Slept, start_ns: int, end_ns: int) -> tuple[int | None, int] | None:
        """Who let go the very lock on which it slept, and when.

        It is made for one wait, so what is noted of it is of this one, also where samples came seldom.
        """
        rows = self._notified.get(one.address & (1 << 64) - 1, ())
        index = bisect_left(rows, (end_ns + self._near_ns, 0)) - 1
        if index < 0 or rows[index][0] < start_ns:
            index += 1
        if index >= len(rows) or not start_ns <= rows[index][0] < end_ns + _NOTICED_LATE_NS:
            return None
        return rows[index][1], rows[index][0]

    def _releaser(self, waiter: int, start_ns: int, end_ns: int, puts: bool) -> tuple[int | None, int]:
        """The one other thread that let a lock go about then, or put, and when; nobody if several did.

        Not before the wait began: a sample saw it go on after that.
        """
        since = max(start_ns, end_ns - self._near_ns)
        who, moments = self._between(since, end_ns + self._near_ns, puts)
        others = np.flatnonzero(who != waiter)
        if not len(others) or (who[others] != who[others[0]]).any():
            return None, 0
        return int(who[others[0]]), int(moments[others[-1]])

    def _between(self, start_ns: int, end_ns: int, puts: bool) -> tuple[Int64s, Int64s]:
        """Who let a lock go, or put, between two moments, and when; thousands of threads may at once."""
        moments, who = self._releases[puts]
        first, last = np.searchsorted(moments, (start_ns, end_ns), "left")
        return who[first:last], moments[first:last]


def taken_from_queues(calls: ImportedCalls) -> Iterator[FoundWait]:
    """Waits in `SimpleQueue.get`, with who put what ended them: the one who put anything just before."""
    moments, who = calls.releases[:2, calls.releases[2] == 1]
    for native_id, of_thread in calls.threads.items():
        for one in of_thread.blocked:
            if one.called != recorded_calls.GETS or one.end_ns - one.start_ns < LONG_NS:
                continue
            first, last = np.searchsorted(moments, (max(one.start_ns, one.end_ns - _SLACK_NS), one.end_ns))
            others = np.unique(who[first:last][who[first:last] != native_id])
            if len(others) == 1:
                index = first + int(np.flatnonzero(who[first:last] == others[0])[-1])
                told = one.reason, one.facts, one.file, one.line, -1, int(others[0]), int(moments[index])
                yield FoundWait(native_id, one.start_ns, one.end_ns, *told, exact=False, notified=True)


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


@dataclass(frozen=True, slots=True)
class Slept:
    """A stretch in which all samples of a thread agreed, or nearly all."""

    native_id: int
    start_ns: int
    end_ns: int
    address: int


def in_native_code(reader: LockReader, clock: CellClock, one: Slept, stood: Standing) -> FoundWait:
    """Such a sleep, with the line of the user's code that led there."""
    _, file, line = reader.told(stood.chain, -1)
    times = clock.at(one.start_ns), clock.at(one.end_ns)
    return FoundWait(one.native_id, *times, IN_NATIVE_CODE, NO_FACTS, file, line, -1, exact=False)


def beside_native(
    untold: Sequence[Slept], found: Sequence[FoundWait], clock: CellClock, near_ns: int
) -> list[FoundWait]:
    """Sleeps of which nothing is known close to one in native code: it wakes to look, and sleeps again."""
    native: dict[int, list[FoundWait]] = defaultdict(list)
    for wait in found:
        if wait.reason == IN_NATIVE_CODE:
            native[wait.native_id].append(wait)
    near = []
    for one in untold if native else ():
        start, end = clock.at(one.start_ns), clock.at(one.end_ns)
        for wait in native[one.native_id]:
            if start - wait.end_ns < near_ns and wait.start_ns - end < near_ns:
                near.append(replace(wait, start_ns=start, end_ns=end))
                break
    return near
