"""Tasks beyond those that are told one by one: members of a group each, with exact sums and few bytes a task.

A group are the tasks that run one coroutine function for one parent. A member has a number that tells its
group, and no object: what it did is in the stream of records, and is added up here when those are read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from itertools import count
from typing import Any

from concmagic.interpreter.asyncio_internals import error_of
from concmagic.recording.labels import cut
from concmagic.records.recording import TaskGroup, Wait

TOLD = 2_000  # tasks that are known one by one
_BITS = 40
FIRST = 1 << _BITS  # a larger number is a member's: its group, from 1, and which one it is
_WHICH = FIRST - 1
# The second field of a member's first and last record: minus the first; minus the other and its outcome.
CREATED, ENDED = 1 << 41, 1 << 42
_MOST_GROUPS = 1_000  # from then on a group takes in what any parent has made
_MOST_OUTCOMES = 100
_MOST_GAPS = 1_000_000  # waits, but for sleeps, that are kept with their times


class _Group:
    """The sums of one group while they are made."""

    def __init__(self, number: int, code: object) -> None:
        self.number = number  # of the task that stands for it
        self.code = code  # kept, so that its identity stays its own
        self.members = self.steps = self.never_retrieved = 0
        self.starting = self.running = self.ready = self.waiting = 0
        self.begins_ns = self.ends_ns = 0
        self.outcomes: dict[int, int] = {}
        self.waits: dict[int, list[int]] = {}  # by the number of a wait: nanoseconds, how often
        self.gaps: dict[int, array[int]] = {}  # by the same: begin and end of each, but for sleeps


class Crowd:
    """The groups of one recording."""

    def __init__(self) -> None:
        self.groups: list[_Group] = []
        # Identity of the code and the parent's number → the first number of the group.
        self.by_key: dict[tuple[int, int], int] = {}
        self.next: Callable[[], int] = count().__next__
        self.reason_of: Callable[[int], str] = str  # of a wait, by its number
        self.text_of: Callable[[BaseException], str] = repr
        self._outcomes: list[str] = ["returned"]
        self._errors: dict[int, str] = {}  # outcome → the text of the first task that ended so
        self._group = array("i")  # one item a member in these: the place of its group, -1 is not known yet
        self._began = array("q")  # its first step, 0: has not begun
        self._last = array("q")  # the end of its last step; before the first its creation
        self._woken = array("q")  # not followed by a step yet; 0 is none
        self._wait = array("i")  # what that wake-up ended
        self._ended = array("b")
        self._again: dict[int, tuple[int, int]] = {}  # woken once more, within its own step
        self._gaps_left = _MOST_GAPS

    # While the cell runs

    def key(self, code: object, parent: int) -> tuple[int, int]:
        """The key of tasks that run this code for this parent, whose number 0 is nobody."""
        if len(self.groups) >= _MOST_GROUPS:
            return id(code), 0
        return id(code), parent if parent < FIRST else parent & ~_WHICH

    def open(self, number: int, code: object, key: tuple[int, int]) -> int:
        """Begin a group of the tasks with this key, told as task `number`; the first number of a member."""
        self.groups.append(_Group(number, code))
        first = self.by_key[key] = len(self.groups) << _BITS
        return first

    def shown(self, number: int) -> int:
        """The number that is told for a task: a member's is that of its group."""
        return number if number < FIRST else self.groups[(number >> _BITS) - 1].number

    def outcome_of(self, task: Any) -> int:
        """The place of the outcome of a task that has ended."""
        error = None if task.cancelled() else error_of(task)
        if error is None:
            return self._place_of("cancelled") if task.cancelled() else 0
        outcome = self._place_of(f"raised {cut(type(error).__name__)}")
        if outcome not in self._errors:
            self._errors[outcome] = self.text_of(error)
        return outcome

    def _place_of(self, word: str) -> int:
        if word not in self._outcomes:
            if len(self._outcomes) >= _MOST_OUTCOMES:
                word = "raised Exception"
            self._outcomes.append(word)
        return self._outcomes.index(word)

    def destroyed(self) -> int:
        """The place of the outcome of a member that was collected before its end."""
        return self._place_of("destroyed")

    def forgotten(self, number: int) -> None:
        """Nobody has asked for the exception of this member."""
        self.groups[(number >> _BITS) - 1].never_retrieved += 1

    # As the records are read

    def note(self, at: int, end: int, number: int) -> int:
        """Take in a member's record; the number of what it is told as, 0 where it tells nothing more."""
        group, place = self.groups[(number >> _BITS) - 1], number & _WHICH
        if end <= -CREATED:
            if end == -CREATED:
                self._created(group, (number >> _BITS) - 1, place, at)
            elif place < len(self._ended) and not self._ended[place]:
                self._end(group, place, at, -ENDED - end)
            return 0
        if place >= len(self._group):
            return 0  # its creation was not noted: the recorder gave up meanwhile
        if end > 0:
            self._step(group, place, at, end)
        elif end < 0 and not self._woken[place]:
            self._woken[place], self._wait[place] = at, -end
        elif end < 0:
            self._again[place] = at, -end
        return group.number

    def _created(self, group: _Group, index: int, place: int, at: int) -> None:
        missing = place + 1 - len(self._group)
        if missing > 0:  # more than one where threads have made some at once
            self._group.extend([-1] * missing)
            for column in (self._began, self._last, self._woken, self._wait, self._ended):
                column.frombytes(bytes(column.itemsize * missing))
        self._group[place], self._last[place] = index, at
        group.members += 1
        group.begins_ns = min(group.begins_ns, at) if group.begins_ns else at

    def _end(self, group: _Group, place: int, at: int, outcome: int) -> None:
        self._ended[place] = 1
        group.outcomes[outcome] = group.outcomes.get(outcome, 0) + 1
        group.ends_ns = max(group.ends_ns, at)
        if at > self._last[place]:  # destroyed while it waited
            self._goes_on(group, place, at)
            self._last[place] = at

    def _step(self, group: _Group, place: int, begin: int, end: int) -> None:
        last = self._last[place]
        if self._began[place]:
            group.ready += begin - self._ready_from(group, place, last, begin)
        else:
            self._began[place] = begin
            group.starting += max(begin - last, 0)
        group.running += end - begin
        group.steps += 1
        self._last[place] = end

    def _ready_from(self, group: _Group, place: int, last: int, begin: int) -> int:
        """From when on it was ready between two steps; the wait before is summed."""
        woken, wait = self._woken[place], self._wait[place]
        if not woken or woken > begin:
            return last  # it yielded to the loop
        self._woken[place], self._wait[place] = self._again.pop(place, (0, 0))
        if 0 < self._woken[place] <= begin:
            woken = max(woken, self._woken[place])
            self._woken[place] = 0
        woken = min(max(woken, last), begin)
        self._waited(group, wait, last, woken)
        return woken

    def _waited(self, group: _Group, wait: int, begin: int, end: int) -> None:
        group.waiting += end - begin
        sums = group.waits.get(wait)
        if sums is None:
            sums = group.waits[wait] = [0, 0]
            if self.reason_of(wait) != "sleep":
                group.gaps[wait] = array("q")
        sums[0] += end - begin
        sums[1] += 1
        if wait in group.gaps and self._gaps_left:
            self._gaps_left -= 1
            group.gaps[wait].extend((begin, end))

    def _goes_on(self, group: _Group, place: int, until_ns: int) -> None:
        """What one that has not ended does after its last step."""
        last, woken = self._last[place], self._woken[place]
        if not self._began[place]:
            group.starting += max(until_ns - last, 0)
            return
        ready_from = min(max(woken, last), until_ns) if woken else max(until_ns, last)
        self._waited(group, self._wait[place] if woken else 0, last, ready_from)
        group.ready += max(until_ns - ready_from, 0)

    def records(self, wait_of: Callable[[int], Wait], stopped_ns: int) -> tuple[TaskGroup, ...]:
        """Every group, with what its members that go on have done until now."""
        pairs: list[array[int]] = [array("q") for _ in self.groups]
        for place, index in enumerate(self._group):
            if index < 0:
                continue
            if not self._ended[place]:
                self._goes_on(self.groups[index], place, stopped_ns)
            if self._began[place]:
                until = self._last[place] if self._ended[place] else stopped_ns
                pairs[index].extend((self._began[place], until))
        found = zip(self.groups, pairs, strict=True)
        return tuple(self._record(group, spans, wait_of) for group, spans in found if group.members)

    def _record(self, group: _Group, pairs: array[int], wait_of: Callable[[int], Wait]) -> TaskGroup:
        left = group.members - sum(group.outcomes.values())
        outcomes = [(self._outcomes[outcome], many) for outcome, many in sorted(group.outcomes.items())]
        texts = [self._errors[outcome] for outcome in sorted(group.outcomes) if outcome in self._errors]
        return TaskGroup(
            number=group.number,
            members=group.members,
            steps=group.steps,
            outcomes=(*outcomes, *([("left running", left)] if left else [])),
            exception=texts[0] if texts else "",
            never_retrieved=group.never_retrieved,
            begins_ns=group.begins_ns,
            ends_ns=None if left else group.ends_ns,
            starting_ns=group.starting,
            running_ns=group.running,
            ready_ns=group.ready,
            waiting_ns=group.waiting,
            waits=tuple(
                (wait_of(wait) if wait else None, length, group.gaps.get(wait, array("q")).tobytes())
                for wait, (length, _) in group.waits.items()
            ),
            pairs=pairs.tobytes(),
        )
