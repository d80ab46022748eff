"""Which lock another thread's frame enters, and which its `with` statements hold, read off the frame's stack.

The thread may go on between any two steps of this: its frame may end, what lay on its stack may be gone.
So the memory is read through a file, where there is nothing to be read safely elsewhere, and what was
read is only a number; the object is the one of that address that the garbage collector knows to live.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import BuiltinMethodType, CodeType, FrameType
from typing import Any

from concmagic.interpreter import value_stack
from concmagic.interpreter import value_stack as stack
from concmagic.interpreter.lock_internals import is_lock

_MEMORY = "/proc/self/mem"


class Frames:
    """Reads frames; what follows from a code object alone is worked out once."""

    def __init__(self) -> None:
        self.can_read = stack.can_read() and os.access(_MEMORY, os.R_OK)
        self._depths: dict[int, tuple[CodeType, stack.Depths]] = {}
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
        if not self.can_read or offset < 0 or code.co_code[offset] != stack.BEFORE_WITH:
            return 0
        known = self._depths.get(id(code))
        if known is None:
            known = self._depths[id(code)] = code, stack.depths(code)
        place = known[1].get(offset)
        return 0 if place is None else self._slot(frame, stack.variables(code) + place[1] - 1)

    def held(self, frame: FrameType | None) -> list[int]:
        """Addresses of what lies under the `with` statements of a frame and of its callers."""
        found = []
        while frame is not None and self.can_read:
            first = stack.variables(frame.f_code)
            kept = value_stack.kept(frame.f_code, frame.f_lasti)
            found += [self._slot(frame, slot) for slot in range(first, first + kept)]
            frame = frame.f_back
        return [address for address in found if address]

    def _slot(self, frame: FrameType, slot: int) -> int:
        return self._word(self._word(stack.inner_of(frame)) + stack.place_of_slot(slot))

    def _word(self, address: int) -> int:
        try:
            return int.from_bytes(os.pread(self._file, 8, address), "little")
        except (OSError, OverflowError):
            return 0


def locks_at(addresses: Iterable[int]) -> dict[int, Any]:
    """The living locks at these addresses; where what lies there will leave a lock, that lock."""
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
