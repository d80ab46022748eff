"""Keeps from the cell what VizTracer does to `threading`, to `sys.monitoring` and by a warning.

VizTracer asks `threading.current_thread()` for the name of each thread it meets. From Python 3.12
on it meets them before `threading` knows them, and the question itself registers a "Dummy-N", which
the user sees in `threading.enumerate()` and which takes a number from "Thread-N". On 3.11 its
constructor replaces the user's `threading.setprofile` hook. Its C module reaches `threading`
through one pointer, so while a recording runs that pointer leads to a stand-in, whose answers run
no Python code and touch nothing. Threads' names are recorded elsewhere.

It asks for number 2 of `sys.monitoring`, as cProfile and line_profiler do, and takes it even from who has it.
Its C module reaches `sys` through one pointer: while it starts or stops for us, that leads to a stand-in,
which puts another number in the place of 2. At all other times it is as ever, for a VizTracer of the user's
own.

It gives up recording, and warns, when a call returns that it had not seen begin. Code that switches stacks
makes such returns, and so does every exception that the handler of a signal raises while a function begins,
an interrupt's above all: Python looks for signals before it tells that the function was called.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import profiler_hooks
from concmagic.interpreter import viztracer_library as library
from concmagic.interpreter.borrowing import Patches, borrowed

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


NAME = "concmagic calls"
USUAL = 2
# 5 is kept for optimizers, of which there is none. That of the locks, 4, is only taken if it is left.
_NUMBERS = (5, 3, 4, USUAL)


class ToolPlace:
    """The number that is used now, from `take` to `leave`."""

    def __init__(self, file: str) -> None:
        self.number = USUAL
        self._monitoring: Any = vars(sys)["monitoring"]
        pointer = library.pointer(file, "sys_module")
        self._pointer = pointer if pointer is not None and pointer.value == id(sys) else None
        stand_in = types.SimpleNamespace(monitoring=types.SimpleNamespace(**self._functions()))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(stand_in))  # a pointer in C may outlive this module
        self._stand_in = stand_in

    def take(self) -> bool:
        """Choose a number that is free; False: there is none."""
        numbers = (USUAL,) if self._pointer is None else _NUMBERS
        free = [one for one in numbers if self._monitoring.get_tool(one) is None]
        self.number = free[0] if free else USUAL
        return bool(free)

    @property
    def is_safe(self) -> bool:
        """Whether VizTracer can end even where another has the number by now."""
        return self._pointer is not None

    def is_lost(self) -> bool:
        """Whether the number has been taken away, or freed, since."""
        return bool(self._monitoring.get_tool(self.number) != self._name())

    def is_taken(self) -> bool:
        """Whether anybody has the number."""
        return self._monitoring.get_tool(self.number) is not None

    def calls(self, tracer: Any) -> bool:
        """Whether this tracer is told of functions' starts: that can only be asked by replacing it."""
        event = self._monitoring.events.PY_START
        callback = self._monitoring.register_callback(self.number, event, None)
        self._monitoring.register_callback(self.number, event, callback)
        return getattr(callback, "__self__", None) is tracer

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within this block VizTracer starts or stops for us."""
        if self._pointer is None:
            yield
            return
        self._pointer.value = id(self._stand_in)
        try:
            yield
        finally:
            self._pointer.value = id(sys)

    def reclaim(self) -> None:
        """Before the end: take a number that was freed once more, for its events go on up to 3.13."""
        if self._monitoring.get_tool(self.number) is None:
            self._monitoring.use_tool_id(self.number, self._name())

    def leave(self, tracer: Any) -> None:
        """After the end: no callback of ours is left there, also where another has the number now."""
        monitoring, mine = self._monitoring, 0
        events = {number for number in vars(monitoring.events).values() if _is_one(number)}
        for event in events:
            found = monitoring.register_callback(self.number, event, None)
            if getattr(found, "__self__", None) is tracer:
                mine |= event
            elif found is not None:
                monitoring.register_callback(self.number, event, found)
        if mine and monitoring.get_tool(self.number) is not None:
            monitoring.set_events(self.number, monitoring.get_events(self.number) & ~mine)

    def when_asked(self, step_back: profiler_hooks.StepBack, other: Callable[[], None]) -> None:
        """Who asks for the number gets it after `step_back`; where another VizTracer starts, do `other`."""
        if self.number != USUAL:
            profiler_hooks.when_asked(USUAL, lambda name: other() if name == "viztracer" else None)
        profiler_hooks.when_asked(self.number, step_back)

    def forget(self) -> None:
        """Before the end: nobody has to ask any more."""
        profiler_hooks.forget(USUAL)
        profiler_hooks.forget(self.number)

    def _name(self) -> str:
        return "viztracer" if self._pointer is None else NAME

    def _functions(self) -> dict[str, Any]:
        """What VizTracer calls, each with a number first, which is 2."""
        real = self._monitoring
        return {
            "use_tool_id": lambda _, name: real.use_tool_id(self.number, NAME),
            "free_tool_id": lambda _: real.free_tool_id(self.number),
            "register_callback": lambda _, event, call: real.register_callback(self.number, event, call),
            "set_events": lambda _, events: real.set_events(self.number, events),
            "get_tool": lambda _: None if self.is_lost() else NAME,
        }


def _is_one(number: int) -> bool:
    """Whether it is one event, not a sum of several."""
    return bool(number) and not number & (number - 1)


_BEGIN = "VizTracer: Unexpected function return"


class GivingUp:
    """Whether VizTracer gave up between `start()` and `stop()`, and when."""

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
