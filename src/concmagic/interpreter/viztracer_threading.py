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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from concmagic.interpreter import viztracer_library as library
from concmagic.interpreter.reading import borrowed

_tracers: list[object] = []  # ours, which live as long as the process
_installed: list[QuietThreading] = []
_ours: list[object] = []  # not empty: it is our tracer that is made, starts or stops


def _set_profile(hook: Any) -> None:
    """Up to 3.11, from the C code: without effect if it is for us, else as it would be.

    A tracer that is collected takes away whatever hook there is: ours stays. One that is made or started
    meets the real `threading` from then on, which knows the names of threads.
    """
    present = getattr(threading.getprofile(), "__self__", None)
    if not _ours and (hook is not None or present is None or present not in _tracers):
        threading.setprofile(hook)
        for quiet in _installed[:] if hook is not None else ():
            quiet.remove()


# Called as current_thread(): a nameless object, which VizTracer accepts.
_STAND_IN = types.SimpleNamespace(current_thread=types.SimpleNamespace, setprofile=_set_profile)
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_STAND_IN))  # a pointer in C may outlive this module


class QuietThreading:
    """The stand-in, in place between `install` and `remove`."""

    def __init__(self, file: str) -> None:
        slot = library.pointer(file, "threading_module")
        self._slot = slot if slot is not None and slot.value == id(threading) else None
        self._active_before: set[int] = set()

    def install(self) -> None:
        if self._slot is not None:
            self._slot.value = id(_STAND_IN)
            _installed[:] = [self]
        else:
            self._active_before = set(_dummies())

    def know(self, tracer: object) -> None:
        """This one is ours."""
        _tracers.append(tracer)

    @contextmanager
    def as_ours(self) -> Iterator[None]:
        """Within this block what VizTracer sets is for us."""
        _ours.append(self)
        try:
            yield
        finally:
            _ours.remove(self)

    def remove(self) -> None:
        if self._slot is not None:
            self._slot.value = id(threading)
            _installed.clear()
            return
        for ident in set(_dummies()) - self._active_before:
            borrowed(threading, "_active", {}).pop(ident, None)


def _dummies() -> list[int]:
    active: dict[int, threading.Thread] = borrowed(threading, "_active", {})
    dummy = borrowed(threading, "_DummyThread", ())
    return [ident for ident, thread in list(active.items()) if isinstance(thread, dummy)]
