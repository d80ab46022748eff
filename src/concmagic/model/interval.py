"""What tracks are made of: stretches of one state, the facts that many share, resources, counters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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
    call: str = ""  # the C function in which a longer call was
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
