"""Which lock a `with` enters: three ways, by what the interpreter offers, behind one interface.

- Up to 3.11 no event tells of locks. Samples do: the address at which a thread sleeps (`lock_words.py`), and
  the stacks of the frames of threads that stand in a `with` (`foreign_frames.py`).
- 3.12 and 3.13 tell of calls, and a `with` enters without one: its instructions are watched, and the lock is
  read off the stack of its frame (`value_stack.py`).
- From 3.14 on entering is a call like any other.
"""

from __future__ import annotations

import functools
import sys
import weakref
from types import CodeType, FrameType
from typing import Any, Literal, NamedTuple

from concmagic.interpreter import lock_words, value_stack
from concmagic.interpreter.capability import WORKS, Capability, unless

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
    """How it is told on this interpreter."""
    if sys.version_info < (3, 12):
        return WithLocks("samples", lock_words.can_tell())
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


def probe() -> Capability:
    """Whether the lock of a `with` can be told here."""
    if here().sees_with:
        return WORKS
    return lock_words.probe() if here().way == "samples" else unless("the stacks of frames differ")
