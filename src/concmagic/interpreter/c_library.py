"""What the C library and Python's C interface do, and no function of Python's."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from typing import Any

_SET_PTRACER = 0x59616D61  # PR_SET_PTRACER


def hide() -> None:
    """In a thread of ours: from here on no profiler or tracer is told of what it does, ours neither.

    A profiler that takes the calls of all threads for those of one, as cProfile does from Python 3.12 on,
    would else take the user's functions for what ours called.
    """
    state = ctypes.pythonapi["PyThreadState_Get"]
    state.restype, state.argtypes = ctypes.c_void_p, ()
    enter = ctypes.pythonapi["PyThreadState_EnterTracing"]
    enter.restype, enter.argtypes = None, (ctypes.c_void_p,)
    enter(state())


def default_signal(number: int) -> None:
    """Let a signal do what it does by default; `signal.signal()` works in the main thread only."""
    ctypes.CDLL(None).signal(int(number), 0)


def let_trace(pid: int) -> None:
    """Let this process be looked at by another one, where Yama lets only ancestors."""
    ctypes.CDLL(None).prctl(_SET_PTRACER, ctypes.c_ulong(pid), 0, 0, 0)


def host_lookup() -> tuple[Any, str]:
    """Where Python looks up the names of hosts, under a name that no cell imports and keeps."""
    import _socket

    return _socket, "getaddrinfo"  # `socket.getaddrinfo` calls it


_SIGNAL_STACK_BYTES = 1 << 17


class Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


_memory: ctypes.Array[ctypes.c_char] | None = None  # never given back: a handler may stand on it


class SignalStack:
    """A large stack for signal handlers in the thread that calls both, from `enlarge` to `restore`.

    `faulthandler.register` gives the thread that calls it first a stack for signal handlers, for good: of
    12 to 18 KB, by the C library. With the registers of today's processors a frame on it has 3.6 KB, and a
    signal that is passed on to the handler before it has two. So the third to sixth that come at once have no
    room, and Linux ends the process. Without `faulthandler` handlers run on the thread's own stack.

    Where the system is not Linux, or refuses, nothing changes.
    """

    def __init__(self) -> None:
        import faulthandler

        self._before = exchanged(None)
        self._had_faults = faulthandler.is_enabled()

    def enlarge(self) -> None:
        """Call it after `faulthandler.register`, which may have set one of its own."""
        global _memory
        self._own = exchanged(None)
        if self._before is not None:
            _memory = _memory or ctypes.create_string_buffer(_SIGNAL_STACK_BYTES)
            exchanged(Stack(ctypes.addressof(_memory), 0, _SIGNAL_STACK_BYTES))

    def restore(self) -> None:
        """Set the stack that was there before; one of `faulthandler` stays if it was enabled meanwhile."""
        import faulthandler

        enabled_meanwhile = faulthandler.is_enabled() and not self._had_faults
        kept = self._own if enabled_meanwhile else self._before
        if kept is not None:
            exchanged(kept)


def exchanged(new: Stack | None) -> Stack | None:
    """Set this stack, or none of them; what was set before, None where that is not known."""
    if sys.platform != "linux":
        return None
    before = Stack()
    with suppress(AttributeError, OSError):
        call = ctypes.CDLL(None).sigaltstack
        call.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        asked = None if new is None else ctypes.addressof(new)
        if call(asked, ctypes.addressof(before)) == 0:
            return before
    return None
