"""What steps of tasks, and with them their loops, were doing, and what is known of their threads for it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concmagic.importing.calls.import_calls import BlockedCall, ImportedCalls
from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.tasks.loop_holds import Hold
from concmagic.importing.tasks.step_clocks import StepClocks, ThreadEvidence
from concmagic.importing.threads.samples_and_clocks import Samples
from concmagic.model.states import cover, join_equal, overlapping, within
from concmagic.model.trace import NO_FACTS, Facts, State, StateInterval
from concmagic.records.recording import MergedSteps, ProcessRecord

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
                states += [StateInterval(at, begin, State.WAITING, "events")] if idle else ()
                if told:
                    whose = facts.setdefault(who, Facts(holders=(who,)))
                    states += self.of_step(native_id, begin, stop, whose)
                since = stop if told else begin
            at = max(at, stop)
        _add_running(states, since, at)
        if at < end:
            states.append(StateInterval(at, end, State.WAITING, "events"))
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
            [one for one in states if one.state is State.READY and one.reason == "GIL"],
            states[-1].end_ns if states else 0,
            together - (cpu_ns or 0) if unknown == (cpu_ns is None) else None,
        )
    return found


def _sampled(state: StateInterval) -> BlockedCall:
    return BlockedCall(state.start_ns, state.end_ns, state.reason, state.reason, "", 0)


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
