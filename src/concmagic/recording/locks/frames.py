"""Which lock a frame waits for and which its `with` statements hold, read off the frame's stack.

For threads that do not run just now: the GIL is held by who looks.
"""

from __future__ import annotations

from types import BuiltinMethodType, CodeType, FrameType
from typing import Any

from concmagic.recording.locks import exception_table, stack
from concmagic.recording.locks.kinds import is_lock


class Frames:
    """Reads frames; what follows from a code object alone is worked out once."""

    def __init__(self) -> None:
        self.can_read = stack.can_read()
        self._depths: dict[int, tuple[CodeType, dict[int, tuple[int, int, int]]]] = {}

    def wanted(self, frame: FrameType) -> Any:
        """The lock whose `with` a thread waits in whose innermost frame this is; None if it is not told.

        Never the lock of a call: a frame that lost the GIL right after a call stands on it still, with
        what the call had used up above its stack, and that may be gone.
        """
        code = frame.f_code
        opcode = code.co_code[frame.f_lasti] if frame.f_lasti >= 0 else -1
        if not self.can_read or opcode != stack.BEFORE_WITH:
            return None
        try:
            _, depth, _ = self._of(code)[frame.f_lasti]
            found = stack.entered(frame, stack.variables(code) + depth - 1)
        except (KeyError, ValueError):
            return None
        return found if is_lock(found) else None

    def held(self, frame: FrameType | None) -> list[Any]:
        """The locks that the `with` statements of a frame, and of its callers, have taken."""
        found = []
        while frame is not None and self.can_read:
            code = frame.f_code
            first = stack.variables(code)
            for slot in range(first, first + exception_table.kept(code, frame.f_lasti)):
                try:
                    left = stack.value(frame, slot)
                except ValueError:
                    continue
                if type(left) is BuiltinMethodType and is_lock(left.__self__):
                    found.append(left.__self__)
            frame = frame.f_back
        return found

    def _of(self, code: CodeType) -> dict[int, tuple[int, int, int]]:
        known = self._depths.get(id(code))
        if known is None:
            known = self._depths[id(code)] = code, stack.depths(code)
        return known[1]
