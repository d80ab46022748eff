"""Raw records of single waits for locks. No dataclasses: a child that starts need not make them."""

from __future__ import annotations

from typing import NamedTuple


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
