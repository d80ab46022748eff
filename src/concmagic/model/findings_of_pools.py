"""What findings about processes, pools and their jobs are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from concmagic.model.outcomes import Outcome
from concmagic.problems import Problem


@dataclass(frozen=True, slots=True)
class PoolOverhead:
    """pool-overhead: a pool that took longer than its jobs."""

    workers: int
    start_ns: int
    pickling_ns: int
    jobs: int
    work_ns: int
    span_ns: int
    # Its start, what its workers imported, the size of what is sent, or the number of jobs.
    costly: Literal["start", "imports", "data", "many"]
    imports_ns: int = 0  # of the worker that imported longest, before and between its jobs
    importers: int = 0  # workers that did
    modules: tuple[str, ...] = ()  # of those imports that took long
    job_ns: float = 0.0  # of a tiny job, …
    send_ns: float = 0.0  # … and from one to the next on one worker; 0 is that they are not tiny
    a_chunk: int = 1  # calls that each is made of
    at_once: int = 0  # so many calls in one would take as long as sending it


@dataclass(frozen=True, slots=True)
class SmallProcesses:
    """pool-overhead, too: processes that took longer to start than they computed."""

    processes: int
    start_ns: int
    work_ns: int


@dataclass(frozen=True, slots=True)
class ChildDied:
    """child-died: a child process that did not end well."""

    name: str
    outcome: Outcome
    job: str  # what it was at; "" if nothing
    is_command: bool
    problems: tuple[Problem, ...] = ()  # what it told of a start that failed


@dataclass(frozen=True, slots=True)
class ManagerRequests:
    """manager-requests: processes that waited for many answers of a manager."""

    processes: int
    requests: int
    waited_ns: int  # of the one that waited longest
    wall_ns: int


@dataclass(frozen=True, slots=True)
class CopiesChanged:
    """copies-changed: variables that children changed in their copies."""

    variables: tuple[str, ...]
    processes: int


@dataclass(frozen=True, slots=True)
class ForkWithThreads:
    """fork-with-threads: a fork beside running threads."""

    child: str
    threads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spent:
    """What most of some time went into."""

    state: str
    reason: str
    phase: str
    file: str
    line: int


PieceKind = Literal["job", "task", "thread", "process"]


@dataclass(frozen=True, slots=True)
class SubmitThenWait:
    """submit-then-wait: jobs, tasks, threads or processes, each begun when the one before had ended."""

    function: str  # "" is not known
    kind: PieceKind  # of what was waited for
    by_task: bool  # who waited
    times: int
    line: int
    took_ns: int
    saved_ns: int
    mostly: Spent | None = None  # by those who worked


@dataclass(frozen=True, slots=True)
class JobsFailedUnseen:
    """job-failed-unseen: jobs that raised, and whose futures were thrown away."""

    job: str  # the first of them, by its label
    outcome: Outcome  # of that
    failed: int
    line: int  # at which they were handed over; 0 is several


@dataclass(frozen=True, slots=True)
class OneWorker:
    """one-worker-got-all: a worker that had nearly all calls of its pool, while the others waited."""

    worker: str
    calls: int  # that it had
    of_all: int
    work_ns: int
    others: int
    idle_ns: int  # of one of them, on average, meanwhile
    a_chunk: int  # calls of its largest chunk; 1 is that there was none
    chunk: str  # the label of that; "" is none
    workers: int


@dataclass(frozen=True, slots=True)
class PoolStarved:
    """pool-starved: all workers of a pool wait for results of jobs behind them."""

    workers: int
    pool: str
    behind: tuple[str, ...]  # the jobs that never began, by their labels
    line: int


OfPools = (
    ChildDied
    | PoolOverhead
    | SmallProcesses
    | CopiesChanged
    | ForkWithThreads
    | ManagerRequests
    | SubmitThenWait
    | OneWorker
    | JobsFailedUnseen
    | PoolStarved
)
