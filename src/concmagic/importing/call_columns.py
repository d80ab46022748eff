"""Calls as numpy columns: how they nest, whose code they are, and which become slices of whose track.

A slice is of the task whose step it was in, else of its thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds, short_name
from concmagic.interpreter.recorded_calls import IMPORT
from concmagic.model.trace import Function, Int32s, Int64s, Slices
from concmagic.records.recording import RawCode

Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]

ANONYMOUS = RawCode("", "", 0)  # a C function whose name could not be told


@dataclass(frozen=True, eq=False)
class Calls:
    """Function calls of one process as columns, sorted by native_id, start_ns, and the longer first."""

    native_id: Int64s
    start_ns: Int64s
    end_ns: Int64s  # of an open call the end of the recording
    function: Int32s  # index into `functions`
    is_c: Bools
    open: Bools  # it had not ended when the recording did
    depth: Int32s  # 0 is a thread's outermost recorded call
    functions: tuple[RawCode, ...]  # a C function has file ""; without a name it is ANONYMOUS

    def __len__(self) -> int:
        return len(self.start_ns)

    @cached_property
    def caller(self) -> Positions:
        """The position of each call's caller among the recorded ones, -1 for the outermost."""
        depth, size = self.depth.astype(np.int64), len(self.start_ns)
        # Grouped by depth, in order within: the caller is the last one before it in the group above.
        small = depth.max(initial=0) < 2**15
        order = np.argsort(self.depth.astype(np.int16) if small else depth, kind="stable")
        level = depth[order]
        place = level * size + order
        above = np.searchsorted(place, place - size) - 1
        caller = np.full(size, -1, np.intp)
        caller[order] = np.where(level > 0, order[above], -1)
        return caller


def positions(native_id: Int64s, start_ns: Int64s, end_ns: Int64s) -> tuple[Int64s, Int64s]:
    """Starts and ends as numbers that order all threads at once: one thread's lie before the next's."""
    if not len(start_ns):
        return start_ns, end_ns
    # A thread's calls stand together, or come in long runs: one look per run is enough.
    runs = np.flatnonzero(np.append(True, native_id[1:] != native_id[:-1]))
    numbers = np.searchsorted(np.unique(native_id[runs]), native_id[runs])
    thread = np.repeat(numbers, np.diff(np.append(runs, len(native_id))))
    first = start_ns.min()
    offset = thread * (end_ns.max() - first + 2) - first
    return start_ns + offset, end_ns + offset


def nesting(start: Int64s, end: Int64s) -> Int32s:
    """Depths of calls given by sorted `positions`: how many began before and have not ended."""
    ended = np.searchsorted(np.sort(end), start, side="right")
    depth: Int32s = (np.arange(len(start)) - ended).astype(np.int32)
    return depth


def take(calls: Calls, kept: Bools) -> Calls:
    """The calls where `kept` is true, with depths among themselves."""
    native_id, start_ns, end_ns = calls.native_id[kept], calls.start_ns[kept], calls.end_ns[kept]
    return Calls(
        native_id,
        start_ns,
        end_ns,
        calls.function[kept],
        calls.is_c[kept],
        calls.open[kept],
        nesting(*positions(native_id, start_ns, end_ns)),
        calls.functions,
    )


@dataclass(frozen=True, slots=True, eq=False)
class CallTree:
    """Calls with their callers; -1 is none."""

    calls: Calls
    parent: Int64s
    own: Bools  # per call: it runs code of the user's

    def __len__(self) -> int:
        return len(self.parent)


def build_tree(calls: Calls, places: Places) -> CallTree:
    """Find each call's caller, and whose code it is."""
    contains = calls.end_ns[calls.caller] >= calls.start_ns  # what overlaps only has no caller
    parent = np.where(contains, calls.caller, -1)
    is_own = np.array([places.is_own(function.file, function.name) for function in calls.functions], bool)
    own = is_own[calls.function] & ~calls.is_c if len(is_own) else np.zeros(0, bool)
    return CallTree(calls, parent, own)


def shown_calls(calls: Calls, clock: CellClock, places: Places) -> Calls:
    """Those of the user's own code that lie in the cell, in nanoseconds from its start."""
    own = select_own_code(calls, places.is_own)
    start, end = clock.since_start(own.start_ns), clock.since_start(own.end_ns)
    rows = np.flatnonzero((end > 0) & (start < clock.wall_ns))
    start, end = np.clip(start[rows], 0, clock.wall_ns), np.clip(end[rows], 0, clock.wall_ns)
    columns = (own.function[rows], own.is_c[rows], own.open[rows], own.depth[rows])
    return Calls(own.native_id[rows], start, end, *columns, own.functions)


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


Steps = Mapping[int, Sequence[tuple[int, int, int]]]  # native id → (begin, end, task's track), in order


def slices_of(calls: Calls | None, pid: int, ids: TrackIds, steps: Steps, places: Places) -> Slices:
    """The calls shown of one process; those of threads without a track are left out."""
    if calls is None:
        return Slices()
    track = np.full(len(calls.native_id), -1, np.int32)
    depth = calls.depth.copy()
    for native_id in np.unique(calls.native_id).tolist():
        rows = np.flatnonzero(calls.native_id == native_id)
        thread = ids.known("thread", pid, native_id)
        track[rows] = -1 if thread is None else thread
        if steps.get(native_id):
            _give_to_tasks(rows, calls, steps[native_id], track, depth)
    rows = np.flatnonzero(track >= 0)
    rows = rows[np.lexsort((depth[rows], calls.start_ns[rows], track[rows]))]
    return Slices(
        track[rows],
        calls.start_ns[rows],
        calls.end_ns[rows],
        depth[rows],
        calls.function[rows],
        tuple(
            Function(
                "cell" if places.is_cell(code.file) and code.name == "<module>" else short_name(code.name),
                places.short(code.file),
                code.line,
            )
            for code in calls.functions
        ),
    )


def _give_to_tasks(
    rows: Int64s, calls: Calls, steps: Sequence[tuple[int, int, int]], track: Int32s, depth: Int32s
) -> None:
    """A call inside a task's step is that task's; its depth counts from the step's outermost call."""
    begin = np.array([step[0] for step in steps], np.int64)
    end = np.array([step[1] for step in steps], np.int64)
    owner = np.array([step[2] for step in steps], np.int32)
    at = np.searchsorted(begin, calls.start_ns[rows], "right") - 1
    inside = (at >= 0) & (calls.end_ns[rows] <= end[np.maximum(at, 0)])
    rows, at = rows[inside], at[inside]
    if not len(rows):
        return
    outermost = np.full(len(steps), np.iinfo(np.int32).max, np.int32)
    np.minimum.at(outermost, at, depth[rows])
    track[rows] = owner[at]
    depth[rows] -= outermost[at]


def together(parts: Sequence[Slices]) -> Slices:
    """Slices of several processes as one."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return Slices()
    if len(parts) == 1:
        return _only_used(parts[0])
    shifts = np.cumsum([0, *(len(part.functions) for part in parts[:-1])]).tolist()
    merged = Slices(
        np.concatenate([part.track for part in parts]),
        np.concatenate([part.start_ns for part in parts]),
        np.concatenate([part.end_ns for part in parts]),
        np.concatenate([part.depth for part in parts]),
        np.concatenate([part.function + shift for part, shift in zip(parts, shifts, strict=True)]).astype(
            np.int32
        ),
        tuple(function for part in parts for function in part.functions),
    )
    order = np.argsort(merged.track, kind="stable")
    return _only_used(
        Slices(
            merged.track[order],
            merged.start_ns[order],
            merged.end_ns[order],
            merged.depth[order],
            merged.function[order],
            merged.functions,
        )
    )


def _only_used(slices: Slices) -> Slices:
    """Without the functions that no slice names."""
    used, function = np.unique(slices.function, return_inverse=True)
    functions = tuple(slices.functions[index] for index in used.tolist())
    return Slices(
        slices.track, slices.start_ns, slices.end_ns, slices.depth, function.astype(np.int32), functions
    )
