"""Raw records that each process hands over: its threads, jobs, marks and calls, its messages, its locks.

Made late: a child that starts does not wait for their classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from concmagic.problems import Problem

# "user": the cell or what it called made it. "machinery": a library's helper that no user made.
# "kernel": the kernel's own. "earlier": an earlier cell made it, or what that left running did, and it did
# nothing for this one. "library": a library's own, unless it ran a line of the user's. "ours":
# concmagic's own.
Origin = Literal["user", "machinery", "kernel", "earlier", "library", "ours"]


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """One thread of one process."""

    native_id: int
    ident: int
    name: str
    daemon: bool
    origin: Origin
    started_ns: int | None  # Thread.start() was called; None: before the cell
    begun_ns: int | None  # it ran for the first time
    ended_ns: int | None  # None: alive at the cell's end
    starter: int | None  # native id of the thread that started it
    group: str = ""  # the pool it belongs to
    cpu_ns: int | None = None  # its CPU clock over the cell
    cpu_by_moment: tuple[tuple[int, int], ...] = ()  # pairs (monotonic ns, its CPU clock ns), where read
    exception: str = ""  # "ValueError: …" if it died of one
    frames: tuple[tuple[str, int, str], ...] = ()  # of that: file, line and function, outermost first
    switches: tuple[int, int] | None = None  # off its core by itself, and not by itself; the kernel's counts
    served: tuple[tuple[int, int], ...] = ()  # when it ran the user's code for a request or a log's record
    is_server: bool = False  # it waits for such


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job of a pool, or one item of a `for` header."""

    index: int
    label: str
    submitted_ns: int
    started_ns: int | None
    ended_ns: int | None
    outcome: str  # "returned", "raised X", "cancelled", "not started"
    pid: int = 0  # where it ran; 0: it never began
    native_id: int = 0
    task: int | None = None  # number of the task that ran it, under asyncio
    submitter: int = 0  # native id of the thread that submitted it
    count: int = 1  # of very many jobs only the sums are kept: so many, one after the other on one worker
    running_ns: int = 0  # of those the sums, which are exact
    queued_ns: int = 0
    outcomes: tuple[tuple[str, int], ...] = ()  # and how many of them came out how
    items: int = 1  # the calls that it is made of: of a chunk several


@dataclass(frozen=True, slots=True)
class MarkRecord:
    """`concmagic.mark(label)`."""

    label: str
    start_ns: int
    end_ns: int
    pid: int
    native_id: int
    task: int | None = None


@dataclass(frozen=True, slots=True)
class RawCode:
    """A Python function, as its code object tells it."""

    name: str  # co_qualname
    file: str  # co_filename, unshortened
    line: int  # co_firstlineno


@dataclass(frozen=True, slots=True)
class RawCalls:
    """VizTracer's event nodes as they lay in its buffer, with what is needed to read them.

    Kept as bytes because reading them takes numpy, which a child process must not import.
    """

    nodes: bytes
    codes: dict[int, RawCode]  # address of a code object → its function
    c_functions: dict[tuple[int, int], str]  # (name address, module or type-name address) → dotted name
    clock: tuple[tuple[int, int], tuple[int, int]]  # two pairs (raw timestamp, monotonic ns), start and end
    events: int
    stopped_ns: int | None = None  # the budget was used up then, or it gave up; None: recorded to the end
    problems: tuple[Problem, ...] = ()
    own_threads: tuple[int, ...] = ()  # native ids of concmagic's own threads among them
    native_calls: bool = True  # False: C functions could not be recorded
    handed_ns: int | None = None  # the process was killed: what it had handed over until then
    gave_up: bool = False  # VizTracer lost track of the stack
    left_out: int = 0  # steps into which an exception was thrown: calls not recorded (Python 3.11)


@dataclass(frozen=True, slots=True)
class CallsPart:
    """What a child handed over of its RawCalls while it ran: the events since the part before."""

    nodes: bytes
    codes: dict[int, RawCode]
    c_functions: dict[tuple[int, int], str]
    clock: tuple[tuple[int, int], tuple[int, int]]
    open_nodes: bytes  # calls of the main thread that had not ended then
    own_threads: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One message through a pipe between processes, as its sender or its receiver saw it."""

    pipe: int  # inode of the end it went through; a socket pair's ends have two
    sends: bool
    kind: str  # "job", "result" (of a pool); "item" (of a `for` header); "queue", "pipe"
    native_id: int
    begin_ns: int  # sender: began to pickle it; receiver: began to wait for it
    moved_ns: int  # sender: had pickled it; receiver: it was there
    end_ns: int  # sender: written; receiver: unpickled
    size: int  # bytes
    digest: int  # of its beginning: with pipe and size it tells which message it is
    job: int | None = None  # index of the sender's SentJob that it carries
    outcome: str = ""  # of a result: "returned", "raised X"


@dataclass(frozen=True, slots=True)
class SentJob:
    """One job that this process gave to a pool of processes."""

    label: str
    submitted_ns: int
    submitter: int  # native id of the thread that submitted it; 0 is not known
    outcome: str  # "returned", "raised X", "cancelled", "not started", "left running", "" not known
    queued_ns: int = 0  # it was put into the queue of those who send it, by whom; 0: when it was submitted
    queuer: int = 0
    items: int = 1  # the calls that it is made of: of a chunk several


@dataclass(frozen=True, slots=True)
class MessageLog:
    """What one process sent to others and received from them."""

    messages: tuple[MessageRecord, ...] = ()
    jobs: tuple[SentJob, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()  # inodes of the two ends of each socket pair made here
    later: int = 0  # jobs that this process gave to pools of processes and that are not among `jobs`
    merged: tuple[JobRecord, ...] = ()  # those that this process ran and that are in none of `messages`
    counted_until_ns: int | None = None  # from then on messages are not seen; None: to the end


class ModuleImport(NamedTuple):
    """One import of a process, with all that it imported in turn."""

    native_id: int
    start_ns: int
    end_ns: int
    module: str  # the package only


@dataclass(frozen=True, slots=True)
class CallSite:
    """A function, and the line on which it was when it waited."""

    name: str  # co_qualname
    file: str  # co_filename, unshortened
    line: int


@dataclass(frozen=True, slots=True)
class LockObject:
    """What the user's code waits for: a lock, or what has locks inside: a condition, a queue, …"""

    kind: str  # "Lock", "RLock", "Condition", "Event", "Semaphore", "Barrier", "Queue", "SimpleQueue"
    name: str  # "" where none was found
    taken: int = 0  # how often it was seen taken; of locks only
    waits: int = 0  # exact, also those that are not kept one by one
    wait_ns: int = 0
    made: CallSite | None = None  # of one without a name: where the user's code made it, …
    made_number: int = 0  # … and which of those that were made there, from 1


class LockWait(NamedTuple):
    """One wait of one thread."""

    native_id: int
    start_ns: int
    end_ns: int | None  # None: it still waited
    object: int  # index into the log's objects
    chain: int  # index into the log's chains
    taken: bool  # it ended with the lock
    holders: tuple[int, ...] = ()  # native ids of those who had it meanwhile, in order
    more_holders: int = 0  # of those before them
    releaser: int | None = None  # native id of the thread that let it go, …
    released_ns: int = 0  # … then
    joined: int = 0  # native id of the thread whose end or answer it waited for


class HeldAtStop(NamedTuple):
    """From a look at the frames while everything stood still: who waited on which line, having what."""

    native_id: int
    at_ns: int
    object: int | None  # what it waited for; None: it waited for no lock
    held: tuple[int, ...]  # indexes of what its `with` statements had taken
    chain: int


class StoodAtStop(NamedTuple):
    """From a look at the frames just before the cell was stopped: in what a thread stood."""

    ident: int
    is_endless: bool  # in a wait for a lock, or what is made of one, without a timeout
    whom: int = 0  # native id of the thread whose end or answer it waited for


class StopLog(NamedTuple):
    """Who stood where just before the cell was stopped, and what else could have acted."""

    at_ns: int
    threads: tuple[StoodAtStop, ...]
    native: tuple[int, ...] = ()  # native ids that are new since the cell began; threads of Python's, too
    others: int = 0  # what else may act: a timer's signal, a subshell


class Standing(NamedTuple):
    """From a look at the frames while everything ran: where a thread stood, if it slept all that time."""

    native_id: int
    from_ns: int
    to_ns: int
    chain: int
    object: int = -1  # what it waited for, if it is known
    joined: int = 0  # native id of the thread whose end or answer it waited for


@dataclass(frozen=True, slots=True)
class LockLog:
    """All that is known of one process's locks.

    `chains` are the calls that led to a wait, innermost first, up to the first of the user's own.
    """

    objects: tuple[LockObject, ...] = ()
    waits: tuple[LockWait, ...] = ()
    chains: tuple[tuple[CallSite, ...], ...] = ()
    watched: tuple[tuple[int, int], ...] = ()  # from when to when every wait was seen by itself
    counted_until_ns: int | None = None  # from then on uses and waits are not counted; None: to the end
    observing_ns: int = 0  # what watching them took, as measured
    merged: int = 0  # waits that are only counted
    addresses: tuple[tuple[int, int], ...] = ()  # pairs (futex address in samples, index into objects)
    frames: tuple[HeldAtStop, ...] = ()
    standing: tuple[Standing, ...] = ()
    native: frozenset[int] = frozenset()  # chains of looks: what sleeps there sleeps in native code
    # The address of a lock on which somebody slept in a condition, who let it go, by native id, and when.
    notified: tuple[tuple[int, int, int], ...] = ()
    problems: tuple[Problem, ...] = ()


class ProcessLockWait(NamedTuple):
    """One wait of one thread for a semaphore that processes share."""

    lock: int  # index into the log's
    native_id: int
    start_ns: int
    end_ns: int
    taken: bool  # it ended with the semaphore


@dataclass(frozen=True, slots=True)
class ProcessLockLog:
    """What one process did with the semaphores that multiprocessing is made of."""

    locks: tuple[str, ...] = ()  # what every process knows each by
    waits: tuple[ProcessLockWait, ...] = ()
    releases: tuple[tuple[int, int, int], ...] = ()  # index of the lock, native id, moment; the last ones
    ended_ns: int | None = None  # from then on none were noted; None: they were to the end
