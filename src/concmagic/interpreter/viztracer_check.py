"""Does VizTracer's memory look as `event_nodes` says? Tried on a program whose events are known.

Here, too, are the calls of the main thread that have begun and not ended, read while the recording runs.

From the cheap and safe to the rest: size and plain fields first, which prove where the pointers
lie, and only then what the pointers lead to. Under a millisecond, once per process.

VizTracer writes an event when a call ends; until then it stands on a stack of its own for each thread.
Only the main thread's is read: another thread's is freed when that thread ends, which may be between any
two steps of ours. The main thread's nodes stay, so the worst that a change in the middle does is a stack
that does not fit together, which is seen by its times.
"""

from __future__ import annotations

import ctypes
import os
import threading
from _thread import LockType, allocate_lock
from itertools import accumulate, chain, cycle, islice, pairwise
from operator import attrgetter
from types import CodeType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.event_nodes import (
    C_CLOSED,
    FUNCTION_NODE,
    NODE_BYTES,
    PY_CLOSED,
    PY_OPEN,
    EventNode,
    FunctionEvent,
    ThreadInfo,
    TracerHead,
    copy_nodes,
    object_at,
    threads_met,
    used,
)
from concmagic.interpreter.native_names import name_functions

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
    """Calls that have not ended as the events that VizTracer would write if it stopped now."""
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


# Of the check's buffer, whose pages cost nothing until they are written. From 3.12 on other threads
# add theirs, and one that gets its turn in the middle makes some thirty thousand.
ENTRIES = 100_000
_MARK = 4321  # a number that no field holds by chance


def find_flaw(tracer: Any) -> str:
    """Say what is not as expected; "" is that all is. The tracer must be new and idle."""
    if type(tracer).__basicsize__ != ctypes.sizeof(TracerHead):
        return "its size"
    head = TracerHead.from_address(id(tracer))
    return _plain_fields(tracer, head) or _known_program(tracer, head)


def _plain_fields(tracer: Any, head: TracerHead) -> str:
    tracer.max_stack_depth, tracer.min_duration = _MARK, _MARK
    seen = (head.max_stack_depth, head.min_duration)
    tracer.max_stack_depth, tracer.min_duration = -1, 0  # no limit, as VizTracer's own class sets it
    # Its setter takes microseconds or nanoseconds, by version: either proves the place.
    if seen[0] != _MARK or seen[1] not in (_MARK, _MARK * 1000):
        return "its settings"
    if (head.buffer_size, head.first, head.end, head.total_entries) != (ENTRIES + 1, 0, 0, 0):
        return "its buffer"
    return "" if head.buffer and head.buffer % 8 == 0 and not head.collecting else "its buffer"


def _program(lock: LockType) -> int:
    lock.acquire()
    return monotonic_ns()


def _known_program(tracer: Any, head: TracerHead) -> str:
    lock = allocate_lock()
    tracer.start()
    collecting = head.collecting
    _program(lock)
    tracer.stop(None)
    if (collecting, head.collecting, head.first) != (1, 0, 0) or not 3 <= used(head) < ENTRIES:
        return "its counters"
    if head.total_entries != used(head):
        return "its counters"
    flaw = _thread_list(head) or _events(copy_nodes(head)) or _open_calls(tracer, head)
    tracer.clear()
    return flaw or ("" if used(head) == 0 else "its counters")


def _thread_list(head: TracerHead) -> str:
    me = threading.get_native_id()
    address = next((node.info for node in threads_met(head) if node.info and node.native_id == me), None)
    info = None if address is None else ThreadInfo.from_address(address)
    is_right = info is not None and info.native_id == me and info.stack_top and not info.paused
    return "" if is_right else "its threads"


def _open_calls(tracer: Any, head: TracerHead) -> str:
    if threading.current_thread() is not threading.main_thread():
        return ""  # it is not asked for here
    tracer.start()
    found = _looks(head)
    tracer.stop(None)
    return "" if found else "its stack"


def _looks(head: TracerHead) -> bool:
    return is_where_it_was(head, _looks.__code__)


def _events(nodes: bytes) -> str:
    """Three events of this thread, in the order in which they ended; other threads may add theirs."""
    me = threading.get_native_id()
    events = [EventNode.from_buffer_copy(nodes, at) for at in range(0, len(nodes), NODE_BYTES)]
    mine = [event for event in events if event.native_id == me and event.kind == FUNCTION_NODE]
    if [event.call.type for event in mine] != [C_CLOSED, C_CLOSED, PY_CLOSED]:
        return "its events"
    acquire, clock, program = mine
    ends = [event.ts + event.call.duration for event in mine]
    in_order = program.ts <= acquire.ts <= ends[0] <= clock.ts <= ends[1] <= ends[2]
    if not in_order or program.call.owner != id(_program.__code__) or acquire.call.owner:
        return "its times"
    if not clock.call.owner or object_at(clock.call.owner) is not monotonic_ns.__module__:
        return "its names"
    names = name_functions(
        (event.call.owner or 0, event.call.method_name or 0, event.call.type_name or 0, event.call.type)
        for event in (acquire, clock)
    )
    return "" if sorted(names.values()) == ["_thread.lock.acquire", "time.monotonic_ns"] else "its names"
