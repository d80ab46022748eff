"""Raw records of locks and of single waits for them; made late, as a child that starts needs none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from concmagic.problems import Problem


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
    joined: int = 0  # native id of the thread whose end it waited for


class HeldAtStop(NamedTuple):
    """From a look at the frames while everything stood still: who waited on which line, having what."""

    native_id: int
    at_ns: int
    object: int | None  # what it waited for; None: it waited for no lock
    held: tuple[int, ...]  # indexes of what its `with` statements had taken
    chain: int


class Standing(NamedTuple):
    """From a look at the frames while everything ran: where a thread stood, if it slept all that time."""

    native_id: int
    from_ns: int
    to_ns: int
    chain: int
    object: int = -1  # what it waited for, if it is known
    joined: int = 0  # native id of the thread whose end it waited for


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
