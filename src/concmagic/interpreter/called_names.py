"""The name by which an instruction calls, read off its code alone."""

from __future__ import annotations

import dis
import sys
from types import CodeType

from concmagic.interpreter import value_stack

ENTERS = "__enter__"  # of a `with`, whose instructions name nothing
_CALLS = ("CALL", "CALL_KW", "CALL_FUNCTION_EX", "PRECALL")
_WITH = ("BEFORE_WITH", "BEFORE_ASYNC_WITH", "LOAD_SPECIAL")
_EX_ALWAYS = sys.version_info >= (3, 14)  # `f(*a)` has a place for named arguments whether there are or not


def called_name(code: CodeType, offset: int) -> str | None:
    """What the instruction calls, by its last name; "" for an operator or the like, None if not known."""
    instructions = {one.offset: one for one in dis.get_instructions(code)}
    depths = value_stack.depths(code)
    # While a function in Python is called it stands on the call's last cache entry, up to 3.12.
    offset = max((at for at in instructions if at <= offset), default=-1)
    if offset not in depths:
        return None
    here = instructions[offset]
    if here.opname in _WITH:
        return ENTERS
    if here.opname not in _CALLS:
        return ""
    order = [instructions[at] for at in sorted(depths) if at < offset and at in instructions]
    top = depths[offset][1] - _arguments(here)  # of the stack where the function has been loaded
    return _loaded(order, [depths[one.offset][1] for one in order], top)


def _arguments(call: dis.Instruction) -> int:
    """How many values lie above the function and what it is bound to."""
    if call.opname == "CALL_FUNCTION_EX":
        return 2 if _EX_ALWAYS else 1 + ((call.arg or 0) & 1)
    return (call.arg or 0) + (call.opname == "CALL_KW")


def _loaded(order: list[dis.Instruction], before: list[int], top: int) -> str | None:
    """The name of what brought the stack to this height; attributes of it follow."""
    index = len(order) - 1
    while index >= 0 and before[index] >= top:
        index -= 1
    while index + 1 < len(order) and before[index + 1] == top and order[index + 1].opname == "LOAD_ATTR":
        index += 1
    while index > 0 and order[index].opname == "PUSH_NULL":
        index -= 1
    if index < 0:
        return None
    if order[index].opname in _WITH:
        return ENTERS
    name = order[index].argval
    return name if isinstance(name, str) else ""
