"""The types of locks, which have no public names, and the word of a lock by which a thread sleeps.

Up to 3.13 a lock holds the address of a semaphore in the first word behind its head, and on Linux a thread
that waits for the lock sleeps at that address (Python/thread_pthread.h, Modules/_threadmodule.c). From 3.14
on a lock is one byte, and its waiters sleep on words of their own stacks.
"""

from __future__ import annotations

import _thread
import ctypes
import sys
import threading
from _queue import SimpleQueue as SimpleQueue
from typing import Any

from concmagic.interpreter import build
from concmagic.interpreter.capability import Capability, unless

Lock: type[Any] = type(_thread.allocate_lock())
RLock: type[Any] = type(threading.RLock())
_WORD = object.__basicsize__  # bytes into the lock, behind its head: the address of its semaphore


def is_lock(thing: Any) -> bool:
    """Whether it is a lock of C, without asking anything of the user's."""
    return type(thing) is Lock or issubclass(type(thing), RLock)


def can_tell() -> bool:
    """Whether a lock's address is that of its futex here."""
    if sys.platform != "linux" or sys.implementation.name != "cpython" or build.FREE_THREADED:
        return False  # a free-threaded build's threads sleep at addresses of their own, not of the lock's
    return sys.version_info < (3, 14)


def address_of(lock: Any) -> int:
    """Where a thread that waits for this lock sleeps."""
    # It lives: the caller holds it. What the word says is only compared, never followed.
    return ctypes.c_ulong.from_address(id(lock) + _WORD).value


def probe() -> Capability:
    """Whether the words of two locks are two addresses, which move with no use of theirs."""
    if not can_tell():
        return unless("a thread does not sleep at its lock's address here")
    first, second = _thread.allocate_lock(), _thread.allocate_lock()
    before = address_of(first), address_of(second)
    with first, second:
        during = address_of(first), address_of(second)
    return unless("" if before == during and len({0, *before}) == 3 else "a lock's first word is no address")
