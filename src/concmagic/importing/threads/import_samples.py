"""What the operating system's samples tell: who was on a core, who wanted one or the GIL, who waited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from concmagic.importing.cell_clock import CellClock
from concmagic.importing.numbering import TrackIds
from concmagic.interpreter import recorded_calls
from concmagic.model import reasons
from concmagic.model.reasons import kind_of_end
from concmagic.model.trace import NO_FACTS, Facts, Resource, State, StateInterval
from concmagic.records.recording import SampleLog

Samples = Mapping[int, tuple[StateInterval, ...]]  # native id → states, in order
Holding = tuple[int, int, int]  # start, end, native id of who held the GIL: 0 nobody, -1 not known


def import_samples(log: SampleLog | None, clock: CellClock, ids: TrackIds) -> Samples:
    """Each thread's sampled states, in order; a thread that is gone has none."""
    found: dict[int, list[StateInterval]] = defaultdict(list)
    if log is None:
        return {}
    details = {(native_id, start_ns): words for native_id, start_ns, words in log.details}
    columns = [np.frombuffer(column, "<i8") for column in (log.native_id, log.start_ns, log.end_ns, log.code)]
    for native_id, start_ns, end_ns, code in zip(*(column.tolist() for column in columns), strict=True):
        start, end = clock.at(start_ns), clock.at(end_ns)
        told = _state(code)
        if end > start and told is not None:
            detail = details.get((native_id, start_ns), "") if details else ""
            state, reason = _at(*told, detail)
            facts = _ends(detail, reason, ids) if detail else NO_FACTS
            found[native_id].append(StateInterval(start, end, state, reason, facts))
    return {native_id: tuple(_in_order(stretches)) for native_id, stretches in found.items()}


def import_holders(log: SampleLog | None, clock: CellClock) -> Mapping[int, tuple[Holding, ...]]:
    """Who held the GIL of each process when, by process id, in order."""
    found: dict[int, list[Holding]] = defaultdict(list)
    if log is None or not log.argument:
        return {}
    columns = [
        np.frombuffer(column, "<i8")
        for column in (log.native_id, log.start_ns, log.end_ns, log.code, log.argument)
    ]
    rows = np.flatnonzero(columns[3] == recorded_calls.HOLDER)
    chosen = (column[rows].tolist() for column in columns)
    for number, start_ns, end_ns, _, holder in zip(*chosen, strict=True):
        start, end = clock.at(start_ns), clock.at(end_ns)
        if end > start:
            found[-number].append((start, end, holder))
    return {pid: tuple(sorted(stretches)) for pid, stretches in found.items()}


def _state(code: int) -> tuple[State, str] | None:
    if code == recorded_calls.ON_CORE:
        return State.RUNNING, ""
    if code == recorded_calls.GIL:
        return State.READY, "GIL"
    if code == recorded_calls.CORE:
        return State.READY, "core"
    if code == recorded_calls.FUTEX:
        return State.WAITING, reasons.OF_A_LOCK
    if code == recorded_calls.ASLEEP:
        return State.WAITING, ""
    if code < 0:
        return None
    return State.WAITING, recorded_calls.syscall_reason(code)


def _at(state: State, reason: str, detail: str) -> tuple[State, str]:
    """A timeout of a socket is kept by asking for it alone first: the wait is for the other side."""
    return (state, "socket") if reason == "select" and ":" in detail else (state, reason)


def _ends(name: str, reason: str, ids: TrackIds) -> Facts:
    return Facts(ids.resources.number(Resource(kind_of_end(reason), name)))


def _in_order(stretches: list[StateInterval]) -> list[StateInterval]:
    stretches.sort(key=lambda one: one.start_ns)
    kept: list[StateInterval] = []
    for one in stretches:
        if not kept or one.start_ns >= kept[-1].end_ns:
            kept.append(one)
    return kept
