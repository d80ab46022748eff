"""A frame's value stack and its code's exception table: what a `with` statement enters, or has entered.

Up to 3.13 no event tells which lock a `with` takes. It lies on the stack of its frame, in a place that
follows from the code alone. Where the interpreter's frames do not look as expected nothing is read.
"""

from __future__ import annotations

import ctypes
import dis
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinMethodType, CodeType, FrameType, MethodType
from typing import Any

from concmagic.interpreter import borrowing
from concmagic.interpreter.borrowing import Capability, borrowed, unless
from concmagic.interpreter.frames_and_threads import getframe

_MORE, _BITS = 0x40, 0x3F


def handlers(code: CodeType) -> Iterator[tuple[int, int]]:
    """Pairs of a handler's offset and the number of values it finds, the exception among them."""
    for _, _, target, depth, lasti in _entries(code):
        yield target, depth + lasti + 1


def kept(code: CodeType, offset: int) -> int:
    """How many of the lowest values stay on the stack whatever the instruction at this offset does."""
    for start, end, _, depth, _ in _entries(code):
        if start <= offset < end:
            return depth
    return 0


def has_handler(code: CodeType, place: int) -> bool:
    """Whether an exception raised there meets an `except`, `finally` or `with`; True where unknown."""
    parse = borrowed(dis, "_parse_exception_table")
    if parse is None:
        return True
    return any(entry.start <= place < entry.end for entry in parse(code))


def may_have_just_entered(frame: FrameType) -> bool:
    """Whether this is where a `with` has called `__enter__` and has no handler yet, or calls it still.

    On Python 3.14 a signal's handler runs there. What it raises leaves a lock taken, for ever.
    """
    instructions, place = frame.f_code.co_code, frame.f_lasti
    special = place >= 2 and instructions[place - 2] == _LOAD_SPECIAL and instructions[place - 1] == _ENTER
    return special and instructions[place] == _CALL


def _entries(code: CodeType) -> Iterator[tuple[int, int, int, int, int]]:
    numbers = _numbers(code.co_exceptiontable)
    for start in numbers:
        length, target, packed = next(numbers), next(numbers), next(numbers)
        # The lowest bit says that the place of the failing instruction lies under the exception.
        yield start * 2, (start + length) * 2, target * 2, packed >> 1, packed & 1


def _numbers(table: bytes) -> Iterator[int]:
    """Numbers of six bits a byte, the highest first; a bit says that more follow."""
    number = 0
    for byte in table:
        number = number << 6 | byte & _BITS
        if not byte & _MORE:
            yield number
            number = 0


_LOAD_SPECIAL, _ENTER = dis.opmap.get("LOAD_SPECIAL", -1), 0  # from 3.14 on, with `__enter__`
_CALL = dis.opmap.get("CALL", -1)
BEFORE_WITH = dis.opmap.get("BEFORE_WITH", -1)  # from 3.14 on entering is a call like any other
WITH_EXCEPT_START = dis.opmap.get("WITH_EXCEPT_START", -1)
EXIT_DEPTH = 4  # so far below the top WITH_EXCEPT_START finds the function that it calls

_INNER_FRAME = 24  # of the frame object: where its data lies
_SLOTS = 72  # of the data: its variables, then its value stack
_SLOT = ctypes.sizeof(ctypes.c_void_p)
_CACHE = 0
_EXTENDED = dis.EXTENDED_ARG
_POP_TOP, _START_GENERATOR = dis.opmap.get("POP_TOP", -1), dis.opmap.get("RETURN_GENERATOR", -1)
_PRECALL, _CALL = dis.opmap.get("PRECALL", -1), dis.opmap.get("CALL", -1)
_CALL_KW = dis.opmap.get("CALL_KW", -1)
_BELOW = 2  # the function, and what it is bound to
_JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))
_BACKWARD = frozenset(number for name, number in dis.opmap.items() if "BACKWARD" in name)
_HAS_ARGUMENT = frozenset(getattr(dis, "hasarg", range(dis.HAVE_ARGUMENT, 256)))
_ALWAYS = ("RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD")
_ENDS = frozenset(
    number
    for name, number in dis.opmap.items()
    if name in _ALWAYS or name.startswith("JUMP_BACKWARD")  # 3.11 has backward jumps that may not be taken
)

Depths = dict[int, tuple[int, int, int]]  # offset → opcode, depth of the stack before it, the next offset


def has_with(code: CodeType) -> bool:
    """Whether there is a `with` statement in it."""
    # Each `with` has an entry there, and most functions have none: the look at the code is seldom needed.
    return bool(code.co_exceptiontable) and BEFORE_WITH in code.co_code[::2]


def variables(code: CodeType) -> int:
    """How many slots its variables take."""
    return len({*code.co_varnames, *code.co_cellvars}) + len(code.co_freevars)


def depths(code: CodeType) -> Depths:
    """Of each instruction that can be reached: opcode, depth of the stack before it, the next offset."""
    known: dict[int, int] = {0: 0}
    for target, found_there in handlers(code):
        known.setdefault(target, found_there)
    found: dict[int, tuple[int, int, int]] = {}
    text, extended = code.co_code, 0
    depth: int | None = 0
    before = -1
    offset = 0
    while offset < len(text):
        opcode, argument = text[offset], text[offset + 1] | extended
        following = offset + 2
        while following < len(text) and text[following] == _CACHE:
            following += 2
        depth = known.get(offset, depth)
        if before == _START_GENERATOR and opcode == _POP_TOP:
            depth = 1  # a generator begins here, with the value that was sent
        if depth is not None:
            found[offset] = (opcode, depth, following)
            if opcode != _EXTENDED:
                if opcode in _JUMPS and opcode not in _BACKWARD:
                    known.setdefault(following + 2 * argument, depth + _effect(opcode, argument, True))
                depth = None if opcode in _ENDS else depth + _effect(opcode, argument, False)
        extended = argument << 8 if opcode == _EXTENDED else 0
        before, offset = opcode, following
    return found


class KnownDepths:
    """The depths of code objects, worked out once for each."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[CodeType, Depths]] = {}

    def of(self, code: CodeType) -> Depths:
        """The depths of this one."""
        known = self._found.get(id(code))
        if known is None:
            known = self._found[id(code)] = code, depths(code)
        return known[1]


def result_of_call(code: CodeType, offset: int) -> tuple[int, int] | None:
    """The next offset, and the slot in which the call at this one leaves its result; None if it is none."""
    opcode, depth, following = depths(code).get(offset, (-1, 0, 0))
    if opcode not in (_CALL, _CALL_KW):
        return None
    return following, variables(code) + depth - code.co_code[offset + 1] - _BELOW - (opcode == _CALL_KW)


def _effect(opcode: int, argument: int, jump: bool) -> int:
    if opcode == _PRECALL:
        return 0  # the compiler counts the arguments as gone here; they are until the call is over
    if opcode == _CALL and _PRECALL >= 0:
        return -1 - argument
    has_argument = opcode in _HAS_ARGUMENT
    return dis.stack_effect(opcode, argument if has_argument else None, jump=jump)


def value(frame: FrameType, slot: int) -> Any:
    """What lies in this slot of a frame, variables first. Raises ValueError where there is nothing.

    The slot must be in use, and the frame be the calling thread's: another's may go on meanwhile.
    """
    if slot < 0:
        raise ValueError
    inner = ctypes.c_void_p.from_address(id(frame) + _INNER_FRAME).value or 0
    return ctypes.py_object.from_address(inner + _SLOTS + _SLOT * slot).value


def entered(frame: FrameType, slot: int) -> Any:
    """What a frame that stands on BEFORE_WITH is about to enter; None if it cannot be told."""
    found = value(frame, slot)
    if sys.version_info >= (3, 12):
        return found
    # What will leave it lies there already.
    return found.__self__ if type(found) in (BuiltinMethodType, MethodType) else None


_MEMORY = "/proc/self/mem"


class Frames:
    """Reads frames of other threads.

    The thread may go on between any two steps of this: its frame may end, what lay on its stack may be gone.
    So the memory is read through a file, where there is nothing to be read safely elsewhere, and what was
    read is only a number: `locks_at` of `lock_internals.py` looks for the lock of that address.
    """

    def __init__(self) -> None:
        self.can_read = can_read() and os.access(_MEMORY, os.R_OK)
        self._depths = KnownDepths()
        self._file = -1

    @contextmanager
    def open(self) -> Iterator[None]:
        """Read only within this block."""
        self._file = os.open(_MEMORY, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield
        finally:
            os.close(self._file)
            self._file = -1

    def entered(self, frame: FrameType) -> int:
        """The address of what a frame is about to enter, or of what will leave it; 0 if it enters nothing."""
        code, offset = frame.f_code, frame.f_lasti
        if not self.can_read or offset < 0 or code.co_code[offset] != BEFORE_WITH:
            return 0
        place = self._depths.of(code).get(offset)
        return 0 if place is None else self._slot(frame, variables(code) + place[1] - 1)

    def held(self, frame: FrameType | None) -> list[int]:
        """Addresses of what lies under the `with` statements of a frame and of its callers."""
        found = []
        while frame is not None and self.can_read:
            first = variables(frame.f_code)
            many = kept(frame.f_code, frame.f_lasti)
            found += [self._slot(frame, slot) for slot in range(first, first + many)]
            frame = frame.f_back
        return [address for address in found if address]

    def _slot(self, frame: FrameType, slot: int) -> int:
        return self._word(self._word(id(frame) + _INNER_FRAME) + _SLOTS + _SLOT * slot)

    def _word(self, address: int) -> int:
        try:
            return int.from_bytes(os.pread(self._file, 8, address), "little")
        except (OSError, OverflowError):
            return 0


def can_read() -> bool:
    """Whether frames look as expected here: tried on a frame whose contents are known."""
    if BEFORE_WITH < 0 or sys.implementation.name != "cpython" or borrowing.FREE_THREADED:
        return False  # a free-threaded build's objects have a longer head: another word would be followed
    probe = _Probe()
    try:
        _enter(probe, probe.other)
    except (ValueError, OSError):
        return False
    return probe.matches


class _Probe:
    """Looks, when it is entered, at the frame that enters it."""

    def __init__(self) -> None:
        self.other = object()
        self.matches = False

    def __enter__(self) -> Callable[[], FrameType]:
        frame = getframe(1)
        code, offset = frame.f_code, frame.f_lasti
        opcode, depth, _ = depths(code)[offset]
        # First what is sure to be an object: the variables, by their number.
        self.matches = (
            opcode == BEFORE_WITH
            and _inner_code(frame) == id(code)
            and value(frame, 0) is self
            and value(frame, 1) is self.other
            and entered(frame, variables(code) + depth - 1) is self
        )
        return lambda: frame

    def __exit__(self, *exception: object) -> None:
        pass


def _inner_code(frame: FrameType) -> int:
    """The address of the code in the frame's data; the words before the slots are pointers or small."""
    inner = ctypes.c_void_p.from_address(id(frame) + _INNER_FRAME).value or 0
    words = (ctypes.c_void_p * (_SLOTS // _SLOT)).from_address(inner)
    return id(frame.f_code) if id(frame.f_code) in words else 0


def _enter(probe: _Probe, other: object) -> None:
    for _ in (0,):
        with probe:
            pass


def probe() -> Capability:
    """Whether the value stack of a frame whose contents are known reads as it should."""
    return unless("" if can_read() else "the stack of a frame whose contents are known reads otherwise")
