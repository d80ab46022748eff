"""Which calls are worth a slice: the user's own functions, and their first step into a library."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from concmagic.importing.calls.columns import Bools, Calls, Int64s, Positions, positions, take
from concmagic.interpreter.recorded_calls import IMPORT
from concmagic.records.recording import RawCode


def select_own_code(calls: Calls, is_own: Callable[[str, str], bool]) -> Calls:
    """Keep the calls of functions whose file is the user's own, and what those call directly.

    An `import` becomes one call, "import NAME", with nothing inside. Depths are counted anew.
    """
    calls = collapse_imports(calls)
    own = own_functions(calls, is_own)[calls.function]
    caller = calls.caller
    # A C function whose class is gone has no name that may be read: nothing to write on a slice.
    named = np.array([bool(code.name) for code in calls.functions], np.bool_)[calls.function]
    return take(calls, own | ((caller >= 0) & own[caller] & named))


def own_functions(calls: Calls, is_own: Callable[[str, str], bool]) -> Bools:
    """Tell of each function, not of each call, whether it is the user's own."""
    own = [is_own(code.file, code.name) and not code.name.startswith("import ") for code in calls.functions]
    return np.array(own, np.bool_)


def collapse_imports(calls: Calls) -> Calls:
    """Replace all that an import statement did by one call named after what it loaded first."""
    numbers = [number for number, code in enumerate(calls.functions) if (code.file, code.name) == IMPORT]
    found = np.flatnonzero(np.isin(calls.function, numbers)) if numbers else np.empty(0, np.intp)
    if not len(found):
        return calls
    start, end = positions(calls.native_id, calls.start_ns, calls.end_ns)
    outer = found[_outermost(start[found], end[found])]
    hidden = _inside(outer, start, end)
    return take(_named(calls, outer, hidden), ~hidden)


def _outermost(start: Int64s, end: Int64s) -> Bools:
    """Of intervals in order of their start, those that no earlier one contains."""
    latest = np.maximum.accumulate(end)
    return np.concatenate((np.ones(1, np.bool_), start[1:] >= latest[:-1]))


def _inside(outer: Positions, start: Int64s, end: Int64s) -> Bools:
    """Which calls lie within one of the outer ones, those themselves not counted."""
    last = np.searchsorted(outer, np.arange(len(start)), side="right") - 1
    within: Bools = (last >= 0) & (start < end[outer[last]])
    within[outer] = False
    return within


def _named(calls: Calls, outer: Positions, hidden: Bools) -> Calls:
    """Name each import by the first module body that ran in it; a C module has none."""
    bodies = [number for number, code in enumerate(calls.functions) if code.name == "<module>"]
    ran = np.flatnonzero(np.isin(calls.function, bodies) & hidden) if bodies else np.empty(0, np.intp)
    function, functions = calls.function.copy(), list(calls.functions)
    number: dict[RawCode, int] = {}
    for at, following in zip(outer.tolist(), np.searchsorted(ran, outer).tolist(), strict=True):
        body = ran[following] if following < len(ran) else None
        code = RawCode("import", "", 0)
        if body is not None and _contains(calls, at, body):
            code = _import_of(calls.functions[calls.function[body]].file)
        if code not in number:
            number[code] = len(functions)
            functions.append(code)
        function[at] = number[code]
    return replace(calls, function=function, functions=tuple(functions))


def _contains(calls: Calls, outer: int, inner: int) -> bool:
    same_thread = calls.native_id[outer] == calls.native_id[inner]
    return bool(same_thread and calls.start_ns[inner] < calls.end_ns[outer])


def _import_of(file: str) -> RawCode:
    folder, base = os.path.split(file)
    stem = os.path.splitext(base)[0]
    return RawCode(f"import {os.path.basename(folder) if stem == '__init__' else stem}", file, 1)
