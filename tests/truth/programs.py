"""Random programs of a few actors that wait for each other, as data.

One is drawn as a single order in which all its steps can happen, so that nobody waits for ever, and dealt out
to its actors. An actor is the cell, a thread, a task, a process or a job of a pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

Place = tuple[int, int]  # an actor, and which of its steps


@dataclass(frozen=True, slots=True)
class Sleep:
    """It takes time by itself."""

    units: int


@dataclass(frozen=True, slots=True)
class Compute:
    """It takes time on a core."""

    units: int


@dataclass(frozen=True, slots=True)
class Locked:
    """It takes time with a lock."""

    lock: int
    units: int


@dataclass(frozen=True, slots=True)
class Tell:
    """It sets an event, or puts into a queue, of which it is the only one."""

    signal: int


@dataclass(frozen=True, slots=True)
class Hear:
    """It waits for the event, or gets from the queue."""

    signal: int


@dataclass(frozen=True, slots=True)
class Meet:
    """It waits at a barrier."""

    barrier: int


@dataclass(frozen=True, slots=True)
class Start:
    """It starts an actor."""

    actor: int


@dataclass(frozen=True, slots=True)
class Join:
    """It waits for the ends or results of actors."""

    actors: tuple[int, ...]


Op = Sleep | Compute | Locked | Tell | Hear | Meet | Start | Join


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does what, one after the other."""

    number: int
    kind: str  # "cell", "thread", "task", "process", "job"
    parent: int
    ops: tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """All actors, the cell first."""

    world: str
    actors: tuple[Actor, ...]
    signals: tuple[str, ...]  # how each is told: "event", "queue", ...
    parties: tuple[int, ...]  # of each barrier
    workers: int  # of the pool that does all jobs
    joining: str = ""  # how several are joined

    def places(self) -> Iterator[tuple[Place, Op]]:
        """Every step of every actor."""
        for actor in self.actors:
            for number, op in enumerate(actor.ops):
                yield (actor.number, number), op


@dataclass(frozen=True, slots=True)
class World:
    """What programs of one model are made of."""

    magic: str
    kinds: tuple[str, ...]  # of those that are started
    signals: tuple[str, ...]
    unit_ms: int
    computes: bool = False
    joining: tuple[str, ...] = ("",)


WORLDS = {
    "threads": World(
        "%%threads -q",
        ("thread", "thread", "job"),
        ("event", "queue", "simple queue", "condition", "semaphore"),
        40,
        computes=True,
        joining=("", "wait", "as_completed"),
    ),
    "tasks": World(
        "%%asyncio_trace -q",
        ("task", "task", "task", "job"),
        ("event", "queue", "condition", "semaphore", "future"),
        40,
        joining=("", "gather", "wait", "as_completed"),
    ),
    "processes": World(
        "%%procs -q", ("process", "process", "job"), ("event", "queue", "simple queue", "pipe"), 60
    ),
    "mixed": World("%%timeline -q", ("thread", "process", "thread"), ("event", "simple queue", "pipe"), 60),
}
_MOST_ACTORS = 5  # beside the cell
_DEPTH = 2


@dataclass(slots=True)
class Draft:
    """A program while it is drawn."""

    random: Random
    world: World
    kinds: list[str] = field(default_factory=lambda: ["cell"])
    parents: list[int] = field(default_factory=lambda: [-1])
    ops: list[list[Op]] = field(default_factory=lambda: [[]])
    live: list[int] = field(default_factory=lambda: [0])
    signals: list[str] = field(default_factory=list)
    parties: list[int] = field(default_factory=list)

    def one(self) -> None:
        """Draw one step, or those of several that belong together."""
        actor = self.random.choice(self.live)
        (act,) = self.random.choices(
            (self._sleep, self._lock, self._signal, self._meet, self._start, self._join), (4, 3, 5, 1, 4, 1)
        )
        act(actor)

    def close(self, actor: int) -> None:
        """Let an actor come to its end: nobody is left whom it started."""
        for child in self._open_children(actor):
            self.close(child)
        children = self._open_children(actor)
        self.random.shuffle(children)
        if children:
            self.ops[actor].append(Join(tuple(children)))
            self.live = [one for one in self.live if one not in children]

    def _open_children(self, actor: int) -> list[int]:
        return [one for one in self.live if self.parents[one] == actor]

    def _sleep(self, actor: int) -> None:
        units = self.random.randint(1, 4)
        computes = self.world.computes and self.random.random() < 0.15
        self.ops[actor].append(Compute(units) if computes else Sleep(units))

    def _lock(self, actor: int) -> None:
        if self.kinds[actor] != "job" or self.world.computes:
            self.ops[actor].append(Locked(0, self.random.randint(1, 3)))

    def _signal(self, actor: int) -> None:
        others = [one for one in self.live if one != actor and self._speaks(one)]
        if others and self._speaks(actor):
            signal = len(self.signals)
            self.signals.append(self.random.choice(self.world.signals))
            self.ops[actor].append(Tell(signal))
            self.ops[self.random.choice(others)].append(Hear(signal))

    def _meet(self, actor: int) -> None:
        able = [one for one in self.live if self._speaks(one)]
        if len(able) > 1 and self._speaks(actor):
            parties = self.random.sample(able, self.random.randint(2, min(3, len(able))))
            for one in parties:
                self.ops[one].append(Meet(len(self.parties)))
            self.parties.append(len(parties))

    def _start(self, actor: int) -> None:
        if len(self.kinds) > _MOST_ACTORS or not self._may_start(actor):
            return
        child = len(self.kinds)
        kinds = self.world.kinds
        self.kinds.append(self.random.choice([kind for kind in kinds if actor == 0 or kind != "job"]))
        self.parents.append(actor)
        self.ops.append([])
        self.live.append(child)
        self.ops[actor].append(Start(child))
        self._sleep(child)

    def _join(self, actor: int) -> None:
        children = self._open_children(actor)
        if children:
            child = self.random.choice(children)
            self.close(child)
            self.ops[actor].append(Join((child,)))
            self.live.remove(child)

    def _may_start(self, actor: int) -> bool:
        depth = 0
        while actor > 0:
            if self.kinds[actor] == "job":
                return False
            actor, depth = self.parents[actor], depth + 1
        return depth < _DEPTH

    def _speaks(self, actor: int) -> bool:
        """A job of a pool of another kind of workers shares no objects with the rest: it only takes time."""
        return self.kinds[actor] != "job" or self.world.computes


def drafted(random: Random, name: str) -> Program:
    """A program at random; whether its path is known is for the plan to say."""
    world = WORLDS[name]
    draft = Draft(random, world)
    for _ in range(random.randint(10, 22)):
        draft.one()
    draft.close(0)
    actors = [
        Actor(number, kind, parent, tuple(ops))
        for number, (kind, parent, ops) in enumerate(zip(draft.kinds, draft.parents, draft.ops, strict=True))
    ]
    return Program(
        name,
        tuple(actors),
        tuple(draft.signals),
        tuple(draft.parties),
        random.randint(1, 3),
        random.choice(world.joining),
    )
