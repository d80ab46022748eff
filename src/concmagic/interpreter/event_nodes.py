"""The memory that VizTracer 1.1 records into, as ctypes structures, and how it is copied out.

VizTracer's own `load()` and `dump()` follow pointers that the events only borrow: the name of a C
function and of the type of its `self`. When that type has been collected meanwhile they read freed
memory: garbage names, now and then a crash of the process. Here the events are copied as they lie,
and borrowed pointers are only ever compared with addresses of objects known to be alive, never
followed. So whoever allocated a name, and whenever it was freed (method tables that binding
generators build at run time, for one), nothing can be read that is not there any more.

The layout is that of VizTracer's `snaptrace.h` and `eventnode.h`; `viztracer_check` tries it before
anything trusts it. Standard library only: child processes import this.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Iterator

_Pointer = ctypes.c_void_p

# `type` of an event: CPython's PyTrace_* numbers. An open call is written as "call", a closed one
# as "return".
PY_OPEN, PY_CLOSED, C_OPEN, C_CLOSED = 0, 3, 4, 6
FUNCTION_NODE = 1

_HEAD_BYTES = object.__basicsize__  # PyObject_HEAD of this build, debug and free-threaded ones included
_ThreadKey = ctypes.c_ulong if sys.platform == "darwin" else ctypes.c_uint  # pthread_key_t, or a DWORD


class FunctionEvent(ctypes.Structure):
    """One call. `owner` is a code object, or a C function's module name, or NULL for a method."""

    _fields_ = (
        ("arguments", _Pointer),
        ("returned", _Pointer),
        ("owner", _Pointer),
        ("method_name", _Pointer),  # borrowed: compare only
        ("type_name", _Pointer),  # borrowed: compare only
        ("type", ctypes.c_int),
        ("duration", ctypes.c_int64),
        ("task", _Pointer),
    )


class EventNode(ctypes.Structure):
    """One entry of the buffer; the call is the largest member of a union."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("ts", ctypes.c_int64),
        ("native_id", ctypes.c_ulong),
        ("call", FunctionEvent),
    )


class ThreadInfo(ctypes.Structure):
    """What VizTracer keeps for a living thread it has met."""

    _fields_ = (
        ("paused", ctypes.c_int),
        ("stack_depth", ctypes.c_int),
        ("ignore_depth", ctypes.c_int),
        ("native_id", ctypes.c_ulong),
        ("stack_top", _Pointer),
    )


class ThreadNode(ctypes.Structure):
    """One link of the list of all threads ever met; `info` is NULL once the thread has ended."""

    _fields_ = (
        ("next", _Pointer),
        ("native_id", ctypes.c_ulong),
        ("name", _Pointer),
        ("info", _Pointer),
    )


class TracerHead(ctypes.Structure):
    """The Tracer object itself, from its first byte to its last."""

    _fields_ = (
        ("object_head", ctypes.c_byte * _HEAD_BYTES),
        ("thread_key", _ThreadKey),
        ("collecting", ctypes.c_int),
        ("fixed_pid", ctypes.c_long),
        ("total_entries", ctypes.c_ulong),
        ("flags", ctypes.c_uint),
        ("verbose", ctypes.c_int),
        ("library", _Pointer),
        ("max_stack_depth", ctypes.c_int),
        ("process_name", _Pointer),
        ("include_files", _Pointer),
        ("exclude_files", _Pointer),
        ("represent", _Pointer),
        ("min_duration", ctypes.c_double),
        ("buffer", _Pointer),
        ("buffer_size", ctypes.c_long),
        ("first", ctypes.c_long),
        ("end", ctypes.c_long),
        ("sync_marker", ctypes.c_int64),
        ("threads", _Pointer),
    )


def threads_met(head: TracerHead) -> Iterator[ThreadNode]:
    """The notes of all threads that VizTracer has met, the last first."""
    address = head.threads
    while address:
        node = ThreadNode.from_address(address)
        yield node
        address = node.next


NODE_BYTES = ctypes.sizeof(EventNode)
CALL_OFFSET: int = EventNode.call.offset

_OWNER: int = CALL_OFFSET + FunctionEvent.owner.offset
_TYPE_END: int = CALL_OFFSET + FunctionEvent.type.offset + ctypes.sizeof(ctypes.c_int)
# owner, method name, type name and type lie side by side: what tells one function from another.
_SIGNATURE = struct.Struct(f"{_OWNER}x{_TYPE_END - _OWNER}s{NODE_BYTES - _TYPE_END}x")
_SIGNATURE_PARTS = struct.Struct("PPPi")


def used(head: TracerHead) -> int:
    """How many events the buffer holds."""
    return int((head.end - head.first) % head.buffer_size)


def copy_nodes(head: TracerHead, passed: int = 0) -> bytes:
    """Copy the events out, oldest first, but for the first ones ever, so many as were `passed` on.

    The buffer is a ring, whose end may lie before its start.
    """
    start = max(head.first, passed)
    if head.first <= head.end:
        return copy_part(head, start, head.end)
    return copy_part(head, start, head.buffer_size) + copy_part(head, 0, head.end)


def copy_part(head: TracerHead, start: int, end: int) -> bytes:
    """Copy the events between two places of the buffer.

    It lasts until the tracer is emptied, which who reads does afterwards. While it is recorded into, this is
    one call that keeps the GIL, and who writes has the GIL.
    """
    return ctypes.string_at(head.buffer + start * NODE_BYTES, (end - start) * NODE_BYTES)


def signatures(nodes: bytes) -> set[tuple[int, int, int, int]]:
    """Tell the distinct (owner, method name, type name, type) of the events, as addresses.

    Without numpy, which a child must not import, and still one pass in C.
    """
    distinct = set(_SIGNATURE.iter_unpack(nodes))
    return {_SIGNATURE_PARTS.unpack(packed) for (packed,) in distinct}


def object_at(address: int) -> object:
    """The object at an address that somebody holds a reference to."""
    return ctypes.cast(address, ctypes.py_object).value


def new_buffer(head: TracerHead, entries: int) -> None:
    """Give an idle tracer an empty buffer; its pages are the system's until they are written."""
    memory = ctypes.pythonapi["PyMem_Calloc"]
    memory.restype, memory.argtypes = _Pointer, (ctypes.c_size_t, ctypes.c_size_t)
    address = memory(entries + 1, NODE_BYTES)  # one more: a ring's end must differ from its start
    if not address:
        raise MemoryError(f"no room for a buffer of {entries} events")
    free_buffer(head)
    head.buffer, head.buffer_size = address, entries + 1


def free_buffer(head: TracerHead) -> None:
    """Take the buffer away from an idle tracer whose events have been cleared."""
    address, head.buffer = head.buffer, None
    head.buffer_size, head.first, head.end = 1, 0, 0
    if address:
        _give("PyMem_Free", address)


def _give(name: str, address: int | None) -> None:
    function = ctypes.pythonapi[name]
    function.restype, function.argtypes = None, (_Pointer,)
    function(address)


def free_thread(address: int, node: ThreadNode) -> None:
    """Free the note of a thread that has ended, which is in no list any more."""
    _give("Py_DecRef", node.name)
    _give("PyMem_Free", address)


def forget_ended_threads(head: TracerHead) -> None:
    """VizTracer keeps a note of every thread it ever met and searches them all for each new one.

    A living thread's note must stay, and what it leads to not be touched: the thread may be
    about to end, and frees that between any two steps of ours.
    """
    kept, address = None, head.threads
    while address:
        node = ThreadNode.from_address(address)
        following = node.next
        if node.info or kept is None:
            kept = node
        else:
            kept.next = following
            free_thread(address, node)
        address = following
