"""Where profilers hook in: every thread's profile function (3.11), numbers of `sys.monitoring` (from 3.12).

3.11: set or clear the profile function of every thread at once. There it belongs to a thread, and a thread
can only change its own, so VizTracer misses threads that existed before and cannot release those it entered:
they stay four times slower after the tracer has stopped. `_PyEval_SetProfile` takes the thread as an argument
(it is what 3.12's public `PyEval_SetProfileAllThreads` calls); it asks only that the GIL is held throughout.

From 3.12 on: who asks for a number of `sys.monitoring` that is ours for the length of a cell gets it. There
are six, and most tools know one only: without this the user's line that takes it would fail.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain, repeat, takewhile
from operator import itemgetter, truth
from typing import Any

from concmagic.interpreter import viztracer_library
from concmagic.interpreter.borrowing import Capability, Patches, missing, unless
from concmagic.interpreter.frames_and_threads import hide_frame

NEEDED = sys.version_info < (3, 12)


def set_all(function: int, argument: object) -> bool:
    """Make a C profile function that of all threads; False where this Python offers no way."""
    return _for_all(function, ctypes.py_object(argument))


def clear_all() -> bool:
    """Leave no thread with a profile function; False where this Python offers no way."""
    return _for_all(None, None)


def _for_all(function: int | None, argument: object) -> bool:
    """Walk the list of threads without ever giving up the GIL.

    Between two bytecodes another thread might run and end, and the walk would step onto its freed
    entry. So the whole walk is one call of `deque`: iterators and foreign functions written in C,
    with no bytecode between them, and no garbage collection, whose finalizers are bytecode.

    A thread of native code that comes to Python (`PyGILState_Ensure`) enters the list without the GIL,
    and before its entry is filled in. It holds the list's own lock meanwhile: `settled` takes that lock
    and returns it, after an entry was met and before it is used.
    """
    api = ctypes.pythonapi  # a PyDLL: its functions keep the GIL
    try:
        set_profile = _typed(api["_PyEval_SetProfile"], ctypes.c_int, 3)
        first = _typed(api["PyInterpreterState_ThreadHead"], ctypes.c_void_p, 1)
        following = _typed(api["PyThreadState_Next"], ctypes.c_void_p, 2)  # the second is ignored
        interpreter = _typed(api["PyInterpreterState_Get"], ctypes.c_void_p, 0)()
        settled = _typed(api["_PyInterpreterState_LookUpID"], ctypes.c_void_p, 0)
        settled.argtypes = (ctypes.c_int64,)
    except AttributeError:
        return False
    if argument is not None:
        set_profile.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.py_object)
    heads = chain(map(first, (interpreter,)), repeat(0))
    met = takewhile(truth, accumulate(heads, following))
    threads = map(itemgetter(0), zip(met, map(settled, repeat(0)), strict=False))
    collected = gc.isenabled()
    gc.disable()
    try:
        deque(map(set_profile, threads, repeat(function), repeat(argument)), maxlen=0)
    finally:
        if collected:
            gc.enable()
    return True


def _typed(function: Any, result: Any, arguments: int) -> Any:
    function.restype, function.argtypes = result, (ctypes.c_void_p,) * arguments
    return function


def probe_profiles() -> Capability:
    """Whether the functions are there by which all threads are given a profile function."""
    names = ("_PyEval_SetProfile", "_PyInterpreterState_LookUpID", "PyThreadState_Next")
    return missing(**{name: hasattr(ctypes.pythonapi, name) for name in names})


StepBack = Callable[[str], None]  # is told who takes the number; "" is that it was freed

_ours: dict[int, StepBack] = {}
_patches = Patches()


def when_asked(number: int, step_back: StepBack) -> None:
    """From now on: do this as soon as somebody asks for the number, and before he gets it."""
    if not _ours:
        monitoring: Any = vars(sys)["monitoring"]
        for name in ("use_tool_id", "free_tool_id"):
            _patches.set(monitoring, name, _asking_first(getattr(monitoring, name)))
    _ours[number] = step_back


def forget(number: int) -> None:
    """Let who asks for the number have it unhindered. Again is harmless."""
    _ours.pop(number, None)
    if not _ours:
        _patches.restore()


def _asking_first(original: Any) -> Any:
    def wrapper(*arguments: Any) -> Any:
        number, *name = arguments or (None,)
        step_back = _ours.get(number) if type(number) is int else None
        if step_back is not None:
            _step_back(step_back, name[0] if name and isinstance(name[0], str) else "")
        try:
            return original(*arguments)
        except BaseException as error:
            hide_frame(error)
            raise

    wrapper.__name__ = wrapper.__qualname__ = original.__name__
    return wrapper


def _step_back(step_back: StepBack, name: str) -> None:
    try:
        step_back(name)
    except Exception:  # then the number is not free, and the user's line says so
        return


def leave_to_another(tool: int, callbacks: dict[int, Any], codes: Sequence[types.CodeType]) -> None:
    """The tool is another's now: take out what is still ours, and nothing of theirs."""
    monitoring: Any = vars(sys)["monitoring"]
    mine = 0
    for event, callback in callbacks.items():
        found = monitoring.register_callback(tool, event, None)
        if found == callback:
            mine |= event
        else:
            monitoring.register_callback(tool, event, found)
    monitoring.set_events(tool, monitoring.get_events(tool) & ~mine)
    for code in codes:
        monitoring.set_local_events(tool, code, monitoring.get_local_events(tool, code) & ~mine)


NAME = "concmagic calls"
USUAL = 2
# 5 is kept for optimizers, of which there is none. That of the locks, 4, is only taken if it is left.
_NUMBERS = (5, 3, 4, USUAL)


class ToolPlace:
    """The number of `sys.monitoring` that VizTracer records at for us, from `take` to `leave`.

    It asks for number 2, as cProfile and line_profiler do, and takes it even from who has it. Its C module
    reaches `sys` through one pointer: while it starts or stops for us, that leads to a stand-in, which puts
    another number in the place of 2. At all other times it is as ever, for a VizTracer of the user's own.
    """

    def __init__(self, file: str) -> None:
        self.number = USUAL
        self._monitoring: Any = vars(sys)["monitoring"]
        pointer = viztracer_library.pointer(file, "sys_module")
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
        """Remove our callbacks after the recording's end, also where another tool has the number now."""
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

    def when_asked(self, step_back: StepBack, other: Callable[[], None]) -> None:
        """Who asks for the number gets it after `step_back`; where another VizTracer starts, do `other`."""
        if self.number != USUAL:
            when_asked(USUAL, lambda name: other() if name == "viztracer" else None)
        when_asked(self.number, step_back)

    def forget(self) -> None:
        """Before the end: nobody has to ask any more."""
        forget(USUAL)
        forget(self.number)

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


def probe_monitoring() -> Capability:
    """Whether `sys.monitoring` tells of one call of a known function, at a number that is free."""
    monitoring: Any = vars(sys).get("monitoring")
    free = (
        None if monitoring is None else next((n for n in (5, 4, 3) if monitoring.get_tool(n) is None), None)
    )
    if monitoring is None or free is None:
        return unless("there is no `sys.monitoring`" if monitoring is None else "all its numbers are taken")
    seen: list[Any] = []
    code, event = _probed.__code__, monitoring.events.PY_START
    monitoring.use_tool_id(free, "concmagic probe_monitoring")
    try:
        monitoring.register_callback(free, event, lambda code, offset: seen.append(code))
        monitoring.set_local_events(free, code, event)
        _probed()
        monitoring.set_local_events(free, code, 0)
        monitoring.register_callback(free, event, None)
    finally:
        monitoring.free_tool_id(free)
    return unless("" if seen == [code] else "a call of a known function was not told once")


def _probed() -> None: ...
