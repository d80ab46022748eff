"""When each step of a program happens by a clock of its own, and the critical path that follows.

A program is kept only where nothing is a close call: whoever comes to wait comes at least a unit before what
it waits for, or a unit after. So its path is the same however long what is between two steps takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import combinations
from random import Random

from tests.truth.programs import (
    Compute,
    Hear,
    Join,
    Locked,
    Meet,
    Op,
    Place,
    Program,
    Sleep,
    Start,
    Tell,
    drafted,
)

MARGIN = 1  # units
SHORTEST, LONGEST = 4, 14  # units of a whole program
_LEAST_STEPS = 3  # of a path
Key = tuple[object, ...]


@dataclass(slots=True)
class Times:
    """Of each step: when it began, when a lock in it was had, when it ended. In any unit."""

    begun: dict[Place, float] = field(default_factory=dict)
    had: dict[Place, float] = field(default_factory=dict)
    ended: dict[Place, float] = field(default_factory=dict)
    born: dict[int, float] = field(default_factory=dict)  # by actor: when its first step could begin
    died: dict[int, float] = field(default_factory=dict)


class _Run:
    """The program, run by units instead of seconds."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.times = Times()
        self._now = 0.0
        self._heap: list[tuple[float, int]] = []
        self._said: set[Key] = set()
        self._waiting: dict[Key, list[int]] = {}
        self._queues: dict[object, deque[Key]] = {}
        self._free = {"pool": program.workers, 0: 1}  # of the pool's workers; of each lock
        self._left = list(program.parties)
        self._lives: dict[int, Generator[float | Key, None, None]] = {}

    def times_of_all(self) -> Times | None:
        """None if somebody waits for ever."""
        self._start(0)
        while self._heap:
            self._now, actor = heappop(self._heap)
            self._go_on(actor)
        return self.times if len(self.times.died) == len(self._program.actors) else None

    def _start(self, actor: int) -> None:
        self._lives[actor] = self._life(actor)
        heappush(self._heap, (self._now, actor))

    def _go_on(self, actor: int) -> None:
        for wish in self._lives[actor]:
            if isinstance(wish, tuple):
                if wish not in self._said:
                    self._waiting.setdefault(wish, []).append(actor)
                    return
            elif wish:
                heappush(self._heap, (self._now + wish, actor))
                return

    def _say(self, key: Key) -> None:
        self._said.add(key)
        for actor in self._waiting.pop(key, ()):
            heappush(self._heap, (self._now, actor))

    def _take(self, what: object, who: Key) -> Generator[Key, None, None]:
        """One of a few, in the order in which they come."""
        if self._free[what]:
            self._free[what] -= 1
            return
        self._queues.setdefault(what, deque()).append(who)
        yield who

    def _give(self, what: object) -> None:
        if self._queues.get(what):
            self._say(self._queues[what].popleft())
        else:
            self._free[what] += 1

    def _life(self, actor: int) -> Generator[float | Key, None, None]:
        is_job = self._program.actors[actor].kind == "job"
        if is_job:
            yield from self._take("pool", ("job", actor))
        self.times.born[actor] = self._now
        for number, op in enumerate(self._program.actors[actor].ops):
            place = actor, number
            self.times.begun[place] = self._now
            yield from self._step(place, op)
            self.times.ended[place] = self._now
        self.times.died[actor] = self._now
        if is_job:
            self._give("pool")
        self._say(("end", actor))

    def _step(self, place: Place, op: Op) -> Generator[float | Key, None, None]:
        match op:
            case Sleep(units) | Compute(units):
                yield units
            case Locked(lock, units):
                yield from self._take(lock, ("lock", place))
                self.times.had[place] = self._now
                yield units
                self._give(lock)
            case Tell(signal):
                self._say(("signal", signal))
            case Hear(signal):
                yield "signal", signal
            case Meet(barrier):
                self._left[barrier] -= 1
                if not self._left[barrier]:
                    self._say(("barrier", barrier))
                yield "barrier", barrier
            case Start(child):
                self._start(child)
            case Join(children):
                for child in children:
                    yield "end", child


def times_of(program: Program) -> Times | None:
    """When what happens by plan; None if somebody waits for ever."""
    return _Run(program).times_of_all()


def path_of(program: Program, times: Times) -> tuple[Place, ...]:
    """The steps that took the time, first one first: from each wait on to who ended it."""
    return tuple(reversed(list(_Walk(program, times).back())))


class _Walk:
    def __init__(self, program: Program, times: Times) -> None:
        self._program = program
        self._times = times
        self._ops = dict(program.places())
        self._tellers = {op.signal: place for place, op in self._ops.items() if isinstance(op, Tell)}
        self._starts = {op.actor: place for place, op in self._ops.items() if isinstance(op, Start)}

    def back(self) -> Iterable[Place]:
        place = 0, len(self._program.actors[0].ops) - 1
        while place != (0, -1):
            actor, number = place
            if number < 0:
                place = self._before_birth(actor)
                continue
            if isinstance(self._ops[place], Sleep | Compute | Locked):
                yield place
            place = self._ended_by(place, self._ops[place]) or (actor, number - 1)

    def _before_birth(self, actor: int) -> Place:
        """Its start; or the job before it that the worker was busy with."""
        start = self._starts[actor]
        if self._program.actors[actor].kind == "job":
            times = self._times
            since, until = times.ended[start], times.born[actor]
            before = [
                (times.died[one.number], one.number)
                for one in self._program.actors
                if one.kind == "job" and since < times.died[one.number] <= until
            ]
            if before and one_worker_was_busy(self._program, times, actor):
                return self._last_of(max(before)[1])
        return start[0], start[1] - 1

    def _last_of(self, actor: int) -> Place:
        return actor, len(self._program.actors[actor].ops) - 1

    def _ended_by(self, place: Place, op: Op) -> Place | None:
        """The step after which it could go on, if it had to wait."""
        begun = self._times.begun[place]
        match op:
            case Hear(signal):
                teller = self._tellers[signal]
                return (teller[0], teller[1] - 1) if self._times.begun[teller] > begun else None
            case Meet(barrier):
                last = max(self._at(Meet(barrier)), key=lambda one: self._times.begun[one])
                return (last[0], last[1] - 1) if last != place else None
            case Join(children):
                died, last = max((self._times.died[one], one) for one in children)
                return self._last_of(last) if died > begun else None
            case Locked(lock):
                had = self._times.had
                before = [one for one, op in self._ops.items() if _takes(op, lock) and had[one] < had[place]]
                last = max(before, key=lambda one: had[one], default=None)
                return last if last is not None and self._times.ended[last] > begun else None
        return None

    def _at(self, wanted: Op) -> list[Place]:
        return [place for place, op in self._ops.items() if op == wanted]


def _takes(op: Op, lock: int) -> bool:
    return isinstance(op, Locked) and op.lock == lock


def one_worker_was_busy(program: Program, times: Times, job: int) -> bool:
    """Whether all workers of the pool had jobs when this one was given to it."""
    (start,) = (place for place, op in program.places() if op == Start(job))
    at = times.begun[start]
    jobs = [one.number for one in program.actors if one.kind == "job" and one.number != job]
    starts = {op.actor: times.begun[place] for place, op in program.places() if isinstance(op, Start)}
    return sum(starts[one] < at < times.died[one] for one in jobs) >= program.workers


def is_clear(program: Program, times: Times, margin: float = MARGIN) -> bool:
    """Whether nothing in it is a close call."""
    return all(abs(one - other) >= margin for one, other in _calls(program, times))


def _calls(program: Program, times: Times) -> Iterable[tuple[float, float]]:
    """Moments of which one has to come first."""
    ops = dict(program.places())
    told = {op.signal: times.begun[place] for place, op in ops.items() if isinstance(op, Tell)}
    for place, op in ops.items():
        if isinstance(op, Hear):
            yield times.begun[place], told[op.signal]
        elif isinstance(op, Join):
            ends = sorted(times.died[one] for one in op.actors)
            yield times.begun[place], ends[-1]
            if len(ends) > 1 and ends[-1] > times.begun[place]:
                yield ends[-2], ends[-1]
    for barrier in range(len(program.parties)):
        begun = sorted(times.begun[place] for place, op in ops.items() if op == Meet(barrier))
        yield begun[-2], begun[-1]
    yield from _calls_at(
        [(times.begun[place], times.ended[place]) for place, op in ops.items() if isinstance(op, Locked)]
    )
    starts = {op.actor: times.begun[place] for place, op in ops.items() if isinstance(op, Start)}
    jobs = [one.number for one in program.actors if one.kind == "job"]
    yield from _calls_at([(starts[one], times.died[one]) for one in jobs])


def _calls_at(uses: Iterable[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    """Of those that come for the same thing: who comes first, and whether it is free by then."""
    for (begun, ended), (other_begun, other_ended) in combinations(uses, 2):
        yield begun, other_begun
        yield begun, other_ended
        yield ended, other_begun
        yield ended, other_ended


def planned(seed: int, world: str) -> tuple[Program, tuple[Place, ...]]:
    """A program at random whose path is known, with the path."""
    random = Random(f"{world} {seed}")
    while True:
        program = drafted(random, world)
        times = times_of(program)
        if times is None or not SHORTEST <= times.died[0] <= LONGEST or not is_clear(program, times):
            continue
        path = path_of(program, times)
        if len(path) >= _LEAST_STEPS and len({actor for actor, _ in path}) > 1:
            return program, path


def units_of(program: Program) -> Mapping[Place, int]:
    """How long each step that takes time is by plan."""
    return {place: op.units for place, op in program.places() if isinstance(op, Sleep | Compute | Locked)}
