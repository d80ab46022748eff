"""What lies in a step and what steps say about their thread."""

from __future__ import annotations

from collections.abc import Sequence

from concmagic import sentences
from concmagic.importing.cell_clock import CellClock
from concmagic.model.cover import join_equal
from concmagic.model.trace import State, StateInterval
from concmagic.records.recording import MergedSteps


def delay_ns(detail: str) -> int:
    """The delay of a sleep from "0.02 s"; 0 if it does not tell."""
    number, _, unit = detail.partition(" ")
    try:
        return int(float(number) * 1e9) if unit == "s" else 0
    except ValueError:
        return 0


def as_thread(states: Sequence[StateInterval], known_until: int) -> list[StateInterval]:
    """What a loop's states say about its thread, beside the calls, which tell of blocking themselves.

    An idle loop's thread waits; but where calls were recorded they tell exactly when.
    """
    told = []
    for interval in states:
        idle = interval.state is State.WAITING and interval.start_ns >= known_until
        if interval.state is State.RUNNING:  # whose step it was is the loop's to tell
            told.append(StateInterval(interval.start_ns, interval.end_ns, State.RUNNING, interval.reason))
        elif interval.state is State.READY or idle:
            told.append(interval)
        elif interval.state is State.BLOCKING:
            start, end = interval.start_ns, interval.end_ns
            told.append(
                StateInterval(start, end, State.WAITING, interval.reason, "", interval.file, interval.line)
            )
    return list(join_equal(told))


def in_order(states: list[StateInterval]) -> tuple[StateInterval, ...]:
    """States of a thread's loops one after the other; a loop inside another's step gives way."""
    states.sort(key=lambda interval: interval.start_ns)
    out: list[StateInterval] = []
    for interval in states:
        if not out or interval.start_ns >= out[-1].end_ns:
            out.append(interval)
    return tuple(out)


def merged_states(stretches: Sequence[MergedSteps], clock: CellClock) -> list[StateInterval]:
    """Stretches whose steps were not kept one by one: their sums, one state after the other."""
    out: list[StateInterval] = []
    for stretch in stretches:
        at = clock.at(stretch.start_ns)
        detail = sentences.merged_steps(stretch.steps)
        for state, length in (
            (State.RUNNING, stretch.running_ns),
            (State.READY, stretch.ready_ns),
            (State.WAITING, stretch.waiting_ns),
        ):
            end = clock.at(clock.start_ns + at + length)
            if end > at:
                out.append(StateInterval(at, end, state, "merged", detail))
            at = end
    return out
