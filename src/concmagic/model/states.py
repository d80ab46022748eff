"""States of tracks: stretches of one state with what is known of it, and how such are laid over each other.

The stronger evidence wins, the gaps are UNKNOWN.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from operator import attrgetter
from typing import Protocol, TypeVar

from concmagic.model.reasons import REASONS


class State(Enum):
    """What a track was doing; one set for tasks, threads and processes."""

    RUNNING = "running"
    BLOCKING = "blocking"
    READY = "ready"
    WAITING = "waiting"
    STARTING = "starting"
    TRACING = "tracing"  # what concmagic made it do or wait for: part of the cost, and of no other sum
    UNKNOWN = "unknown"

    __hash__ = object.__hash__  # Enum's own is written in Python, and asked millions of times


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a state beside its reason; states that have it in common share one object.

    Whoever has no track of its own (a callback of a loop, a thread of the kernel's) is a negative id:
    -1 is the first of the trace's `others`.
    """

    resource: int | None = None  # what is waited for: an index into the trace's `resources`
    holders: tuple[int, ...] = ()  # ids of who had it, the last one last; of a GIL or loop: who has it
    waits_for: tuple[int, ...] = ()  # ids of who can end the wait
    more: int = 0  # how many others there were beside or before the holders
    count: int = 0  # how many things are waited for, or how many steps or tasks the state stands for
    delay_ns: int | None = None  # how long a sleep was to take, or a wait at most
    limit_ns: int | None = None  # the timeout around it
    phase: str = ""  # of a start: "python", "imports", …; of another wait: "open", "close", "full", …
    job: str = ""  # the label of the job whose result is waited for
    call: str = ""  # the C function in which a longer call was; of imports the module
    shielded: bool = False  # `asyncio.shield` was around what is awaited


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class StateInterval:
    """One stretch of one state; `reason` and `facts` say why, `file` and `line` where."""

    start_ns: int
    end_ns: int
    state: State
    reason: str = ""  # "sleep", "GIL", "Lock", "core", "loop": a short, stable word
    facts: Facts = NO_FACTS
    file: str = ""  # "" is this cell; "In[12]" another cell; else a short file name, never absolute
    line: int = 0  # 0 is not known

    @property
    def length_ns(self) -> int:
        """How long it lasts."""
        return self.end_ns - self.start_ns

    @property
    def pair(self) -> tuple[int, int]:
        """When it began and when it ended."""
        return self.start_ns, self.end_ns

    @property
    def family(self) -> str:
        """Of a wait what it is for: "outside", "each other" or "idle"; "" is not known."""
        row = REASONS.get(self.reason) if self.state is State.WAITING else None
        return "" if row is None else row.family

    @property
    def resource(self) -> int | None:
        """What is waited for: an index into the trace's resources."""
        return self.facts.resource

    @property
    def holders(self) -> tuple[int, ...]:
        """The ids of the tracks that had it meanwhile, in order."""
        return self.facts.holders

    @property
    def waits_for(self) -> tuple[int, ...]:
        """The ids of the tracks that can end the wait."""
        return self.facts.waits_for

    @property
    def delay_ns(self) -> int | None:
        """How long a sleep was to take."""
        return self.facts.delay_ns

    @property
    def phase(self) -> str:
        """Which part of a start it is."""
        return self.facts.phase


@dataclass(frozen=True, slots=True)
class Resource:
    """What tracks wait for that is no track: a lock, a queue, a pool, a host, a file."""

    kind: str  # "lock", "semaphore", "condition", "event", "barrier", "queue", "pool", "host", "file", …
    name: str = ""  # "" where none is known
    file: str = ""  # where it was made
    line: int = 0
    number: int = 0  # which of those made there, from 1
    held: tuple[tuple[int, int, int], ...] = ()  # (from, to, id of the track that had it), in order
    queue: tuple[tuple[int, int, int], ...] = ()  # (moment, how many wait, how many are inside), in order


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that belongs to a track and changes: from each moment on it is so much."""

    name: str
    unit: str  # "B", "requests"; "" of what is only counted
    steps: tuple[tuple[int, int], ...] = ()  # (moment, value), in order


# Counters of processes: what they asked managers for, and how long they waited for the answers in all.
REQUESTS, ANSWERS = "requests to managers", "waits for managers"

Layer = Sequence[StateInterval]  # sorted by start, without overlap
_END = attrgetter("end_ns")


class _Stretch(Protocol):
    @property
    def start_ns(self) -> int: ...

    @property
    def end_ns(self) -> int: ...


S = TypeVar("S", bound=_Stretch)


def cover(start_ns: int, end_ns: int, *layers: Layer) -> tuple[StateInterval, ...]:
    """States from start to end without gap or overlap; of the layers, later ones win.

    What no layer tells is UNKNOWN. A track without length has no states.
    """
    if end_ns <= start_ns:
        return ()
    used = [layer for layer in layers if layer]
    if len(used) == 1 and _is_cover(used[0], start_ns, end_ns):
        return tuple(used[0])
    states: list[StateInterval] = [StateInterval(start_ns, end_ns, State.UNKNOWN)]
    for layer in used:
        states = _overlay(states, layer)
    return tuple(join_equal(states))


def _is_cover(layer: Layer, start_ns: int, end_ns: int) -> bool:
    if layer[0].start_ns != start_ns or layer[-1].end_ns != end_ns:
        return False
    return all(one.end_ns == following.start_ns for one, following in pairwise(layer))


def cut(interval: StateInterval, start_ns: int, end_ns: int) -> StateInterval:
    """The part of an interval between two times."""
    if interval.start_ns == start_ns and interval.end_ns == end_ns:
        return interval
    rest = (interval.state, interval.reason, interval.facts, interval.file, interval.line)
    return StateInterval(start_ns, end_ns, *rest)


def join_equal(states: Iterable[StateInterval]) -> list[StateInterval]:
    """Neighbours that say the same, as one."""
    joined: list[StateInterval] = []
    for interval in states:
        if joined and joined[-1].end_ns == interval.start_ns and _same(joined[-1], interval):
            joined[-1] = cut(interval, joined[-1].start_ns, interval.end_ns)
        else:
            joined.append(interval)
    return joined


def _same(one: StateInterval, other: StateInterval) -> bool:
    return (
        one.state is other.state
        and one.reason == other.reason
        and (one.facts is other.facts or one.facts == other.facts)
        and one.line == other.line
        and one.file == other.file
    )


def _overlay(base: list[StateInterval], top: Layer) -> list[StateInterval]:
    """`top` over `base`, cut to what `base` covers."""
    out: list[StateInterval] = []
    first = 0
    for below in base:
        at = below.start_ns
        while first < len(top) and top[first].end_ns <= at:
            first += 1
        index = first
        while index < len(top) and top[index].start_ns < below.end_ns:
            above = top[index]
            begin, end = max(above.start_ns, at), min(above.end_ns, below.end_ns)
            if begin > at:
                out.append(cut(below, at, begin))
            if end > begin:
                out.append(cut(above, begin, end))
                at = end
            index += 1
        if at < below.end_ns:
            out.append(cut(below, at, below.end_ns))
    return out


def in_order(states: Iterable[StateInterval]) -> tuple[StateInterval, ...]:
    """States by their starts; what begins inside an earlier one gives way."""
    kept: list[StateInterval] = []
    for one in sorted(states, key=attrgetter("start_ns")):
        if not kept or one.start_ns >= kept[-1].end_ns:
            kept.append(one)
    return tuple(kept)


def overlapping(pieces: Sequence[S], start_ns: int, end_ns: int) -> Iterator[S]:
    """Those of what stands one after the other that overlap a stretch, found by bisection."""
    for index in range(bisect_right(pieces, start_ns, key=_END), len(pieces)):
        piece = pieces[index]
        if piece.start_ns >= end_ns:
            return
        yield piece


def within(layer: Layer, start_ns: int, end_ns: int) -> list[StateInterval]:
    """The parts of a layer between two times."""
    return [
        cut(piece, max(piece.start_ns, start_ns), min(piece.end_ns, end_ns))
        for piece in overlapping(layer, start_ns, end_ns)
    ]
