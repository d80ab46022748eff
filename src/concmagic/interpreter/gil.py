"""Where this interpreter keeps its GIL, so that a wait for it can be told from a wait for a lock.

A wait shows as a futex call with an address. The GIL of the main interpreter lies inside the static
structure `_PyRuntime` on 3.11 to 3.14, and nothing else that is waited for by address does: the
locks that Python code sees are on the heap (3.14: on stacks). So the structure's place and length
are enough for that.

Who holds it stands there too: three words of the GIL are the switch interval, the thread state that
had it last, and whether it is held. From 3.13 on the structure begins with a table of offsets, made for
debuggers (Include/internal/pycore_debug_offsets.h), which tells where; what stands there is compared with
what must be there while this thread runs. Before, and where that differs, they are searched by that, so no
layout is assumed; where it is not found exactly once, the holder is not read.
"""

from __future__ import annotations

import ctypes
import functools
import struct
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from concmagic.interpreter import borrowing
from concmagic.interpreter.borrowing import Capability, unless

_ASSUMED_SIZE = 1 << 19  # where the C library cannot tell a symbol's length
_SYMBOL_SIZE_AT = 16  # in an Elf64_Sym
_WITH_SYMBOL = 1  # RTLD_DL_SYMENT


@dataclass(frozen=True, slots=True)
class GilPlace:
    """The structure's place relative to where `file` begins in memory, in bytes."""

    file: str
    offset: int
    size: int
    holder: int = 0  # within the structure: the last holder's thread state, then whether it is held
    native: int = 0  # within a thread state: the native id; both 0: they are not known


class _DlInfo(ctypes.Structure):
    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


@functools.cache
def find() -> GilPlace | None:
    """Find it in this process; None where it cannot be told."""
    try:
        address = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
        base, size = _around(address)
        file = _mapped_at(base)
    except (AttributeError, OSError, ValueError):
        return None
    if not file:
        return None
    holder, native = published(address)
    if not 0 < holder < size or size == _ASSUMED_SIZE:
        holder, native = _holder(address, size)
    return GilPlace(file, address - base, size, holder, native)


class _Published(NamedTuple):
    """Which word of the table of offsets is about what."""

    next_interpreter: int
    locked: int
    holder: int
    native: int  # the native id of a thread state
    interpreters: int = 5  # of the runtime: the newest interpreter
    interpreters_id: int = 7


_COOKIE = b"xdebugpy"
_PUBLISHED = {
    (3, 13): _Published(8, 17, 18, 25),
    (3, 14): _Published(8, 18, 19, 28),
    (3, 15): _Published(8, 18, 19, 31),
}
_MOST_INTERPRETERS = 1_000


def published(address: int) -> tuple[int, int]:
    """As `_holder`, by the table of offsets that stands at the structure's beginning; 0 is not known."""
    table = _PUBLISHED.get(sys.version_info[:2])
    if table is None or ctypes.string_at(address, 8) != _COOKIE or _word(address + 8) != sys.hexversion:
        return 0, 0
    words = struct.unpack("=32Q", ctypes.string_at(address, 32 * 8))
    interpreter = _word(address + words[table.interpreters])
    for _ in range(_MOST_INTERPRETERS):
        if not interpreter or not _word(interpreter + words[table.interpreters_id]):
            break
        interpreter = _word(interpreter + words[table.next_interpreter])
    if not interpreter or words[table.locked] != words[table.holder] + 8:
        return 0, 0
    state, holder = _own_state(), interpreter + words[table.holder]
    native = words[table.native]
    is_right = _word(holder) == state and ctypes.c_int.from_address(holder + 8).value == 1
    is_right = is_right and _word(state + native) == threading.get_native_id()
    return (holder - address, native) if is_right else (0, 0)


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _own_state() -> int:
    own = ctypes.pythonapi.PyThreadState_Get
    own.restype = ctypes.c_void_p
    return int(own())


def _holder(address: int, size: int) -> tuple[int, int]:
    """Where the holder is told, and its native id within its thread state."""
    if size == _ASSUMED_SIZE or ctypes.sizeof(ctypes.c_void_p) != 8:
        return 0, 0  # reading past the structure's end would end the process
    state = _own_state()
    memory = ctypes.string_at(address, size)  # static: it lasts as long as the process; others may write
    words = struct.pack("=QQ", round(sys.getswitchinterval() * 1e6), state)
    found = memory.find(words)
    if found < 0 or memory.find(words, found + 1) >= 0 or memory[found + 16] != 1:
        return 0, 0
    # The first thread's state lies in the structure, so that looking through it ends where that ends.
    ids = struct.pack("=QQ", threading.get_ident(), threading.get_native_id())
    native = memory.find(ids, state - address) if 0 <= state - address < size else -1
    return (found + 8, native - (state - address) + 8) if native >= 0 else (0, 0)


def _around(address: int) -> tuple[int, int]:
    """Where the file that holds this address begins in memory, and the length of the symbol there."""
    library = ctypes.CDLL(None)
    info, symbol = _DlInfo(), ctypes.c_void_p()
    if hasattr(library, "dladdr1"):
        library.dladdr1(ctypes.c_void_p(address), ctypes.byref(info), ctypes.byref(symbol), _WITH_SYMBOL)
    else:
        library.dladdr(ctypes.c_void_p(address), ctypes.byref(info))
    if not info.base:
        raise ValueError("the dynamic linker does not know _PyRuntime")
    if not symbol.value or info.address != address or ctypes.sizeof(ctypes.c_void_p) != 8:
        return info.base, _ASSUMED_SIZE
    return info.base, ctypes.c_uint64.from_address(symbol.value + _SYMBOL_SIZE_AT).value


def _mapped_at(base: int) -> str:
    """The file that is mapped from this address on, as the kernel names it."""
    for line in Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines():
        if int(line.partition("-")[0], 16) == base:
            return line.split(maxsplit=5)[-1] if line.count("/") else ""
    return ""


def probe() -> Capability:
    """Whether the GIL's place is found, and that this thread has it."""
    if borrowing.FREE_THREADED:
        return unless("a free-threaded build may run without")
    place = find()
    if place is None:
        return unless("its place is not found")
    return unless("" if place.holder and place.native else "who has it is not found")
