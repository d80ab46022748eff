"""What findings are made of: of each lint the numbers, names and places that its sentences say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from concmagic.model.findings_of_pools import ChildDied as ChildDied
from concmagic.model.findings_of_pools import CopiesChanged as CopiesChanged
from concmagic.model.findings_of_pools import ForkWithThreads as ForkWithThreads
from concmagic.model.findings_of_pools import JobsFailedUnseen as JobsFailedUnseen
from concmagic.model.findings_of_pools import ManagerRequests as ManagerRequests
from concmagic.model.findings_of_pools import OfPools as OfPools
from concmagic.model.findings_of_pools import OneWorker as OneWorker
from concmagic.model.findings_of_pools import PieceKind as PieceKind
from concmagic.model.findings_of_pools import PoolOverhead as PoolOverhead
from concmagic.model.findings_of_pools import PoolStarved as PoolStarved
from concmagic.model.findings_of_pools import SmallProcesses as SmallProcesses
from concmagic.model.findings_of_pools import Spent as Spent
from concmagic.model.findings_of_pools import SubmitThenWait as SubmitThenWait
from concmagic.model.groups import Called
from concmagic.model.outcomes import Outcome
from concmagic.model.states import StateInterval
from concmagic.model.trace import Named, Resource


@dataclass(frozen=True, slots=True)
class LoopHold:
    """What held an event loop: the longest state of a step, and which task's step it was."""

    task: str
    state: StateInterval
    call: str  # the call as it stands in the cell; "" if it cannot be found there
    named: Named
    unit: Literal["task", "callback"] = "task"
    others: int = 0  # tasks whose steps held it in the same way


@dataclass(frozen=True, slots=True)
class BlockedLoop:
    """blocked-event-loop: the loop was held while others were ready."""

    held_ns: int
    wall_ns: int
    hold: LoopHold
    times: int
    ready: int  # how many at most were ready at once
    kept_waiting: tuple[Called, ...]


@dataclass(frozen=True, slots=True)
class SmallBlocks:
    """many-small-blocks: many short blocking calls at one place."""

    held_ns: int
    wall_ns: int
    hold: LoopHold
    times: int
    kept_waiting: tuple[Called, ...]


@dataclass(frozen=True, slots=True)
class StarvedTask:
    """starved-task: a task that seldom had its turn."""

    task: Called
    ready_ns: int
    life_ns: int


@dataclass(frozen=True, slots=True)
class GilBound:
    """gil-bound: threads that compute, one at a time."""

    threads: int
    contended_ns: int
    wall_ns: int
    used: float  # cores, on average
    cores: int
    saved_ns: float  # by processes, at most


@dataclass(frozen=True, slots=True)
class GilHeld:
    """gil-held-while-waiting: a thread that waited and kept the GIL."""

    name: str
    reason: str
    file: str
    line: int
    kept_ns: int
    wall_ns: int
    others: int  # threads that wanted it


@dataclass(frozen=True, slots=True)
class LockConvoy:
    """lock-convoy: many waits for one lock, which is known by itself or by the line of the waits."""

    lock: Resource | None
    file: str
    line: int
    threads: int
    waits: int
    wait_ns: int
    contended_ns: int
    wall_ns: int
    kind: str = "thread"  # of those that waited, or "task"


@dataclass(frozen=True, slots=True)
class FewCores:
    """few-cores: more workers that compute than cores."""

    workers: int
    kind: Literal["thread", "process", "worker"]
    cores: int
    lasting_ns: float
    wall_ns: int


@dataclass(frozen=True, slots=True)
class UnevenWork:
    """uneven-work: one worker computed long after the others had ended."""

    last: str
    alone_ns: int
    wall_ns: int
    workers: int


@dataclass(frozen=True, slots=True)
class Oversubscribed:
    """oversubscribed: libraries' own threads beside workers that fill the cores already."""

    native: float  # cores, on average
    workers: float  # that computed at once, on average
    cores: int


@dataclass(frozen=True, slots=True)
class BusyMachine:
    """busy-machine: a core was wanted, and the cell itself did not have them all."""

    lost_ns: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class SequentialAwaits:
    """sequential-awaits: waits one after the other that need not be."""

    times: int
    calls: tuple[tuple[int, str], ...]  # the line of each, and the call as it stands there
    took_ns: int
    saved_ns: int
    in_loop: bool
    is_kept: bool  # whether the cell keeps what each of them returns


@dataclass(frozen=True, slots=True)
class Capped:
    """concurrency-capped: a semaphore that bounds how many get on at once."""

    most: int
    name: str  # of the semaphore; "" is not known
    file: str
    line: int
    queued: int
    wait_ns: int
    by: Literal["semaphore", "connections", "workers"] = "semaphore"


@dataclass(frozen=True, slots=True)
class NeverAwaited:
    """never-awaited: a coroutine that never ran."""

    name: str
    times: int
    line: int  # 0 is not known


@dataclass(frozen=True, slots=True)
class NeverRetrieved:
    """exception-never-retrieved: a task that failed unseen; of many alike ones how they all ended."""

    task: Called
    outcome: Outcome
    outcomes: tuple[tuple[Outcome, int], ...] = ()


@dataclass(frozen=True, slots=True)
class WaitLink:
    """One task or thread that waits, for what, and whom that needs."""

    name: str
    wait: StateInterval
    is_thread: bool
    whom: str  # the next one in the chain; "" is nobody, or not known
    named: Named


@dataclass(frozen=True, slots=True)
class Deadlock:
    """deadlock: a circle of waits, or waits that nobody is left to end."""

    links: tuple[WaitLink, ...]
    kind: Literal["circle", "own loop", "nobody left"] = "circle"
    lasted_ns: int = 0
    wall_ns: int = 0
    is_over: bool = False  # a timeout of its own ended it, and the cell went on


@dataclass(frozen=True, slots=True)
class LeftRunning:
    """left-running: what goes on after the cell."""

    left: tuple[Called, ...]
    was_stopped: bool = False  # the cell, from outside


@dataclass(frozen=True, slots=True)
class ThreadDied:
    """exception-in-thread: a thread that ended by an exception, and the way to where it was raised."""

    name: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class CheckFailed:
    """A lint that could not be asked."""

    lint: str
    kind: str  # of the exception
    text: str


Values = (
    BlockedLoop
    | SmallBlocks
    | StarvedTask
    | GilBound
    | GilHeld
    | LockConvoy
    | FewCores
    | UnevenWork
    | Oversubscribed
    | BusyMachine
    | SequentialAwaits
    | Capped
    | NeverAwaited
    | NeverRetrieved
    | Deadlock
    | LeftRunning
    | ThreadDied
    | OfPools
    | CheckFailed
)
