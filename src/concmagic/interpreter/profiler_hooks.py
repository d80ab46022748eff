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
from collections import deque
from collections.abc import Callable
from itertools import accumulate, chain, repeat, takewhile
from operator import itemgetter, truth
from typing import Any

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
