"""What steps of tasks, and with them their loops, were doing: RUNNING, or BLOCKING where evidence allows it.

Blocking calls tell where a step did not compute; its thread's CPU clock tells how much, not where. Where
comes from the calls and samples in the step, else the longest stretch of which nothing is known is taken.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.import_calls import BlockedCall, ImportedCalls
from concmagic.importing.threads.sampled_states import Samples
from concmagic.model.reasons import BETWEEN_STEPS
from concmagic.model.states import cover, join_equal, overlapping, within
from concmagic.model.trace import NO_FACTS, Facts, State, StateInterval
from concmagic.records.recording import LongStep, ProcessRecord

Hold = tuple[int, int, int]  # who held an event loop: begin, end, whose id
SHORTEST_BLOCK_NS = 1_000_000  # a step is BLOCKING from here on
MOST_TOLD, TOLD_NS = 2_000, 100_000  # so many steps of a loop are told one by one; of more those from here on
LOOP_OVERHEAD_NS = 50_000  # a shorter gap between two callbacks is the loop's own work


@dataclass(frozen=True, slots=True)
class StepStates:
    """The evidence about the steps of one process, by native thread id."""

    blocked: Mapping[int, Sequence[BlockedCall]]
    until: Mapping[int, int]  # until when blocking calls are known
    clocks: StepClocks

    def of_step(self, native_id: int, begin: int, end: int, whose: Facts = NO_FACTS) -> list[StateInterval]:
        """One step: running, but for where its thread was in a blocking call; `whose` it was, to the loop."""
        if end - begin < SHORTEST_BLOCK_NS:
            return [StateInterval(begin, end, State.RUNNING, "", whose)]
        known_until = self.until.get(native_id, 0)
        running = StateInterval(begin, min(end, known_until), State.RUNNING, "", whose)
        base = [running] if known_until > begin else []
        blocks = [
            call.as_blocking(call.start_ns, call.end_ns, whose)
            for call in overlapping(self.blocked.get(native_id, ()), begin, end)
            if min(call.end_ns, end) - max(call.start_ns, begin) >= SHORTEST_BLOCK_NS
        ]
        states = cover(begin, end, base, within(blocks, begin, end))
        return self.clocks.refine(native_id, begin, end, states, whose)

    def of_loop(self, native_id: int, holds: Sequence[Hold], start: int, end: int) -> list[StateInterval]:
        """Waiting for events where nothing held it; each step with whose it was.

        Of very many, short steps and what lies between them are one state.
        """
        told_from = 1 if len(holds) <= MOST_TOLD else TOLD_NS
        states: list[StateInterval] = []
        since = at = start  # looked at up to `at`, and running since `since`
        facts: dict[int, Facts] = {}
        for begin, stop, who in holds:
            idle = begin - at >= LOOP_OVERHEAD_NS
            begin = max(begin, at)
            told = stop - begin >= told_from
            if idle or told:
                _add_running(states, since, at if idle else begin)
                states += self.clocks.idle(native_id, at, begin) if idle else ()
                if told:
                    whose = facts.setdefault(who, Facts(holders=(who,)))
                    states += self.of_step(native_id, begin, stop, whose)
                since = stop if told else begin
            at = max(at, stop)
        _add_running(states, since, at)
        if at < end:
            states += self.clocks.idle(native_id, at, end)
        return join_equal(states)


def _add_running(states: list[StateInterval], start: int, end: int) -> None:
    if end > start:
        states.append(StateInterval(start, end, State.RUNNING))


def blocking_in_steps(
    process: ProcessRecord, calls: ImportedCalls, samples: Samples, clock: CellClock
) -> tuple[Mapping[int, Sequence[BlockedCall]], Mapping[int, int]]:
    """Per thread the waits inside steps, from calls and, after them, samples; and until when both tell."""
    blocked: dict[int, list[BlockedCall]] = {
        native_id: list(thread.blocked) for native_id, thread in calls.threads.items()
    }
    recorded = process.calls
    until = clock.wall_ns
    if recorded is None or not recorded.native_calls:
        until = 0
    elif recorded.stopped_ns is not None or recorded.handed_ns is not None:
        until = clock.at(recorded.stopped_ns or recorded.handed_ns or 0)
    known = dict.fromkeys(blocked, until)
    for native_id, states in samples.items():
        sampled = [
            _sampled(state) for state in states if state.state is State.WAITING and state.start_ns >= until
        ]
        blocked[native_id] = _with_sampled(blocked.get(native_id, []), sampled)
        if states:
            known[native_id] = max(known.get(native_id, 0), states[-1].end_ns)
    return blocked, known


def _with_sampled(blocked: list[BlockedCall], sampled: list[BlockedCall]) -> list[BlockedCall]:
    """Both, in order; where a wait for a lock is known by itself the samples tell nothing more."""
    begins = [one.start_ns for one in blocked]
    kept = []
    for one in sampled:
        index = bisect_left(begins, one.end_ns) - 1
        if index < 0 or blocked[index].end_ns <= one.start_ns:
            kept.append(one)
    return sorted([*blocked, *kept], key=lambda one: one.start_ns)


def evidence_of_threads(
    process: ProcessRecord, calls: ImportedCalls, samples: Samples
) -> Mapping[int, ThreadEvidence]:
    """What else is known of each thread, for the steps of the loops in it."""
    used = {record.native_id: record.cpu_ns for record in process.threads}
    known = [cpu_ns for cpu_ns in used.values() if cpu_ns is not None]
    together, unknown = sum(known), len(used) - len(known)
    found = {}
    for native_id, cpu_ns in used.items():
        states = samples.get(native_id, ())
        found[native_id] = ThreadEvidence(
            calls.threads[native_id].suspects if native_id in calls.threads else (),
            [one for one in states if one.state is State.READY],
            states[-1].end_ns if states else 0,
            together - (cpu_ns or 0) if unknown == (cpu_ns is None) else None,
        )
    return found


def _sampled(state: StateInterval) -> BlockedCall:
    return BlockedCall(state.start_ns, state.end_ns, state.reason, state.reason, "", 0)


SHORTEST_NS = 1_000_000  # less than this may be what reading the clocks misses
NOT_COMPUTING = "a call"  # the reason where it is not known what was called
_SAME_STEP = 0.95  # share of what the clock measured that a step must be, to be told by it
_OTHERS = 0.1  # with less CPU time than this share of it, other threads cannot be what it waited for
_BETWEEN = Facts(phase=BETWEEN_STEPS)
_FREE = (State.UNKNOWN, State.RUNNING)


@dataclass(frozen=True, slots=True)
class ThreadEvidence:
    """What else is known of a thread that runs loops."""

    suspects: Sequence[BlockedCall] = ()
    wanted: Sequence[StateInterval] = ()  # READY for the GIL or a core, by samples
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

    def idle(self, native_id: int, begin: int, end: int) -> Sequence[StateInterval]:
        """A loop without a step: it waited for events, and then wanted the GIL or a core, as samples tell."""
        waited = StateInterval(begin, end, State.WAITING, "events")
        known = within(self.evidence.get(native_id, ThreadEvidence()).wanted, begin, end)
        wanted = [StateInterval(*one.pair, State.READY, one.reason, _BETWEEN) for one in known]
        return cover(begin, end, [waited], wanted) if wanted else [waited]

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
        wanted = within(known.wanted, begin, end)
        gil = [one for one in wanted if one.reason == "GIL" and one.length_ns >= SHORTEST_NS]
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
