"""Raw records of locks: plain data, times on the machine's monotonic clock.

Children import this module: neither numpy nor IPython.
"""

from __future__ import annotations

from dataclasses import dataclass

from concmagic.problems import Problem
from concmagic.records.lock_waits import HeldAtStop as HeldAtStop
from concmagic.records.lock_waits import LockWait as LockWait
from concmagic.records.lock_waits import Standing as Standing


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


@dataclass(frozen=True, slots=True)
class LockLog:
    """All that is known of one process's locks.

    `chains` are the calls that led to a wait, innermost first, up to the first of the user's own.
    """

    objects: tuple[LockObject, ...] = ()
    waits: tuple[LockWait, ...] = ()
    chains: tuple[tuple[CallSite, ...], ...] = ()
    exact_until_ns: int = 0  # until then every wait was seen; 0: none was seen by itself
    merged: int = 0  # waits that are only counted
    addresses: tuple[tuple[int, int], ...] = ()  # pairs (futex address in samples, index into objects)
    frames: tuple[HeldAtStop, ...] = ()
    standing: tuple[Standing, ...] = ()
    problems: tuple[Problem, ...] = ()
