"""The calls of the main thread that have begun and not ended, read while the recording runs.

VizTracer writes an event when a call ends; until then it stands on a stack of its own for each thread.
Only the main thread's is read: another thread's is freed when that thread ends, which may be between any
two steps of ours. The main thread's nodes stay, so the worst that a change in the middle does is a stack
that does not fit together, which is seen by its times.
"""

from __future__ import annotations

import ctypes
import os
from itertools import accumulate, chain, cycle, islice, pairwise
from operator import attrgetter
from types import CodeType
from typing import Any

from concmagic.interpreter.event_nodes import (
    FUNCTION_NODE,
    PY_OPEN,
    EventNode,
    FunctionEvent,
    ThreadInfo,
    TracerHead,
    threads_met,
)

MOST = 200  # innermost ones
_Pointer = ctypes.c_void_p


class StackNode(ctypes.Structure):
    """One open call; the lowest is empty and has no `prev`."""


StackNode._fields_ = (
    ("next", _Pointer),
    ("prev", ctypes.POINTER(StackNode)),
    ("ts", ctypes.c_int64),
    ("arguments", _Pointer),
    ("function", ctypes.py_object),
)
_FUNCTION_AT: int = StackNode.function.offset


def main_thread(head: TracerHead) -> ThreadInfo | None:
    """What VizTracer keeps for this process's main thread, if it has met it."""
    infos = (node.info for node in threads_met(head) if node.info and node.native_id == os.getpid())
    address = next(infos, None)
    return None if address is None else ThreadInfo.from_address(address)


def open_calls(info: ThreadInfo) -> list[tuple[int, CodeType]]:
    """Raw time and code of each Python function that the thread is in, innermost first.

    One call of `extend`, all in C: no other thread runs meanwhile. The empty node ends it by an error.
    """
    found: list[tuple[int, Any]] = []
    if not info.stack_top:
        return []
    top = StackNode.from_address(info.stack_top)
    walk = accumulate(chain(cycle(("prev", "contents"))), getattr, initial=top)
    try:
        found.extend(map(attrgetter("ts", "function"), islice(walk, 0, 2 * MOST, 2)))
    except ValueError:
        pass
    if any(inner < outer for (inner, _), (outer, _) in pairwise(found)):
        return []
    return [(ts, function) for ts, function in found if type(function) is CodeType]


def as_events(calls: list[tuple[int, CodeType]], native_id: int) -> bytes:
    """The same as events of calls that have not ended, as VizTracer would write them if it stopped now."""
    events = [
        EventNode(FUNCTION_NODE, ts, native_id, FunctionEvent(owner=id(code), type=PY_OPEN))
        for ts, code in calls
    ]
    return b"".join(map(bytes, events))


def is_where_it_was(head: TracerHead, code: CodeType) -> bool:
    """Whether a function that runs now, in the main thread, is found; follows no pointer to an object."""
    info = main_thread(head)
    address = info.stack_top if info is not None else None
    for _ in range(MOST):
        if not address:
            return False
        if _Pointer.from_address(address + _FUNCTION_AT).value == id(code):
            return True
        address = _Pointer.from_address(address + StackNode.prev.offset).value
    return False
