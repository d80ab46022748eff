"""What a task's step, and with it the loop, was doing: computing, but for where its thread was blocked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concmagic.importing.calls.import_calls import BlockedCall
from concmagic.importing.tasks.loop_holds import Hold
from concmagic.importing.tasks.step_clocks import StepClocks
from concmagic.model.cover import cover, join_equal, overlapping, within
from concmagic.model.trace import NO_FACTS, Facts, State, StateInterval

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
