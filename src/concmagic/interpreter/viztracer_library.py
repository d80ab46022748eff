"""VizTracer's own tracer without the rest of VizTracer, and without what that does to the cell.

VizTracer asks `threading.current_thread()` for the name of each thread it meets. From Python 3.12
on it meets them before `threading` knows them, and the question itself registers a "Dummy-N", which
the user sees in `threading.enumerate()` and which takes a number from "Thread-N". On 3.11 its
constructor replaces the user's `threading.setprofile` hook. Its C module reaches `threading`
through one pointer, so while a recording runs that pointer leads to a stand-in, whose answers run
no Python code and touch nothing. Threads' names are recorded elsewhere.
"""

from __future__ import annotations

import _imp
import builtins
import ctypes
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec, PathFinder
from importlib.util import find_spec, spec_from_file_location
from types import ModuleType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import Patches, borrowed

_NAME = "viztracer.snaptrace"
# The extension imports it when it is loaded, for programs that run on it. Where nobody has imported it there
# is no such program; its import would take several times as long as all else, and starts a process.
_UNWANTED = "trio"

_known = ""
_loaded: list[ModuleType] = []  # by us: one at most


def know(file: str) -> None:
    """In a child: its parent has loaded it from there."""
    global _known
    _known = file


def load() -> ModuleType:
    """The extension module; nothing else of VizTracer is imported, which takes a child 5 ms.

    Nothing of it stands in `sys.modules`: a later import of VizTracer is the user's own and goes as ever.
    It gets the very same tracer type.
    """
    module = loaded()
    if module is None:
        module = _load_known() or _execute(_find())
        _loaded.append(module)
    return module


def loaded() -> ModuleType | None:
    """The extension module if the user or we have loaded it."""
    return _loaded[0] if _loaded else sys.modules.get(_NAME)


def file() -> str:
    """Where it lies; "" if it was not loaded here."""
    return getattr(loaded(), "__file__", "") or ""


def pointer(file: str, name: str) -> ctypes.c_void_p | None:
    """A pointer that its C code keeps; None where the platform exports no such symbol (Windows)."""
    try:
        return ctypes.c_void_p.in_dll(ctypes.PyDLL(file), name)
    except (OSError, ValueError):
        return None


def current_tracer() -> int:
    """Address of the VizTracer tracer that collects now, 0 is none or that it cannot be told.

    Only compared: it may be freed already.
    """
    slot = pointer(file(), "curr_tracer") if loaded() is not None else None
    return 0 if slot is None else slot.value or 0


def _load_known() -> ModuleType | None:
    """From where the parent has it; None if that is not there, or of another Python."""
    if not _known.endswith(EXTENSION_SUFFIXES[0]):
        return None
    spec = spec_from_file_location(_NAME, _known, loader=ExtensionFileLoader(_NAME, _known))
    try:
        return None if spec is None else _execute(spec)
    except (ImportError, OSError):
        return None


def _find() -> ModuleSpec:
    package = find_spec("viztracer")  # executes nothing of it
    if package is None:
        raise ModuleNotFoundError("No module named 'viztracer'")
    spec = PathFinder.find_spec(_NAME, package.submodule_search_locations or ())
    if spec is None:
        raise ModuleNotFoundError(f"No module named {_NAME!r}")
    return spec


def _execute(spec: ModuleSpec) -> ModuleType:
    """Load an extension in a frame whose `__import__`, which its C code uses, is ours."""
    here = {"__builtins__": {"__import__": _import}, "spec": spec, "imp": _imp}
    module: ModuleType = eval("imp.create_dynamic(spec)", here)
    if sys.modules.get(spec.name) is module:
        del sys.modules[spec.name]
    eval("imp.exec_dynamic(module)", here | {"module": module})
    return module


def _import(name: str, *rest: Any) -> Any:
    if name == _UNWANTED and not _is_imported(name):
        raise ImportError(f"{name} is left to those who use it")
    return builtins.__import__(name, *rest)


def _is_imported(name: str) -> bool:
    """Whether it is there and complete: one that a thread is just importing would be waited for."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


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
    """The stand-in for `threading`, in place between `install` and `remove`."""

    def __init__(self, file: str) -> None:
        slot = pointer(file, "threading_module")
        self._slot = slot if slot is not None and slot.value == id(threading) else None
        self._active_before: set[int] = set()

    def install(self) -> None:
        """Put the stand-in in place; without its pointer, note which dummy threads there are."""
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
        """Put `threading` back; without the pointer, remove the dummy threads that came since."""
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


_BEGIN = "VizTracer: Unexpected function return"


class GivingUp:
    """Whether VizTracer gave up between `start()` and `stop()`, and when.

    It gives up recording, and warns, when a call returns that it had not seen begin. Code that switches
    stacks makes such returns, and so does every exception that the handler of a signal raises while a
    function begins, an interrupt's above all: Python looks for signals before it tells of the call.
    """

    def __init__(self) -> None:
        self.at_ns: int | None = None
        self._patches = Patches()

    def start(self) -> None:
        """Keep its warning away from the cell's output from now on."""
        self._patches.wrap(warnings, "_showwarnmsg", self._without_its_own)

    def _without_its_own(self, show: Any) -> Any:
        def _showwarnmsg(message: Any) -> None:
            if message.category is RuntimeWarning and str(message.message).startswith(_BEGIN):
                self.at_ns = monotonic_ns()
            else:
                show(message)

        return _showwarnmsg

    def stop(self) -> None:
        """Put Python's own way to show warnings back."""
        self._patches.restore()
