"""Waits for locks that only samples tell: which lock by the address at which the thread slept.

What is shorter than LONG_NS keeps no name: samples do not tell such waits from each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from concmagic.recording.raw import SampleLog
from concmagic.recording.raw_locks import HeldAtStop
from concmagic.trace import states
from concmagic.trace.clock import CellClock
from concmagic.trace.lock_waits import FoundWait, LockReader
from concmagic.trace.model import Int64s

LONG_NS = 10_000_000
# Between the moment at which samples saw a wait end, and the moment at which it did: so many periods;
# at least as long as the sampler itself may have to wait for a core.
_PERIODS, _SLACK_NS = 2, 10_000_000
_AT_STOP_NS = 100_000_000  # between what ended a wait and the look at the frames


@dataclass(frozen=True, slots=True)
class _Slept:
    """A stretch in which all samples of a thread agreed, or nearly all."""

    native_id: int
    start_ns: int
    end_ns: int
    address: int


class SampledWaits:
    """The long waits of one process's threads for locks that are known; whoever let one go had it.

    `threads` are native ids, and whether the thread has ended; `releases` rows of moments and native ids.
    """

    def __init__(
        self,
        reader: LockReader,
        clock: CellClock,
        threads: Mapping[int, bool],
        releases: Int64s,
        period_ns: int,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._threads = threads
        self._moments, self._who = releases
        self._near_ns = max(_PERIODS * period_ns, _SLACK_NS)

    def find(self, log: SampleLog) -> list[FoundWait]:
        """Read the samples."""
        columns = (log.native_id, log.start_ns, log.end_ns, log.code, log.argument)
        rows = np.stack([np.frombuffer(column, "<i8") for column in columns])
        last = dict(zip(rows[0].tolist(), rows[2].tolist(), strict=True))
        numbers = dict(self._reader.log.addresses)
        found = []
        for one in self._stretches(rows):
            number = numbers.get(one.address & (1 << 64) - 1, -1)
            if number >= 0 and one.end_ns - one.start_ns >= LONG_NS:
                over = self._threads[one.native_id] or one.end_ns < last[one.native_id]
                found.append(self._wait(one, number, over))
        return [_with_stop(one, self._reader, self._clock) for one in found]

    def _stretches(self, rows: Int64s) -> list[_Slept]:
        """Stretches of sleep at one address. A sample now and then finds a thread awake that is not."""
        rows = rows[:, (rows[3] == states.FUTEX) & (rows[1] >= self._reader.log.exact_until_ns)]
        found: list[_Slept] = []
        before: dict[int, int] = {}
        for native_id, start_ns, end_ns, _, address in rows.T.tolist():
            if native_id not in self._threads:
                continue
            index = before.get(native_id, -1)
            if index >= 0 and self._goes_on(found[index], start_ns, address):
                found[index] = _Slept(native_id, found[index].start_ns, end_ns, address)
            else:
                before[native_id] = len(found)
                found.append(_Slept(native_id, start_ns, end_ns, address))
        return found

    def _goes_on(self, one: _Slept, start_ns: int, address: int) -> bool:
        """Whether a stretch is the same wait: not if the thread has let go meanwhile what it waited for."""
        if one.address != address or start_ns - one.end_ns > self._near_ns:
            return False
        between = self._between(self._clock.at(one.end_ns) - self._near_ns, self._clock.at(start_ns))
        return all(who != one.native_id for who, _ in between)

    def _wait(self, one: _Slept, number: int, over: bool) -> FoundWait:
        start, end = self._clock.at(one.start_ns), self._clock.at(one.end_ns)
        releaser, released_ns = self._releaser(one.native_id, start, end) if over else (None, 0)
        reason = self._reader.reason_of(number)
        holders = [] if releaser is None else [releaser]
        detail = self._reader.detail(reason, number, one.native_id, holders)
        end = max(end, released_ns)
        return FoundWait(
            one.native_id, start, end, reason, detail, "", 0, number, releaser, released_ns, exact=False
        )

    def _releaser(self, waiter: int, start_ns: int, end_ns: int) -> tuple[int | None, int]:
        """The one other thread that let a lock go about then, and when; nobody if several did.

        Not before the wait began: a sample saw it go on after that.
        """
        since = max(start_ns, end_ns - self._near_ns)
        near = [one for one in self._between(since, end_ns + self._near_ns) if one[0] != waiter]
        return near[-1] if len({who for who, _ in near}) == 1 else (None, 0)

    def _between(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """Who let a lock go between two moments, and when."""
        first, last = np.searchsorted(self._moments, (start_ns, end_ns), "left")
        return list(zip(self._who[first:last].tolist(), self._moments[first:last].tolist(), strict=True))


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
    detail = reader.detail(reason, number, stopped.native_id, holders)
    return FoundWait(stopped.native_id, start_ns, end_ns, reason, detail, file, line, number, exact=False)


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
