"""At which number of `sys.monitoring` VizTracer records: not at the one that it asks for, which others need.

It asks for 2, as cProfile and line_profiler do, and takes it even from who has it. Its C module reaches
`sys` through one pointer: while it starts or stops for us, that leads to a stand-in, which puts another
number in the place of 2. At all other times it is as ever, for a VizTracer of the user's own.
"""

from __future__ import annotations

import ctypes
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from concmagic.interpreter import tool_numbers
from concmagic.interpreter import viztracer_library as library

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

    def when_asked(self, step_back: tool_numbers.StepBack, other: Callable[[], None]) -> None:
        """Who asks for the number gets it after `step_back`; where another VizTracer starts, do `other`."""
        if self.number != USUAL:
            tool_numbers.when_asked(USUAL, lambda name: other() if name == "viztracer" else None)
        tool_numbers.when_asked(self.number, step_back)

    def forget(self) -> None:
        """Before the end: nobody has to ask any more."""
        tool_numbers.forget(USUAL)
        tool_numbers.forget(self.number)

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
