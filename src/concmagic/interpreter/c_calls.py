"""What the C library and Python's C interface do, and no function of Python's."""

from __future__ import annotations

import ctypes
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
