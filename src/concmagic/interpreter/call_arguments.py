"""Whether a call of `acquire` or `get` may wait: read off its arguments, which no event tells."""

from __future__ import annotations

import dis
from types import CodeType, FrameType
from typing import Any

from concmagic.interpreter import value_stack as stack

_CALL, _CALL_KW = dis.opmap.get("CALL", -1), dis.opmap.get("CALL_KW", -1)
_KW_NAMES = dis.opmap.get("KW_NAMES", -1)  # 3.11 and 3.12: the names stand in an instruction before the call
_NAMES = ("blocking", "block", "timeout")


class Arguments:
    """Reads calls; what follows from a code object alone is worked out once."""

    def __init__(self) -> None:
        self._depths: dict[int, tuple[CodeType, stack.Depths]] = {}
        self._can_read: bool | None = None

    def block(self, frame: FrameType, offset: int) -> bool:
        """Whether the call at this instruction waits; where its arguments cannot be read, it is taken to."""
        code = frame.f_code
        instruction = code.co_code[offset : offset + 2]
        if instruction[0] not in (_CALL, _CALL_KW) or not instruction[1]:
            return True
        if self._can_read is None:
            self._can_read = stack.can_read()
        if not self._can_read:
            return True
        known = self._depths.get(id(code))
        if known is None:
            known = self._depths[id(code)] = code, stack.depths(code)
        try:
            return _blocks(*_arguments(frame, known[1], offset))
        except (KeyError, ValueError, IndexError):
            return True


def _arguments(frame: FrameType, depths: stack.Depths, offset: int) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call that is about to be made: by position, and by name."""
    code = frame.f_code
    opcode, depth, _ = depths[offset]
    count = code.co_code[offset + 1]
    top = stack.variables(code) + depth
    names: tuple[str, ...] = ()
    if opcode == _CALL_KW:
        top -= 1
        names = stack.value(frame, top)
    elif code.co_code[offset - 2] == _KW_NAMES:
        names = code.co_consts[code.co_code[offset - 1]]
    values = [stack.value(frame, slot) for slot in range(top - count, top)]
    by_place = values[: count - len(names)]
    return by_place, dict(zip(names, values[len(by_place) :], strict=True))


def _blocks(values: list[Any], named: dict[str, Any]) -> bool:
    """`blocking` comes first, `timeout` second; no more than False and 0 is looked for."""
    given = [*values[:2], *(named[name] for name in _NAMES if name in named)]
    return not any(one is False or (type(one) in (int, float) and one == 0) for one in given)
