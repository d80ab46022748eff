"""The data: a Trace holds Tracks, their states, slices and the flows between them.

Times are integer nanoseconds from the start of the cell, on one clock, children included.
Recorded facts only: what can be computed from them is computed in `concmagic.analysis`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Literal

import numpy as np
import numpy.typing as npt

from concmagic.model.groups import Called as Called
from concmagic.model.groups import Flights as Flights
from concmagic.model.groups import Group as Group
from concmagic.model.groups import Hidden as Hidden
from concmagic.model.groups import Int64s as Int64s
from concmagic.model.groups import LoopSteps as LoopSteps
from concmagic.model.groups import Stop as Stop
from concmagic.model.groups import no_times
from concmagic.model.outcomes import RETURNED, UNKNOWN
from concmagic.model.outcomes import Function as Function
from concmagic.model.outcomes import Outcome as Outcome
from concmagic.model.states import NO_FACTS as NO_FACTS
from concmagic.model.states import Counter as Counter
from concmagic.model.states import Facts as Facts
from concmagic.model.states import Resource as Resource
from concmagic.model.states import State as State
from concmagic.model.states import StateInterval as StateInterval
from concmagic.problems import Problem

TrackKind = Literal[
    "process", "thread", "task", "loop", "gil", "resource", "interpreter", "greenlet", "host", "worker"
]
Role = Literal["work", "machinery"]
FlowKind = Literal["spawn", "wake", "submit", "result", "send", "release", "join"]
Model = Literal["asyncio", "threads", "procs", "timeline"]

NAMES: Mapping[TrackKind, str] = {"loop": "event loop", "gil": "GIL"}  # of tracks that nobody has named

Int32s = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Track:
    """One process, thread, task, event loop or GIL, from its start to its end.

    `states` cover the track from `start_ns` to its end without gap or overlap.
    """

    id: int
    kind: TrackKind
    name: str
    parent: int | None  # the id of the track it is drawn under: task → loop or task, thread → process
    role: Role
    start_ns: int
    end_ns: int | None  # None: still alive when the cell ended
    states: tuple[StateInterval, ...] = ()
    outcome: Outcome = UNKNOWN
    switches: tuple[int, int] | None = None  # off its core by itself, and not by itself; the kernel's counts
    pid: int = 0
    native_id: int = 0  # the operating system's thread id; 0 where there is none
    daemon: bool = False
    group: str = ""  # tracks of one family: a pool's name; "" is none
    unit: bool = False  # whether it is a unit of work that concurrency counts (design section 7)
    host: bool = (
        False  # the cell's own task or main thread: work only while it computes, or if nothing else is
    )
    cpu_ns: int | None = None  # from its own CPU clock; None is not known
    file: str = ""  # where it was made or what it runs
    line: int = 0
    problems: tuple[Problem, ...] = ()  # of a process: what it told of a start that failed
    start_method: str = ""  # of a process: "fork", "spawn", "forkserver", "loky", "subprocess"
    changed: tuple[str, ...] = ()  # of a process: the notebook's variables that it changed in its own copy
    unretrieved: bool = False  # a task that raised, and nobody has asked for its exception
    cancelled_by: int | None = None  # of a task: the id of who cancelled it, also of one without a track
    stopped_by: str = ""  # and what did, where that has no name: "interrupt", "timeout", "timer", "callback"
    counters: tuple[Counter, ...] = ()

    @property
    def outcome_detail(self) -> str:
        """The exception that ended it, in words: "ValueError: no"."""
        return self.outcome.message

    @property
    def traceback(self) -> tuple[Function, ...]:
        """The way to what it raised: the user's functions, innermost last."""
        return self.outcome.traceback

    def until(self, wall_ns: int) -> int:
        """When it ended: with the cell if it went on."""
        return wall_ns if self.end_ns is None else self.end_ns


@dataclass(frozen=True, slots=True)
class Flow:
    """This made that happen: an arrow from one track to another."""

    kind: FlowKind
    source: int
    source_ns: int
    target: int
    target_ns: int
    detail: str = ""  # the name of what did it, or of the job that was handed over
    size: int | None = None  # of a message between processes, in bytes
    pickled_ns: int = 0  # how long pickling it took
    resource: int | None = None  # the lock that was let go: an index into the trace's `resources`


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment or a stretch that the user named with `concmagic.mark`."""

    label: str
    start_ns: int
    end_ns: int
    track: int | None = None


@dataclass(frozen=True, slots=True)
class Print:
    """A moment in which a track printed or displayed something."""

    at_ns: int
    track: int


@dataclass(frozen=True, slots=True)
class Job:
    """One item of a pool or of a `for` header, on the worker that ran it."""

    index: int
    label: str
    track: int | None  # the worker; None: it never began
    submit_ns: int
    start_ns: int | None
    end_ns: int | None
    outcome: Outcome = UNKNOWN
    count: int = 1  # so many, one after the other on one worker, merged: their sums are exact
    running_ns: int = 0  # of merged ones: the sum of their runs
    queued_ns: int = 0  # and of their times in the queue
    failed: int = 0  # and how many of them raised; the outcome is that of one of these
    items: int = 1  # the calls that it is made of: several in a chunk; of merged jobs not known

    @property
    def work_ns(self) -> int:
        """How long it ran; 0 where that is not known."""
        if self.count > 1:
            return self.running_ns
        return 0 if self.start_ns is None or self.end_ns is None else self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock, or what is made of locks, that threads waited for or took; the totals are exact."""

    name: str  # "" where it has none
    kind: str  # "Lock", "RLock", "Condition", "Event", "Semaphore", "Barrier", "Queue", "SimpleQueue"
    taken: int = 0  # how often; of locks only
    waits: int = 0  # that were noticed: too short ones are not
    wait_ns: int = 0
    resource: int | None = None  # where it was made tells this one of the trace's `resources`


def _no_ids() -> Int32s:
    return np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """Function calls as columns of equal length, sorted by track, then start."""

    track: Int32s = field(default_factory=_no_ids)
    start_ns: Int64s = field(default_factory=no_times)
    end_ns: Int64s = field(default_factory=no_times)
    depth: Int32s = field(default_factory=_no_ids)  # among the slices shown, 0 is outermost
    function: Int32s = field(default_factory=_no_ids)  # index into `functions`
    functions: tuple[Function, ...] = ()

    def __len__(self) -> int:
        return len(self.start_ns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Slices):
            return NotImplemented
        return self.functions == other.functions and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("track", "start_ns", "end_ns", "depth", "function")
        )

    def __hash__(self) -> int:
        return hash((len(self), self.functions))


@dataclass(frozen=True, slots=True)
class Build:
    """What ran: versions and the machine, so that a saved trace explains itself."""

    python: str = ""
    implementation: str = ""
    free_threaded: bool = False
    platform: str = ""
    concmagic: str = ""
    viztracer: str = ""
    cores: int = 1  # that this kernel may use: affinity and cgroup quota
    start_method: str = ""
    workers: int = 0  # that `-w` let the items of a `for` header have; 0: it was not given
    sampling_ns: int = 0  # how often the operating system was asked what threads do; 0: not at all
    sampling_asked_ns: int = 0  # how often it would have been, had the machine let the sampler run in time
    gil_asked: bool = False  # whether a wait for the GIL could be told from other waits


@dataclass(frozen=True, slots=True)
class Cost:
    """What tracing itself took and what it lost; the estimate is calibrated, not measured."""

    seconds: float = 0.0
    events: int = 0
    calls_until_ns: int | None = None  # from then on calls were not recorded; None: to the end
    merged: int = 0  # slices merged or dropped before they reached this trace
    problems: tuple[Problem, ...] = ()  # what was lost or could not be asked
    sampler_s: float = 0.0  # CPU time of the process that samples, beside the cell
    calls_impossible: bool = False  # on a free-threaded build none are recorded, by default
    counted_until_ns: int | None = None  # from then on uses of locks and queues were not; None: to the end
    steps_without_calls: int = 0  # they began with an exception, which no tracer of calls can follow here


@dataclass(frozen=True)
class Trace:
    """One run of one cell."""

    title: str
    model: Model
    wall_ns: int
    tracks: tuple[Track, ...] = ()
    flows: tuple[Flow, ...] = ()
    marks: tuple[Mark, ...] = ()
    jobs: tuple[Job, ...] = ()
    locks: tuple[Lock, ...] = ()
    resources: tuple[Resource, ...] = ()
    others: tuple[str, ...] = ()  # names of who has no track, by the negative ids of facts
    prints: tuple[Print, ...] = ()
    slices: Slices = field(default_factory=Slices)
    source: str = ""
    outcome: Outcome = RETURNED  # of the cell itself
    cpu_s: float = nan  # CPU time of the process and its ended children during the cell
    python_cpu_s: float = nan  # the part of it that its Python threads used
    build: Build = field(default_factory=Build)
    cost: Cost = field(default_factory=Cost)
    hidden: Hidden = field(default_factory=Hidden)
    gil_switches: int | None = None  # how often the kernel's GIL went to another thread; None is not known
    unawaited: tuple[Function, ...] = ()  # of each coroutine that was never awaited, its function
    loops: tuple[LoopSteps, ...] = ()
    groups: tuple[Group, ...] = ()
    flights: Flights = field(default_factory=Flights)
    stop: Stop | None = None  # None: nothing stopped it from outside, or nobody could look

    @property
    def wall_s(self) -> float:
        """How long the cell ran, in seconds."""
        return self.wall_ns / 1e9

    def called(self) -> dict[int, Called]:
        """What each track is called, by its id."""
        members = {group.track: group.members for group in self.groups}
        return {track.id: Called(track.name, members.get(track.id, 1)) for track in self.tracks}

    def name_of(self, who: int | None) -> str:
        """The name of a track, or of one that has none and so a negative id; "" if it is not known."""
        if who is None or who < 0:
            return "" if who is None or -who > len(self.others) else self.others[-1 - who]
        return next((track.name for track in self.tracks if track.id == who), "")


@dataclass(frozen=True, slots=True)
class Named:
    """What states refer to by number: tracks by name, which of them are tasks, resources."""

    names: Mapping[int, str]
    tasks: frozenset[int] = frozenset()
    resources: tuple[Resource, ...] = ()

    @classmethod
    def of(cls, trace: Trace) -> Named:
        """The names of one trace."""
        names = {track.id: track.name for track in trace.tracks}
        names |= {-1 - place: name for place, name in enumerate(trace.others)}
        tasks = frozenset(track.id for track in trace.tracks if track.kind == "task")
        return cls(names, tasks, trace.resources)
