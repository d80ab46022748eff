"""Event loops without tasks: what runs on them are callbacks, by timers, descriptors and from other threads.

Such a loop is a part of its thread's work. It waits for the moment of its next timer, else for events.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds, short_name
from concmagic.importing.tasks.step_states import Hold, StepStates
from concmagic.model.trace import Flow, State, StateInterval
from concmagic.records.recording import LoopRecord, LoopRun

NOT_RUN = "for work"  # the reason of a loop that nobody runs just then
_SOON_NS = 1_000_000  # from a loop's waking to the callback that it was woken for


def runs_of(loop: LoopRecord, holds: Sequence[Hold], clock: CellClock) -> list[LoopRun]:
    """When the loop was run; where that was not seen, from its first callback to its last."""
    runs = [one._replace(begin_ns=clock.at(one.begin_ns), end_ns=clock.at(one.end_ns)) for one in loop.runs]
    if not runs and holds:
        runs = [LoopRun(holds[0][0], max(hold[1] for hold in holds))]
    return [one for one in runs if one.end_ns > one.begin_ns]


def states_of(
    loop: LoopRecord,
    holds: Sequence[Hold],
    runs: Sequence[LoopRun],
    steps: StepStates,
    clock: CellClock,
    places: Places,
) -> list[StateInterval]:
    """Its callbacks and its waits, run after run."""
    begins, timers = [hold[0] for hold in holds], {clock.at(begin) for begin in loop.timers}
    states: list[StateInterval] = []
    for begin, end, file, line in runs:
        if states and states[-1].end_ns < begin:
            states.append(StateInterval(states[-1].end_ns, begin, State.WAITING, NOT_RUN))
        inside = holds[bisect_left(begins, begin) : bisect_left(begins, end)]
        found = steps.of_loop(loop.native_id, inside, begin, end)
        place = places.short(file), line
        for one in found:
            if one.state is State.WAITING:
                following = bisect_left(begins, one.end_ns)  # it may have been kept from a core first
                is_for_a_timer = following < len(begins) and begins[following] in timers
                one = _at(one, place, is_for_a_timer)
            states.append(one)
    return states


def _at(wait: StateInterval, place: tuple[str, int], is_for_a_timer: bool) -> StateInterval:
    reason = "timer" if is_for_a_timer else wait.reason
    return replace(wait, reason=reason, file=place[0], line=place[1])


def waits_of(states: Sequence[StateInterval]) -> tuple[StateInterval, ...]:
    """What its thread waits for while the loop looks for something to do."""
    return tuple(one for one in states if one.state is State.WAITING and one.reason in ("events", "timer"))


def wakes(
    loop: LoopRecord, track: int, waits: Sequence[StateInterval], pid: int, clock: CellClock, ids: TrackIds
) -> list[Flow]:
    """To the loop, from each thread that sent a callback, where that woke it; a late timer from itself."""
    ends = [one.end_ns for one in waits]
    begins = [begin for begin, _, _ in loop.callbacks]
    flows = []
    for asked in loop.asked:
        source = ids.known("thread", pid, asked.thread) if asked.thread else track
        if source is None or asked.thread == loop.native_id:
            continue
        place = bisect_left(begins, asked.begun_ns)
        name = short_name(loop.callbacks[place][2]) if place < len(begins) else ""
        sent, begun = clock.at(asked.asked_ns), clock.at(asked.begun_ns)
        index = bisect_right(ends, begun) - 1
        if index >= 0 and sent <= ends[index] and begun - ends[index] <= _SOON_NS:
            begun = ends[index]
        flows.append(Flow("wake", source, sent, track, max(begun, sent), name))
    return flows
