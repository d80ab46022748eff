"""What lies in a step and what steps say about their thread."""

from __future__ import annotations

from collections.abc import Sequence

from concmagic.importing.cell_clock import CellClock
from concmagic.model.cover import join_equal
from concmagic.model.trace import NO_FACTS, Facts, State, StateInterval
from concmagic.records.recording import MergedSteps


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
                StateInterval(
                    start, end, State.WAITING, interval.reason, NO_FACTS, interval.file, interval.line
                )
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
        facts = Facts(count=stretch.steps, phase="steps")
        for state, length in (
            (State.RUNNING, stretch.running_ns),
            (State.READY, stretch.ready_ns),
            (State.WAITING, stretch.waiting_ns),
        ):
            end = clock.at(clock.start_ns + at + length)
            if end > at:
                out.append(StateInterval(at, end, state, "merged", facts))
            at = end
    return out
