"""What the operating system's samples tell: who was on a core, who wanted the GIL, who waited for what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from concmagic.recording.raw import SampleLog
from concmagic.trace import states
from concmagic.trace.clock import CellClock
from concmagic.trace.model import State, StateInterval

Samples = Mapping[int, tuple[StateInterval, ...]]  # native id → states, in order


def import_samples(log: SampleLog | None, clock: CellClock) -> Samples:
    """Each thread's sampled states, in order; a thread that is gone has none."""
    if log is None:
        return {}
    columns = [np.frombuffer(column, "<i8") for column in (log.native_id, log.start_ns, log.end_ns, log.code)]
    found: dict[int, list[StateInterval]] = defaultdict(list)
    for native_id, start_ns, end_ns, code in zip(*(column.tolist() for column in columns), strict=True):
        start, end = clock.at(start_ns), clock.at(end_ns)
        told = _state(code)
        if end > start and told is not None:
            found[native_id].append(StateInterval(start, end, *told))
    return {native_id: tuple(_in_order(stretches)) for native_id, stretches in found.items()}


def _state(code: int) -> tuple[State, str] | None:
    if code == states.ON_CORE:
        return State.RUNNING, ""
    if code == states.GIL:
        return State.READY, "GIL"
    if code == states.FUTEX:
        return State.WAITING, "lock"
    if code == states.ASLEEP:
        return State.WAITING, ""
    if code < 0:
        return None
    return State.WAITING, states.syscall_reason(code)


def _in_order(stretches: list[StateInterval]) -> list[StateInterval]:
    stretches.sort(key=lambda one: one.start_ns)
    kept: list[StateInterval] = []
    for one in stretches:
        if not kept or one.start_ns >= kept[-1].end_ns:
            kept.append(one)
    return kept
