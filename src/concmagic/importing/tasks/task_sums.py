"""Sums of tasks: many alike ones as one track, steps not kept one by one, what a loop was asked to do.

Shares are to look at, sums are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.tasks.step_states import Hold
from concmagic.model.outcomes import outcome_of
from concmagic.model.reasons import IDLE, JOINING, MERGED, OUTSIDE
from concmagic.model.trace import Facts, Flights, Group, Int64s, LoopSteps, State, StateInterval, Track
from concmagic.records.recording import MergedSteps, TaskGroup, TaskRecord


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one process's tasks, by the number of the task that stands for each."""

    by_number: Mapping[int, TaskGroup]
    clock: CellClock

    def told(self, task: TaskRecord) -> TaskRecord:
        """The record of a task; one that stands for a group begins and ends as its members did."""
        group = self.by_number.get(task.number)
        if group is None:
            return task
        return replace(
            task,
            name="",
            created_ns=group.begins_ns,
            ended_ns=group.ends_ns,
            outcome=_outcome(group),
            exception=group.exception,
            unretrieved=group.never_retrieved > 0,
        )

    def states(self, group: TaskGroup, end: int) -> list[StateInterval]:
        """The shares of its members' time, one after the other."""
        spent = (
            (State.STARTING, group.starting_ns),
            (State.RUNNING, group.running_ns),
            (State.READY, group.ready_ns),
            (State.WAITING, group.waiting_ns),
        )
        whole = sum(length for _, length in spent)
        begin = at = self.clock.at(group.begins_ns)
        facts = Facts(count=group.members, phase="tasks")
        states, done = [], 0
        for state, length in spent:
            done += length
            until = begin + (end - begin) * done // max(whole, 1)
            if until > at:
                states.append(StateInterval(at, until, state, MERGED, facts))
            at = max(at, until)
        return states

    def row(self, group: TaskGroup, track: int) -> Group:
        """Its exact sums."""
        outcomes = tuple((outcome_of(text), many) for text, many in group.outcomes)
        known = [(wait.reason, length) for wait, length, _ in group.waits if wait is not None]
        return Group(
            track=track,
            members=group.members,
            outcomes=outcomes,
            ended=sum(many for one, many in outcomes if one.kind != "left running"),
            failed=sum(many for one, many in outcomes if one.kind == "raised"),
            steps=group.steps,
            starting_ns=group.starting_ns,
            running_ns=group.running_ns,
            ready_ns=group.ready_ns,
            waiting_ns=group.waiting_ns,
            outside_ns=sum(length for reason, length in known if reason in OUTSIDE),
        )

    def flights(self, groups: Sequence[TaskGroup]) -> Flights:
        """When members were in flight: from the first step to the end, but for waits for what they started.

        How many were at a time is told by all beginnings and all ends, whosever they are.
        """
        begins, ends = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for group in groups:
            start_ns, end_ns = self._pairs(group.pairs)
            begins.append(start_ns)
            ends.append(end_ns)
            for wait, _, gaps in group.waits:
                if wait is not None and (wait.reason in JOINING or wait.reason in IDLE):
                    start_ns, end_ns = self._pairs(gaps)
                    begins.append(end_ns)
                    ends.append(start_ns)
        start, end = np.sort(np.concatenate(begins)), np.sort(np.concatenate(ends))
        return Flights(start[end > start], end[end > start])

    def _pairs(self, pairs: bytes) -> tuple[Int64s, Int64s]:
        table = np.frombuffer(pairs, np.int64).reshape(-1, 2) - self.clock.start_ns
        table = np.clip(table, 0, self.clock.wall_ns)
        return table[:, 0], table[:, 1]


def all_flights(found: Sequence[Flights]) -> Flights:
    """Those of all processes."""
    found = [one for one in found if len(one)]
    if len(found) <= 1:
        return found[0] if found else Flights()
    start_ns = np.concatenate([one.start_ns for one in found])
    return Flights(start_ns, np.concatenate([one.end_ns for one in found]))


def _outcome(group: TaskGroup) -> str:
    """That of most, where none raised."""
    raised = [(many, word) for word, many in group.outcomes if outcome_of(word).kind == "raised"]
    return max(raised or [(many, word) for word, many in group.outcomes])[1]


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
                out.append(StateInterval(at, end, state, MERGED, facts))
            at = end
    return out


def loop_steps(loop: Track, holds: Sequence[Hold], tasks: Sequence[Track]) -> LoopSteps | None:
    """The longest step or callback of a loop, and how long its tasks were ready before their steps."""
    if not holds:
        return None
    begin, end, who = max(holds, key=lambda hold: hold[1] - hold[0])
    delays = [
        one.length_ns
        for track in tasks
        for one in track.states
        if one.state is State.READY and one.reason == "loop"
    ]
    if not delays:
        return LoopSteps(loop.id, end - begin, who)
    p50, p99 = np.percentile(delays, [50, 99]).tolist()  # as the metrics take them
    return LoopSteps(loop.id, end - begin, who, round(p50), round(p99), max(delays))
