"""Waits for locks that only samples tell: which lock by the address at which the thread slept.

What is shorter than LONG_NS keeps no name: samples do not tell such waits from each other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from concmagic.recording.raw import SampleLog
from concmagic.recording.raw_locks import HeldAtStop
from concmagic.trace import states
from concmagic.trace.clock import CellClock
from concmagic.trace.lock_waits import FoundWait, LockReader
from concmagic.trace.model import Int64s

LONG_NS = 10_000_000
_PERIODS = 2  # between the moment at which samples saw a wait end, and the moment at which it did
_AT_STOP_NS = 100_000_000  # between what ended a wait and the look at the frames


def sampled_waits(
    reader: LockReader,
    log: SampleLog,
    clock: CellClock,
    threads: Mapping[int, bool],
    releases: Int64s,
    period_ns: int,
) -> list[FoundWait]:
    """The long waits of threads for locks that are known; whoever let one go had it.

    `threads` are those of the process, by native id, and whether they have ended.
    """
    numbers = dict(reader.log.addresses)
    exact_until = reader.log.exact_until_ns
    columns = (log.native_id, log.start_ns, log.end_ns, log.code, log.argument)
    rows = np.stack([np.frombuffer(column, "<i8") for column in columns])
    last = dict(zip(rows[0].tolist(), rows[2].tolist(), strict=True))
    rows = rows[:, (rows[3] == states.FUTEX) & (rows[2] - rows[1] >= LONG_NS) & (rows[1] >= exact_until)]
    found = []
    for native_id, start_ns, end_ns, _, address in rows.T.tolist():
        number = numbers.get(address & (1 << 64) - 1, -1)
        if number < 0 or native_id not in threads:
            continue
        start, end = clock.at(start_ns), clock.at(end_ns)
        releaser, released_ns = None, 0
        if threads[native_id] or end_ns < last[native_id]:  # else it still waited
            releaser, released_ns = _releaser(releases, native_id, end, period_ns)
        reason = reader.reason_of(number)
        holders = [releaser] if releaser is not None else []
        detail = reader.detail(reason, number, native_id, holders)
        end = max(end, released_ns)
        found.append(FoundWait(native_id, start, end, reason, detail, "", 0, number, releaser, released_ns))
    return [_with_stop(one, reader, clock) for one in found]


def _releaser(releases: Int64s, waiter: int, end_ns: int, period_ns: int) -> tuple[int | None, int]:
    """The one other thread that let a lock go about then, and when; nobody if several did."""
    moments = releases[0].tolist()
    first = bisect_left(moments, end_ns - _PERIODS * period_ns)
    last = bisect_right(moments, end_ns + _PERIODS * period_ns)
    near = [
        (who, moment)
        for who, moment in zip(releases[1][first:last].tolist(), moments[first:last], strict=True)
        if who != waiter
    ]
    return near[-1] if len({who for who, _ in near}) == 1 else (None, 0)


def _with_stop(one: FoundWait, reader: LockReader, clock: CellClock) -> FoundWait:
    """With what a look at the frames told when the cell was stopped during this wait."""
    for stopped in reader.log.frames:
        at = clock.at(stopped.at_ns)
        if stopped.native_id == one.native_id and one.start_ns <= at <= one.end_ns + _AT_STOP_NS:
            return _stopped(one.start_ns, max(one.end_ns, at), stopped, reader)
    return one


def _stopped(start_ns: int, end_ns: int, stopped: HeldAtStop, reader: LockReader) -> FoundWait:
    number = stopped.object if stopped.object is not None else 0
    reason, file, line = reader.told(stopped.chain, number)
    holders = [other.native_id for other in reader.log.frames if number in other.held]
    detail = reader.detail(reason, number, stopped.native_id, holders)
    return FoundWait(stopped.native_id, start_ns, end_ns, reason, detail, file, line, number)


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
            found.append(_stopped(at, clock.wall_ns, stopped, reader))
    return found
