"""Waits for locks, as they were recorded one by one: why, for which, and who had it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from concmagic import sentences
from concmagic.importing.cell_clock import CellClock
from concmagic.importing.places import Places
from concmagic.model import states
from concmagic.model.trace import Lock
from concmagic.records.locks import CallSite, LockLog, LockObject, LockWait
from concmagic.records.recording import ProcessRecord


@dataclass(frozen=True, slots=True)
class FoundWait:
    """One wait of a thread; times from the cell's start."""

    native_id: int
    start_ns: int
    end_ns: int
    reason: str
    detail: str
    file: str
    line: int
    object: int  # -1: not known
    releaser: int | None = None  # native id
    released_ns: int = 0
    exact: bool = True  # seen by itself, not by samples


class LockReader:
    """Reads one process's log."""

    def __init__(self, process: ProcessRecord, log: LockLog, clock: CellClock, places: Places) -> None:
        self.log = log
        self._clock = clock
        self._places = places
        self._names = {record.native_id: record.name for record in process.threads}
        self.names = tuple(_name_of(one, places) for one in log.objects)
        self._told: dict[int, tuple[str, str, int]] = {}

    def waits(self) -> list[FoundWait]:
        """Every wait that was recorded by itself."""
        return [self._wait(one) for one in self.log.waits]

    def locks(self) -> list[Lock]:
        """What the user's code waited for or took, with totals; the library's own locks are none of it."""
        told = ((one.object, self.told(one.chain, one.object)) for one in self.log.waits)
        shown = {number for number, (reason, _, line) in told if line and reason in states.OF_LOCKS}
        return [
            Lock(self.names[number], one.kind, one.taken, one.waits, one.wait_ns)
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
            return states.OF_A_LOCK
        kind = self.log.objects[number].kind
        return {"RLock": "RLock", "SimpleQueue": "Queue.get"}.get(kind, "Lock")

    def detail(self, reason: str, number: int, waiter: int, holders: Iterable[int], more: int = 0) -> str:
        """Which one, and who had it."""
        if reason not in states.OF_LOCKS or number < 0:
            return ""
        name = self.names[number]
        # Inside a condition or a queue a thread waits for a lock that it has taken itself.
        others = [one for one in holders if one != waiter]
        if reason in ("Lock", "RLock") and not others and waiter in holders:
            return sentences.lock_detail(name, sentences.waits_for_itself(self.name(waiter)))
        return sentences.lock_detail(name, sentences.lock_holders([self.name(one) for one in others], more))

    def join_of(self, native_id: int) -> str:
        """Whose end was waited for; "" if it is not known."""
        return sentences.wait_of(self.name(native_id)) if native_id else ""

    def name(self, native_id: int) -> str:
        """A thread's name."""
        return self._names.get(native_id, f"thread {native_id}")

    def _wait(self, one: LockWait) -> FoundWait:
        reason, file, line = self.told(one.chain, one.object)
        end_ns = self._clock.wall_ns if one.end_ns is None else self._clock.at(one.end_ns)
        detail = self.detail(reason, one.object, one.native_id, one.holders, one.more_holders)
        return FoundWait(
            one.native_id,
            self._clock.at(one.start_ns),
            end_ns,
            reason,
            self.join_of(one.joined) if reason == "join" else detail,
            file,
            line,
            one.object,
            one.releaser,
            self._clock.at(one.released_ns) if one.releaser is not None else 0,
        )

    def _look(self, chain: Sequence[CallSite]) -> tuple[str, str, int]:
        own = chain[-1] if chain and self._places.is_own(chain[-1].file) else None
        library = chain[:-1] if own is not None else chain
        known = (states.LIBRARY_WAITS.get((_base(site.file), site.name)) for site in reversed(library))
        reason = next((one for one in known if one), "")
        return reason, self._places.short(own.file) if own else "", own.line if own else 0


def _name_of(one: LockObject, places: Places) -> str:
    """An object's name; of one without a name the line that made it, and which of several."""
    if one.name or one.made is None:
        return one.name
    made = sentences.lock_made_at(places.short(one.made.file), one.made.line)
    return made if one.made_number == 1 else f"{made} ({one.made_number})"


def in_order(waits: Iterable[FoundWait]) -> Mapping[int, list[FoundWait]]:
    """Waits by thread, in order, without overlap and without those outside the cell."""
    found: dict[int, list[FoundWait]] = {}
    for one in sorted(waits, key=lambda wait: wait.start_ns):
        of_thread = found.setdefault(one.native_id, [])
        if one.end_ns > one.start_ns and (not of_thread or of_thread[-1].end_ns <= one.start_ns):
            of_thread.append(one)
    return found


def _base(file: str) -> str:
    return file.replace("\\", "/").rpartition("/")[2]
