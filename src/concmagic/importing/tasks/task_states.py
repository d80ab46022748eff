"""The states of a task: STARTING, its steps, WAITING until it was woken, and from there READY.

A wait says what it was for; what many have in common is told once. A READY says who held the event loop
meanwhile, which is found for many at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from concmagic.importing.clock_ids_places import Actors, CellClock, Places, TrackIds
from concmagic.importing.tasks.step_states import Hold, StepStates
from concmagic.importing.tasks.task_sums import Groups
from concmagic.model.reasons import kind_of, kind_of_end
from concmagic.model.trace import NO_FACTS, Facts, Int32s, Int64s, Resource, State, StateInterval
from concmagic.records.recording import TaskRecord, Wait, Wake

_FOR_ONE_TASK = ("task", "eager start")


class TaskWaits:
    """The waits of one process's tasks."""

    def __init__(
        self,
        places: Places,
        actor: Callable[[int], int],
        ids: TrackIds,
        pid: int,
    ) -> None:
        self._places = places
        self._actor = actor  # the id of a task by its number
        self._ids = ids
        self._pid = pid
        # The log holds one Wait for all that waited alike, as long as this importer lives.
        self._told: dict[tuple[int, str], tuple[str, Facts, str, int]] = {}

    def state(self, start: int, end: int, wait: Wait | None, in_pool: str = "") -> StateInterval:
        """The state of a task in this wait; `in_pool` is where a job ran."""
        if wait is None:
            return StateInterval(start, end, State.WAITING)
        key = id(wait), in_pool
        told = self._told.get(key)
        if told is None:
            facts = self._facts(wait, in_pool)
            told = self._told[key] = (wait.reason, facts, self._places.short(wait.file), wait.line)
        return StateInterval(start, end, State.WAITING, *told)

    def _facts(self, wait: Wait, in_pool: str) -> Facts:
        whom = None if not wait.task else self._actor(wait.task)
        if wait.reason in _FOR_ONE_TASK:
            if whom is None and wait.detail:
                whom = self._ids.other(wait.detail)
            facts = Facts(waits_for=() if whom is None else (whom,), shielded=wait.shielded)
        else:
            others = () if whom is None else (whom,)
            facts = Facts(
                self._resource(wait, in_pool),
                others,
                others,
                count=wait.count,
                delay_ns=wait.delay_ns,
                limit_ns=wait.limit_ns,
                phase=wait.phase,
                shielded=wait.shielded,
            )
        return NO_FACTS if facts == NO_FACTS else facts

    def _resource(self, wait: Wait, in_pool: str) -> int | None:
        """What is waited for: a lock or the like, a pool, another program or host."""
        file, line = wait.made
        if wait.name or line:
            found = Resource(kind_of(wait.reason), wait.name, self._places.short(file) if line else "", line)
        elif wait.detail:
            found = Resource(kind_of_end(wait.reason), wait.detail)
        elif in_pool and wait.reason == "executor job" and not wait.phase:
            found = Resource("pool", in_pool)
        else:
            return None
        return self._ids.resources.number(found, self._pid)


LATE_NS = 1_000_000  # a timer that is later than this was kept waiting

Steps = Sequence[tuple[int, int]]  # begin and end of each, in order


@dataclass(frozen=True, slots=True)
class TaskStates:
    """What the states of one process's tasks are made of."""

    clock: CellClock
    actors: Actors
    waits: TaskWaits
    steps: StepStates
    groups: Groups

    def of_loop(
        self, tasks: Sequence[TaskRecord], native_id: int, holds: Sequence[Hold], steps: Mapping[int, Steps]
    ) -> list[list[StateInterval]]:
        """Those of each task of a loop, from its creation to its end; `steps` are by the tasks' numbers."""
        begins = [hold[0] for hold in holds]
        drafts = []
        for task in tasks:
            group = self.groups.by_number.get(task.number)
            if group is not None:
                drafts.append(self.groups.states(group, self.clock.end_at(task.ended_ns)))
            else:
                drafts.append(self._of_task(task, steps[task.number], native_id, holds, begins))
        name_holders(holds, drafts)
        return drafts

    def _of_task(
        self, task: TaskRecord, steps: Steps, native_id: int, holds: Sequence[Hold], begins: Sequence[int]
    ) -> list[StateInterval]:
        at = self.clock.at
        states: list[StateInterval] = []
        wakes, next_wake = task.wakes, 0
        before = at(task.created_ns) if task.created_ns is not None else 0
        for index, ((begin_ns, _), (begin, end)) in enumerate(zip(task.steps, steps, strict=True)):
            wake = None
            while next_wake < len(wakes) and wakes[next_wake].at_ns <= begin_ns:
                wake = wake or wakes[next_wake]
                next_wake += 1
            if begin > before:
                if index == 0 and task.created_ns is not None and task.created_ns >= self.clock.start_ns:
                    states.append(StateInterval(before, begin, State.STARTING))
                elif wake is None:
                    states.append(StateInterval(before, begin, State.UNKNOWN))
                else:
                    woken = min(max(at(wake.at_ns), before), begin)
                    woken = _due(wake, before, woken, holds, begins)
                    if woken > before:
                        in_pool = self.actors.thread_name(wake.thread)
                        states.append(self.waits.state(before, woken, wake.wait, in_pool))
                    if begin > woken:
                        states.append(StateInterval(woken, begin, State.READY, "loop"))
            if end > begin:
                states += self.steps.of_step(native_id, begin, end)
            before = max(before, end)
        woken_ns = wakes[next_wake].at_ns if next_wake < len(wakes) else None
        return states + self._rest(task, before, woken_ns)

    def _rest(self, task: TaskRecord, before: int, woken_ns: int | None) -> list[StateInterval]:
        """What came after the last step: of a task that ended nothing, else its last wait."""
        rest = []
        end = self.clock.end_at(task.ended_ns)
        woken = min(max(self.clock.at(woken_ns), before), end) if woken_ns is not None else end
        if woken > before:
            if not task.steps and task.created_ns is not None:
                rest.append(StateInterval(before, woken, State.STARTING))
            elif task.last_wait is not None:
                rest.append(self.waits.state(before, woken, task.last_wait))
            else:
                rest.append(StateInterval(before, woken, State.UNKNOWN))
        if end > max(woken, before):
            rest.append(StateInterval(max(woken, before), end, State.READY, "loop"))
        return rest


def _due(wake: Wake, before: int, woken: int, holds: Sequence[Hold], begins: Sequence[int]) -> int:
    """When a task became ready: a sleeper whose time was up while somebody held the loop, by then.

    The loop looks at its timers between two steps only, so the wake-up itself comes after the hold.
    """
    if wake.cause != "timer" or wake.wait is None or wake.wait.reason != "sleep":
        return woken
    due = before + (wake.wait.delay_ns or 0)
    if due <= before or woken - due < LATE_NS:
        return woken
    index = bisect_right(begins, due) - 1
    return due if index >= 0 and holds[index][1] - due >= LATE_NS else woken


_BATCH = 4_000  # stretches asked about together
_SHARE = 0.2  # less of the wait than this: no single one held it


class LoopHolds:
    """The steps and callbacks of one loop, in order."""

    def __init__(self, holds: Sequence[Hold]) -> None:
        self._holds = holds
        self._begin = np.array([hold[0] for hold in self._holds], np.int64)
        self._end = np.maximum.accumulate(np.array([hold[1] for hold in self._holds], np.int64))
        self._length = self._end - self._begin
        self._longest = _range_maxima(self._length)

    def holders(self, begins: Sequence[int], ends: Sequence[int]) -> list[tuple[int | None, int]]:
        """For each stretch who held the loop longest in it, None if no single one did; and how many did."""
        if not self._holds or not begins:
            return [(None, 0)] * len(begins)
        begin, end = np.array(begins, np.int64), np.array(ends, np.int64)
        low = np.searchsorted(self._end, begin, "right")
        high = np.searchsorted(self._begin, end, "left")
        best, length = self._best(low, high, begin, end)
        long_enough = (length >= _SHARE * (end - begin)) & (high > low)
        names = zip(best.tolist(), long_enough.tolist(), np.maximum(high - low, 0).tolist(), strict=True)
        return [(self._holds[at][2] if known else None, many) for at, known, many in names]

    def _best(self, low: Int64s, high: Int64s, begin: Int64s, end: Int64s) -> tuple[Int64s, Int64s]:
        """The longest hold in each range; its first and last one count only as far as they are inside."""
        last = len(self._holds) - 1
        best, length = np.minimum(low, last), np.zeros(len(low), np.int64)
        for candidate in (low, high - 1):
            at = np.clip(candidate, 0, last)
            inside = np.minimum(self._end[at], end) - np.maximum(self._begin[at], begin)
            longer = inside > length
            best, length = np.where(longer, at, best), np.where(longer, inside, length)
        inner = np.flatnonzero(high - low > 2)
        at = _argmax(self._length, self._longest, low[inner] + 1, high[inner] - 1)
        full = self._length[at]
        longer = full > length[inner]
        best[inner] = np.where(longer, at, best[inner])
        length[inner] = np.where(longer, full, length[inner])
        return best, length


def name_holders(holds: Sequence[Hold], drafts: Sequence[list[StateInterval]]) -> None:
    """Say of each READY in these drafts who held the loop meanwhile."""
    loop = LoopHolds(holds)
    facts: dict[tuple[int | None, int], Facts] = {}
    for some in _batches(drafts):
        ready = [draft[index] for draft, index in some]
        found = loop.holders([one.start_ns for one in ready], [one.end_ns for one in ready])
        facts.update({one: _facts(*one) for one in set(found) - facts.keys()})
        for (draft, index), one, holders in zip(some, ready, found, strict=True):
            draft[index] = StateInterval(one.start_ns, one.end_ns, State.READY, "loop", facts[holders])


def _facts(who: int | None, many: int) -> Facts:
    if who is None:
        return Facts(more=many) if many else NO_FACTS
    return Facts(holders=(who,))


def _batches(drafts: Sequence[list[StateInterval]]) -> Iterator[list[tuple[list[StateInterval], int]]]:
    """Where the READY ones stand, some thousands at a time: all at once take much memory."""
    some: list[tuple[list[StateInterval], int]] = []
    for draft in drafts:
        some += [
            (draft, index)
            for index, interval in enumerate(draft)
            if interval.state is State.READY and interval.reason == "loop"
        ]
        if len(some) >= _BATCH:
            yield some
            some = []
    if some:
        yield some


def _range_maxima(values: Int64s) -> list[Int32s]:
    """For each power of two the places of the maxima of all ranges of that length."""
    levels = [np.arange(len(values), dtype=np.int32)]
    width = 1
    while 2 * width <= len(values):
        place = levels[-1]
        left, right = place[: len(place) - width], place[width:]
        levels.append(np.where(values[right] > values[left], right, left))
        width *= 2
    return levels


def _argmax(values: Int64s, levels: list[Int32s], low: Int64s, high: Int64s) -> Int64s:
    """The place of the maximum of each range [low, high), none of them empty."""
    best = low.copy()
    sizes = high - low
    for level, place in enumerate(levels):
        width = 1 << level
        rows = np.flatnonzero((sizes >= width) & ((sizes < 2 * width) | (level == len(levels) - 1)))
        left, right = place[low[rows]], place[high[rows] - width]
        best[rows] = np.where(values[right] > values[left], right, left)
    return best
