"""Raw records: what the recorders hand over, before it becomes a Trace.

Times here are absolute CLOCK_MONOTONIC nanoseconds (`time.monotonic_ns()`), which all processes
of a machine share. Children import this module, so it must not import numpy or IPython; all of
it pickles with the standard library alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from concmagic.problems import Problem
from concmagic.records.handed_over import CallsPart as CallsPart
from concmagic.records.handed_over import JobRecord as JobRecord
from concmagic.records.handed_over import MarkRecord as MarkRecord
from concmagic.records.handed_over import Origin as Origin
from concmagic.records.handed_over import RawCalls as RawCalls
from concmagic.records.handed_over import RawCode as RawCode
from concmagic.records.handed_over import StopLog as StopLog
from concmagic.records.handed_over import ThreadRecord as ThreadRecord

if TYPE_CHECKING:
    from concmagic.records.handed_over import LockLog, MessageLog, ModuleImport, ProcessLockLog

CodePlace = tuple[str, int]  # file and line; ("", 0) is not known
CodeLine = tuple[str, int, str]  # file, line, qualified name of the function


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a task was suspended, told at its wake-up by the frame it was suspended in."""

    reason: str
    detail: str  # a host, a path, a program, the name of a task that has no number
    file: str
    line: int
    name: str = ""  # of the lock, queue, event, … in the code that waits for it
    task: int | None = None  # number of the task it awaited, or that held the lock until then
    limit_ns: int | None = None  # how long a `wait_for` around it lets it take
    made: CodePlace = ("", 0)  # where a bare future was made
    shielded: bool = False  # `shield` was around it
    tasks: tuple[int, ...] = ()  # numbers of those of a `gather` or `wait` that had ended
    delay_ns: int | None = None  # how long a sleep was to take, or a wait at most
    count: int = 0  # how many are waited for
    phase: str = ""  # "open", "start", "close", "full", "cancelling", "shutdown"
    function: str = ""  # qualified name of the one whose `await` it is, at that file and line


@dataclass(frozen=True, slots=True)
class Wake:
    """A wake-up: the task became ready at `at_ns`, because of `cause`."""

    at_ns: int
    cause: Literal["task", "callback", "timer", "io", "thread", "self", "unknown"]
    task: int | None = None  # number of the task that woke it
    thread: int | None = None  # native id of the thread that woke it
    detail: str = ""
    wait: Wait | None = None  # what it had waited for until now
    cancelled: bool = False  # what it had waited for was cancelled


@dataclass(frozen=True, slots=True)
class MergedSteps:
    """A stretch whose steps were not kept one by one: it begins and ends with a step, its sums are exact."""

    start_ns: int
    end_ns: int
    steps: int
    running_ns: int
    ready_ns: int
    waiting_ns: int


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """Many alike tasks that are not told one by one: their sums are exact.

    The record of a task with the same number says what they are; its steps are some of theirs.
    """

    number: int
    members: int
    steps: int
    outcomes: tuple[tuple[str, int], ...]  # how they ended, and how many did
    exception: str  # of the first one that raised
    never_retrieved: int
    begins_ns: int  # the first one's creation
    ends_ns: int | None  # the last one's end; None: some go on
    starting_ns: int
    running_ns: int
    ready_ns: int
    waiting_ns: int
    waits: tuple[tuple[Wait | None, int, bytes], ...]  # for what, how long in all; int64 pairs, not of sleeps
    pairs: bytes  # int64 pairs: first step and end of each


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One asyncio task. `steps` are pairs (begin, end), in order.

    `wakes` hold every wake-up, in order; being scheduled for the first time is none.
    """

    number: int
    name: str  # the user's name, else "" (then the coroutine's name and a number are used)
    coroutine: str  # qualified name
    file: str
    line: int
    parent: int | None
    loop: int
    origin: Origin
    created_ns: int | None  # None: before the cell
    ended_ns: int | None
    outcome: str  # "returned", "raised ValueError", "cancelled", "left running", "destroyed" (while pending)
    exception: str
    steps: tuple[tuple[int, int], ...]
    wakes: tuple[Wake, ...]
    last_wait: Wait | None = None  # of one that still waits at the end
    merged: tuple[MergedSteps, ...] = ()  # in order, never over a step or another of them
    unretrieved: bool = False  # it raised, and nobody has asked for its exception
    sender: int | None = None  # native id of the thread that had it made, by `call_soon_threadsafe`
    by_loop: bool = False  # a callback of the loop made it, for a connection
    raised_in: tuple[CodeLine, ...] = ()  # the frames of its exception's traceback, innermost last
    awaiter: int | None = None  # number of the task whose TaskGroup it was in
    never_begun_by: int | None = None  # number of the task that cancelled it before its first step


class LoopRun(NamedTuple):
    """From and to when an event loop was run, and where the user's code did that."""

    begin_ns: int
    end_ns: int
    file: str = ""
    line: int = 0


class Asked(NamedTuple):
    """When a callback was due, or sent by another thread, and when the loop got round to it."""

    asked_ns: int
    begun_ns: int  # just before it was run
    thread: int  # native id of the thread that sent it; 0: its time had come


@dataclass(frozen=True, slots=True)
class LoopRecord:
    """One event loop and the callbacks on it that are no task's step: (begin, end, name)."""

    number: int
    native_id: int  # thread it ran in
    kernel: bool  # the kernel runs on it, or on a helper thread of its own
    callbacks: tuple[tuple[int, int, str], ...]
    merged: tuple[MergedSteps, ...] = ()  # callbacks not kept one by one
    runs: tuple[LoopRun, ...] = ()
    timers: tuple[int, ...] = ()  # the begins of those callbacks whose time had come
    asked: tuple[Asked, ...] = ()  # of callbacks that were due or sent at a known moment, the first ones


@dataclass(frozen=True, slots=True)
class LongStep:
    """A step or callback of more than a millisecond, and what its thread's CPU clock says of it."""

    native_id: int
    begin_ns: int
    end_ns: int
    cpu_ns: int  # at most half a millisecond of it was used just before
    core_wait_ns: int = 0  # it could have computed, but others had the cores; 0 where that is not told


@dataclass(frozen=True, slots=True)
class TaskLog:
    """All that asyncio told during the cell, in one process."""

    tasks: tuple[TaskRecord, ...] = ()
    loops: tuple[LoopRecord, ...] = ()
    merged: int = 0  # steps not kept one by one
    problems: tuple[Problem, ...] = ()
    cell_task: int | None = None  # number of the task that runs an awaiting cell
    unawaited: tuple[RawCode, ...] = ()  # coroutines that were collected and had never been awaited
    long_steps: tuple[LongStep, ...] = ()
    groups: tuple[TaskGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class SampleLog:
    """The operating system's view of threads, run-length coded by the sampler process.

    Columns of equal length (`array('q')`-compatible tuples would be slow: these are bytes of
    little-endian int64 each): one row is a stretch in which one thread's samples agreed.
    """

    native_id: bytes
    start_ns: bytes
    end_ns: bytes
    # -1 on a core or runnable; -2 gone; -3 the GIL; -4 another lock (futex); -5 asleep, it is not known why;
    # -6 runnable, no core free; -7 not of a thread but of process -native_id: who holds its GIL;
    # -8 a lock (futex) that processes can share;
    # else the system call's number
    code: bytes
    rate_hz: float = 0.0  # samples a second, as they were taken
    asked_hz: float = 0.0  # and as they would have been, had the machine let the sampler run in time
    # the futex's address for -4 and -8, the call's first argument (often a descriptor) for a call, the
    # holder's native id for -7 (0: it is free, -1: not known), else 0
    argument: bytes = b""
    cpu_ns: int = 0  # what the sampler itself used
    knows_gil: bool = False  # waits for the GIL were told from those for locks
    gil_switches: int | None = None  # how often the kernel's GIL went to another thread, by its own count
    details: tuple[tuple[int, int, str], ...] = ()  # (native id, start of its stretch, what it waits at)


@dataclass(frozen=True, slots=True)
class ProcessJoin:
    """A thread of its parent waited for a process's end, and saw it; `from_ns` to `until_ns`."""

    native_id: int
    from_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLife:
    """The life of one Python process that the cell used: the kernel itself, or a child.

    What the parent knows (start, end, exit) stands beside what the child handed over.
    """

    pid: int
    parent_pid: int | None
    name: str
    start_method: str  # "", "fork", "spawn", "forkserver", "subprocess"
    origin: Origin
    started_ns: int | None  # asked for by the parent; None: before the cell
    begun_ns: int | None  # its Python reached our hook
    target_ns: int | None  # the user's target began (imports and unpickling done)
    ended_ns: int | None
    exit_code: int | None  # negative: the signal that ended it
    main_native_id: int
    cpu_ns: int | None = None
    group: str = ""
    problems: tuple[Problem, ...] = ()
    starter: int | None = None  # native id of the parent's thread that started it
    done_ns: int | None = None  # its own program was over; from then to its end it handed over and exited
    born_ns: int | None = None  # the parent had forked or executed it
    loaded_ns: int | None = None  # our own imports in it were done
    loaded_cpu_ns: int | None = None  # what it had computed by then
    imports: tuple[ModuleImport, ...] = ()  # of a child, from before it unpickled what it was sent
    called_ns: int | None = None  # its imports and unpickling were done; from then to target_ns we got ready
    sent_bytes: int = 0  # what was pickled to start it
    sent_ns: int = 0  # the time that took
    changed: tuple[str, ...] = ()  # the notebook's variables that it changed in its own copy
    joins: tuple[ProcessJoin, ...] = ()
    observing_ns: int = 0  # what its messages and other calls took that are watched, as measured
    ended_by: str = ""  # "pool", "cell", "interrupt": meant it to end; "start": it could not be started


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord(ProcessLife):
    """A process's life, and the evidence seen in it: a field a row of `records/evidence_sources.py`."""

    threads: tuple[ThreadRecord, ...] = ()
    calls: RawCalls | None = None
    tasks: TaskLog | None = None
    jobs: tuple[JobRecord, ...] = ()
    marks: tuple[MarkRecord, ...] = ()
    locks: LockLog | None = None
    messages: MessageLog | None = None
    process_locks: ProcessLockLog | None = None
    prints: tuple[tuple[int, int], ...] = ()  # (moment, native id); of a child, of whole lines
    requests: tuple[int, int] | None = None  # to managers: how many, and how long their answers took in all
    stop: StopLog | None = None  # of the kernel, whose cell was stopped


@dataclass(frozen=True, slots=True)
class Recording:
    """All that was observed of one cell."""

    title: str
    model: str
    source: str
    cell_file: str  # the file name that the cell's code objects carry
    cells: dict[str, int]  # file names of the notebook's cells → execution count
    start_ns: int
    end_ns: int
    main_native_id: int
    processes: tuple[ProcessRecord, ...]  # the kernel's own first
    jobs: tuple[JobRecord, ...] = ()
    samples: SampleLog | None = None
    cpu_ns: int = 0  # of this process and its ended children
    kernel_cpu_ns: int = 0  # the part of it that native threads of the kernel's own messages used
    cores: int = 1
    detail: str = "auto"
    show_all: bool = False
    outcome: str = "returned"  # "raised ValueError", "interrupted"
    start_method: str = ""
    workers: int = 0  # that `-w` lets a `for` header have; 0: it was not given
    problems: tuple[Problem, ...] = ()
