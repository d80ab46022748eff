"""Sleeps in native code, which has locks of its own: what samples and a look at the frame tell together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.threads.lock_waits import FoundWait, LockReader
from concmagic.model.reasons import IN_NATIVE_CODE
from concmagic.model.trace import NO_FACTS
from concmagic.records.handed_over import Standing


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
