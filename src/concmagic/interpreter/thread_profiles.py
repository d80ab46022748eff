"""Python 3.11: set or clear the profile function of every thread at once.

There it belongs to a thread, and a thread can only change its own, so VizTracer misses threads that
existed before and cannot release those it entered: they stay four times slower after the tracer
has stopped. `_PyEval_SetProfile` takes the thread as an argument (it is what 3.12's public
`PyEval_SetProfileAllThreads` calls); it asks only that the GIL is held throughout.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections import deque
from itertools import accumulate, chain, repeat, takewhile
from operator import itemgetter, truth
from typing import Any

from concmagic.interpreter.capability import Capability, missing

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


def probe() -> Capability:
    """Whether the functions are there by which all threads are given a profile function."""
    names = ("_PyEval_SetProfile", "_PyInterpreterState_LookUpID", "PyThreadState_Next")
    return missing(**{name: hasattr(ctypes.pythonapi, name) for name in names})
