"""Keep VizTracer's hands off `threading`.

VizTracer asks `threading.current_thread()` for the name of each thread it meets. From Python 3.12
on it meets them before `threading` knows them, and the question itself registers a "Dummy-N", which
the user sees in `threading.enumerate()` and which takes a number from "Thread-N". On 3.11 its
constructor replaces the user's `threading.setprofile` hook. Its C module reaches `threading`
through one pointer, so while a recording runs that pointer leads to a stand-in, whose answers run
no Python code and touch nothing. Threads' names are recorded elsewhere.
"""

from __future__ import annotations

import ctypes
import threading
import types

# Called as current_thread(): a nameless object, which VizTracer accepts. As setprofile(hook): no effect.
_STAND_IN = types.SimpleNamespace(current_thread=types.SimpleNamespace, setprofile=id)
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_STAND_IN))  # a pointer in C may outlive this module


class QuietThreading:
    """The stand-in, in place between `install` and `remove`."""

    def __init__(self, library: str) -> None:
        self._slot = _slot(library)
        self._active_before: set[int] = set()

    def install(self) -> None:
        if self._slot is not None:
            self._slot.value = id(_STAND_IN)
        else:
            self._active_before = set(_dummies())

    def remove(self) -> None:
        if self._slot is not None:
            self._slot.value = id(threading)
            return
        for ident in set(_dummies()) - self._active_before:
            threading._active.pop(ident, None)  # type: ignore[attr-defined]


def _slot(library: str) -> ctypes.c_void_p | None:
    """VizTracer's pointer to `threading`; None where the platform exports no such symbol (Windows)."""
    try:
        slot = ctypes.c_void_p.in_dll(ctypes.PyDLL(library), "threading_module")
    except (OSError, ValueError):
        return None
    return slot if slot.value == id(threading) else None


def _dummies() -> list[int]:
    active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]
    return [ident for ident, thread in list(active.items()) if isinstance(thread, threading._DummyThread)]
