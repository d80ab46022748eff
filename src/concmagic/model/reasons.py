"""Why a track waits: one row a reason. A new one is a row here, and the observer that sees it.

Its words are "waiting for NAME", or stand in `sentences/states_and_waits.py`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

# For what is outside the program while others can be served; for another track; for being given work.
Family = Literal["outside", "each other", "idle"]


class Reason(NamedTuple):
    """One reason to wait."""

    name: str
    family: Family
    for_started: bool = False  # it waits for what it has started itself: no unit of work does that
    of_lock: bool = False  # what is waited for is a lock, or an object of the user's that is made of locks
    is_located: bool = False  # samples may have seen at which file or host a thread waits
    end: str = "host"  # the kind of resource that a name beside it is: what is at the other end


ROWS = (
    Reason("sleep", "outside"),
    Reason("timer", "outside"),
    Reason("socket", "outside", is_located=True),
    Reason("connect", "outside"),
    Reason("DNS", "outside"),
    Reason("TLS handshake", "outside"),
    Reason("stream read", "outside"),
    Reason("stream drain", "outside"),
    Reason("stream close", "outside"),
    Reason("sendfile", "outside"),
    Reason("sock_recv", "outside"),
    Reason("sock_sendall", "outside"),
    Reason("sock_connect", "outside"),
    Reason("sock_accept", "outside"),
    Reason("select", "outside", is_located=True),
    Reason("I/O", "outside"),
    Reason("read", "outside", end="file", is_located=True),
    Reason("write", "outside", end="file", is_located=True),
    Reason("disk", "outside", end="file", is_located=True),
    Reason("database", "outside"),
    Reason("subprocess", "outside", end="program"),
    Reason("pipe", "outside", end="pipe", is_located=True),
    Reason("Lock", "each other", of_lock=True),
    Reason("RLock", "each other", of_lock=True),
    Reason("Condition", "each other", of_lock=True),
    Reason("Event", "each other", of_lock=True),
    Reason("Semaphore", "each other", of_lock=True),
    Reason("Barrier", "each other", of_lock=True),
    Reason("Queue.get", "each other", of_lock=True),
    Reason("Queue.put", "each other", of_lock=True),
    Reason("Queue.join", "each other", for_started=True, of_lock=True),
    Reason("connection pool", "each other"),
    Reason("lock", "each other"),  # samples tell no more
    Reason("process lock", "each other"),
    Reason("native code", "each other"),  # for its own threads, or whatever else it likes
    Reason("file lock", "each other"),
    Reason("manager", "each other"),
    Reason("server", "each other"),
    Reason("signal", "each other"),
    Reason("input", "each other"),
    Reason("future", "each other"),
    Reason("task", "each other", for_started=True),
    Reason("gather", "each other", for_started=True),
    Reason("TaskGroup", "each other", for_started=True),
    Reason("wait", "each other", for_started=True),
    Reason("wait_for", "each other", for_started=True),
    Reason("as_completed", "each other", for_started=True),
    Reason("eager start", "each other", for_started=True),
    Reason("executor job", "each other", for_started=True),
    Reason("thread start", "each other", for_started=True),
    Reason("process start", "each other", for_started=True),
    Reason("join", "each other", for_started=True),
    Reason("pool", "each other", for_started=True),
    Reason("result", "each other", for_started=True),
    Reason("for work", "idle"),
    Reason("events", "idle"),  # a loop that nothing held
)
REASONS = {row.name: row for row in ROWS}

JOINING = frozenset(row.name for row in ROWS if row.for_started)
OF_LOCKS = frozenset(row.name for row in ROWS if row.of_lock)
LOCATED = frozenset(row.name for row in ROWS if row.is_located)
OUTSIDE = frozenset(row.name for row in ROWS if row.family == "outside")
# What the end of whoever waits for the waiter can have ended, unseen.
CALLED_OFF = frozenset(row.name for row in ROWS if row.family != "outside" or row.name == "timer")
BY_ITSELF = frozenset(("sleep",))  # over when its time is
IDLE = frozenset(("for work",))  # of a worker; the tasks of a loop without events have reasons of their own
ANSWERED = ("join", "result")  # by one thread, which may be known by itself
BETWEEN_STEPS = "between steps"  # the phase of a loop that could go on and is in no step
UNEMPLOYED = frozenset(row.name for row in ROWS if row.family == "idle")  # nothing is in flight there
MERGED = "merged"  # no wait: the reason of states that stand for many and show shares
FREE = "free"  # of a GIL: nobody has it
IN_NATIVE_CODE = "native code"
FOR_A_CONNECTION = "connection pool"
STARTS_A_PROCESS = "process start"
STARTS_A_THREAD = "thread start"
THREAD_START = "Thread.start"  # of a call that blocks what it waits in, where that is a pool's new thread
IMPORTS = "imports"  # no wait: of a state in which a thread imports a module
OF_A_LOCK = "lock"  # where samples found a thread asleep on one, and nothing tells more
# Which kind of lock it was is not seen on every Python, and a future is only how a result comes.
_ONE_NAME = {OF_A_LOCK: "Lock", "RLock": "Lock", "future": "result"}


def kind_of_end(reason: str) -> str:
    """The kind of the resource that stands at the other end of a wait."""
    return REASONS[reason].end if reason in REASONS else "host"


def told_as(reason: str) -> str:
    """The reason under whose name a wait is summed and told."""
    return _ONE_NAME.get(reason, reason)


def kind_of(word: str) -> str:
    """The kind of a resource by its class or by the reason of a wait: "RLock" and "Lock" are locks."""
    return {"rlock": "lock", "simplequeue": "queue"}.get(word := word.partition(".")[0].lower(), word)
