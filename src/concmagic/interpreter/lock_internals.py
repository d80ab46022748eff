"""Locks: their types, the word by which a thread sleeps, and which lock a `with` enters.

The types have no public names. Up to 3.13 a lock holds the address of a semaphore in the first word behind
its head, and on Linux a thread that waits for the lock sleeps at that address (Python/thread_pthread.h,
Modules/_threadmodule.c). From 3.14 on a lock is one byte, and its waiters sleep on words of their own
stacks.

Which lock a `with` enters is seen in three ways, by what the interpreter offers, behind one interface:

- Up to 3.11 no event tells of locks. Samples do: the address at which a thread sleeps, and the stacks of the
  frames of threads that stand in a `with` (`Frames` of `value_stack.py`).
- 3.12 and 3.13 tell of calls, and a `with` enters without one: its instructions are watched, and the lock is
  read off the stack of its frame (`value_stack.py`).
- From 3.14 on entering is a call like any other.

Whether a call of `acquire` or `get` may wait is read off its arguments, which no event tells.
"""

from __future__ import annotations

import _thread
import ctypes
import dis
import functools
import gc
import sys
import threading
import weakref
from _queue import SimpleQueue as SimpleQueue
from collections.abc import Iterable
from types import BuiltinMethodType, CodeType, FrameType
from typing import Any, Literal, NamedTuple

from concmagic.interpreter import borrowing, value_stack
from concmagic.interpreter.borrowing import WORKS, Capability, unless

Lock: type[Any] = type(_thread.allocate_lock())
RLock: type[Any] = type(threading.RLock())
_WORD = object.__basicsize__  # bytes into the lock, behind its head: the address of its semaphore


def is_lock(thing: Any) -> bool:
    """Whether it is a lock of C, without asking anything of the user's."""
    return type(thing) is Lock or issubclass(type(thing), RLock)


def locks_at(addresses: Iterable[int]) -> dict[int, Any]:
    """The living locks at these addresses; where what lies there will leave a lock, that lock.

    By the garbage collector's lists: what was read off another thread's frame may be no object any more.
    """
    missing = {address for address in addresses if address}
    found: dict[int, Any] = {}
    for generation in range(3):  # what a `with` has made just now is young
        if not missing:
            break
        for one in gc.get_objects(generation=generation):
            if id(one) in missing:
                missing.discard(id(one))
                lock = one.__self__ if type(one) is BuiltinMethodType else one
                if is_lock(lock):
                    found[id(one)] = lock
    return found


def can_tell() -> bool:
    """Whether a lock's address is that of its futex here."""
    if sys.platform != "linux" or sys.implementation.name != "cpython" or borrowing.FREE_THREADED:
        return False  # a free-threaded build's threads sleep at addresses of their own, not of the lock's
    return sys.version_info < (3, 14)


def waiters_of(condition: Any) -> Any:
    """The locks on which those sleep who wait for a condition, first come first."""
    return getattr(condition, "_waiters", ())


def address_of(lock: Any) -> int:
    """Where a thread that waits for this lock sleeps."""
    # It lives: the caller holds it. What the word says is only compared, never followed.
    return ctypes.c_ulong.from_address(id(lock) + _WORD).value


def probe_words() -> Capability:
    """Whether the words of two locks are two addresses, which move with no use of theirs."""
    if not can_tell():
        return unless("a thread does not sleep at its lock's address here")
    first, second = _thread.allocate_lock(), _thread.allocate_lock()
    before = address_of(first), address_of(second)
    with first, second:
        during = address_of(first), address_of(second)
    return unless("" if before == during and len({0, *before}) == 3 else "a lock's first word is no address")


Way = Literal["samples", "instructions", "calls"]
ENTERS, ENTERED, FAILING = range(3)
Watched = dict[int, tuple[int, int]]  # offset → what happens there, and the slot of what it happens to

# The library's functions are the same in every cell: what follows from their code is worked out once.
_MOST_CACHED = 2_000
_cache: dict[int, tuple[weakref.ref[CodeType], Watched]] = {}


class WithLocks(NamedTuple):
    """The way of this Python, and whether it works here."""

    way: Way
    sees_with: bool

    @property
    def exact(self) -> bool:
        """Whether every use of a lock is told by an event; else only samples tell of those that wait."""
        return self.way != "samples"

    @property
    def in_instructions(self) -> bool:
        """Whether a `with` is watched at its instructions."""
        return self.way == "instructions" and self.sees_with


@functools.cache
def here() -> WithLocks:
    """In which way the lock of a `with` is seen on this interpreter."""
    if sys.version_info < (3, 12):
        return WithLocks("samples", can_tell())
    if value_stack.BEFORE_WITH < 0:
        return WithLocks("calls", True)
    return WithLocks("instructions", value_stack.can_read())


def has_with(code: CodeType) -> bool:
    """Whether there is a `with` statement in this code whose instructions are to be watched."""
    return value_stack.has_with(code)


def watched(code: CodeType) -> Watched:
    """The instructions that enter a `with`, come after that, or leave one because of an exception."""
    known = _cache.get(id(code))
    if known is None or known[0]() is not code:
        if len(_cache) >= _MOST_CACHED:
            _cache.clear()
        known = _cache[id(code)] = weakref.ref(code), _instructions(code)
    return known[1]


def _instructions(code: CodeType) -> Watched:
    found: Watched = {}
    variables = value_stack.variables(code)
    for offset, (opcode, depth, following) in value_stack.depths(code).items():
        if opcode == value_stack.BEFORE_WITH:
            found[offset] = ENTERS, variables + depth - 1
            found[following] = ENTERED, 0
        elif opcode == value_stack.WITH_EXCEPT_START:
            found[offset] = FAILING, variables + depth - value_stack.EXIT_DEPTH
    return found


def target(frame: FrameType, slot: int) -> Any:
    """What the watched instruction, at which the calling thread's frame stands, enters or leaves by."""
    return value_stack.value(frame, slot)


def probe_with() -> Capability:
    """Whether the lock of a `with` can be told here."""
    if here().sees_with:
        return WORKS
    return probe_words() if here().way == "samples" else unless("the stacks of frames differ")


_CALL, _CALL_KW = dis.opmap.get("CALL", -1), dis.opmap.get("CALL_KW", -1)
_KW_NAMES = dis.opmap.get("KW_NAMES", -1)  # 3.11 and 3.12: the names stand in an instruction before the call
_NAMES = ("blocking", "block", "timeout")


class Arguments:
    """Reads the arguments of calls of `acquire` and `get`."""

    def __init__(self) -> None:
        self._depths = value_stack.KnownDepths()
        self._can_read: bool | None = None

    def block(self, frame: FrameType, offset: int) -> bool:
        """Whether the call at this instruction waits; where its arguments cannot be read, it is taken to."""
        code = frame.f_code
        instruction = code.co_code[offset : offset + 2]
        if instruction[0] not in (_CALL, _CALL_KW) or not instruction[1]:
            return True
        if self._can_read is None:
            self._can_read = value_stack.can_read()
        if not self._can_read:
            return True
        try:
            return _blocks(*_arguments(frame, self._depths.of(code), offset))
        except (KeyError, ValueError, IndexError):
            return True


def _arguments(frame: FrameType, depths: value_stack.Depths, offset: int) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call that is about to be made: by position, and by name."""
    code = frame.f_code
    opcode, depth, _ = depths[offset]
    count = code.co_code[offset + 1]
    top = value_stack.variables(code) + depth
    names: tuple[str, ...] = ()
    if opcode == _CALL_KW:
        top -= 1
        names = value_stack.value(frame, top)
    elif code.co_code[offset - 2] == _KW_NAMES:
        names = code.co_consts[code.co_code[offset - 1]]
    values = [value_stack.value(frame, slot) for slot in range(top - count, top)]
    by_place = values[: count - len(names)]
    return by_place, dict(zip(names, values[len(by_place) :], strict=True))


def _blocks(values: list[Any], named: dict[str, Any]) -> bool:
    """`blocking` comes first, `timeout` second; no more than False and 0 is looked for."""
    given = [*values[:2], *(named[name] for name in _NAMES if name in named)]
    return not any(one is False or (type(one) in (int, float) and one == 0) for one in given)
