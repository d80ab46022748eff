"""What a long step did not compute: laid over it as BLOCKING, where the evidence allows it.

A thread's CPU clock tells how much, not where. Where comes from the calls and samples in the step,
else the longest stretch of which nothing is known is taken.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from concmagic.importing.calls.import_calls import BlockedCall
from concmagic.importing.clock_ids_places import CellClock
from concmagic.model.states import cover, join_equal, within
from concmagic.model.trace import NO_FACTS, Facts, State, StateInterval
from concmagic.records.recording import LongStep

SHORTEST_NS = 1_000_000  # less than this may be what reading the clocks misses
NOT_COMPUTING = "a call"  # the reason where it is not known what was called
_SAME_STEP = 0.95  # share of what the clock measured that a step must be, to be told by it
_OTHERS = 0.1  # with less CPU time than this share of it, other threads cannot be what it waited for
_FREE = (State.UNKNOWN, State.RUNNING)


@dataclass(frozen=True, slots=True)
class ThreadEvidence:
    """What else is known of a thread that runs loops."""

    suspects: Sequence[BlockedCall] = ()
    wanted_gil: Sequence[StateInterval] = ()  # READY for the GIL, by samples
    sampled_until: int = 0
    others_cpu_ns: int | None = 0  # of the process's other threads, over the cell; None is not known


@dataclass(frozen=True, slots=True)
class _Measured:
    start_ns: int
    end_ns: int
    cpu_ns: int
    core_wait_ns: int


@dataclass(slots=True)
class StepClocks:
    """The measured steps of one process, and what is made of them."""

    evidence: Mapping[int, ThreadEvidence]
    _steps: dict[int, list[_Measured]] = field(default_factory=lambda: defaultdict(list))

    def add(self, steps: Sequence[LongStep], clock: CellClock) -> None:
        """Take in what was measured."""
        for step in steps:
            begin, end = clock.at(step.begin_ns), clock.at(step.end_ns)
            if end > begin:
                one = _Measured(begin, end, step.cpu_ns, step.core_wait_ns)
                self._steps[step.native_id].append(one)
        for measured in self._steps.values():
            measured.sort(key=lambda one: one.start_ns)

    def _of(self, native_id: int, begin: int, end: int) -> _Measured | None:
        steps = self._steps.get(native_id, [])
        index = bisect_right(steps, begin, key=lambda one: one.start_ns) - 1
        if index < 0 or steps[index].end_ns < end:
            return None
        one = steps[index]
        return one if end - begin >= _SAME_STEP * (one.end_ns - one.start_ns) else None

    def refine(
        self,
        native_id: int,
        begin: int,
        end: int,
        states: Sequence[StateInterval],
        whose: Facts = NO_FACTS,
    ) -> list[StateInterval]:
        """The states of a step of this thread, with what its CPU clock tells."""
        measured = self._of(native_id, begin, end)
        if measured is None:
            return list(states)
        known = self.evidence.get(native_id, ThreadEvidence())
        gil = [one for one in within(known.wanted_gil, begin, end) if one.length_ns >= SHORTEST_NS]
        states = cover(begin, end, states, gil) if gil else states
        told = sum(one.length_ns for one in states if one.state not in _FREE)
        idle = end - begin - measured.cpu_ns - told
        if measured.core_wait_ns >= SHORTEST_NS:
            states = _laid(states, min(measured.core_wait_ns, idle), State.READY, "core")
            idle -= measured.core_wait_ns
        if idle >= SHORTEST_NS:
            states, idle = _in_suspects(states, idle, known.suspects, (begin, end), whose)
        if idle >= SHORTEST_NS:
            states = _unplaced(states, idle, known, end, whose)
        return join_equal(_computing(one, whose) for one in states)


def _unplaced(
    states: Sequence[StateInterval],
    idle: int,
    known: ThreadEvidence,
    end: int,
    whose: Facts,
) -> Sequence[StateInterval]:
    """Time in no known call. Where others computed, they may have had the GIL: then it is not known.

    How much they computed is no bound: who has the GIL may itself be kept from a core.
    """
    others = 0 if known.sampled_until >= end else known.others_cpu_ns
    if others is None or others >= max(SHORTEST_NS, _OTHERS * idle):
        return _laid(states, idle, State.UNKNOWN, "GIL or blocked")
    return _laid(states, idle, State.BLOCKING, NOT_COMPUTING, whose)


def _in_suspects(
    states: Sequence[StateInterval],
    idle: int,
    suspects: Sequence[BlockedCall],
    step: tuple[int, int],
    whose: Facts,
) -> tuple[Sequence[StateInterval], int]:
    """Give the time to long C calls in the step, the longest first."""
    inside = [call for call in suspects if step[0] <= call.start_ns and call.end_ns <= step[1]]
    for call in sorted(inside, key=lambda call: call.start_ns - call.end_ns):
        length = min(idle, call.end_ns - call.start_ns)
        if length < SHORTEST_NS:
            break
        start = call.end_ns - length
        states = cover(*step, states, [call.as_blocking(start, call.end_ns, whose)])
        idle -= length
    return states, idle


def _laid(
    states: Sequence[StateInterval],
    length: int,
    state: State,
    reason: str,
    facts: Facts = NO_FACTS,
) -> Sequence[StateInterval]:
    """`length` of this state at the ends of the free stretches: unknown ones first, then long ones."""
    free = [one for one in states if one.state in _FREE and not one.reason]
    free.sort(key=lambda one: (one.state is not State.UNKNOWN, -one.length_ns))
    top = []
    for one in free:
        if length <= 0:
            break
        taken = min(length, one.length_ns)
        top.append(StateInterval(one.end_ns - taken, one.end_ns, state, reason, facts))
        length -= taken
    top.sort(key=lambda one: one.start_ns)
    return cover(states[0].start_ns, states[-1].end_ns, states, top) if top else states


def _computing(one: StateInterval, whose: Facts) -> StateInterval:
    """What was not known, and is not idle by the clock, was computing."""
    if one.state is State.UNKNOWN and not one.reason:
        return StateInterval(one.start_ns, one.end_ns, State.RUNNING, "", whose)
    return one
