"""Function calls as Slices: of the task whose step they were in, else of their thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from concmagic.importing.calls.import_calls import ImportedCalls
from concmagic.importing.clock_ids_places import Places, TrackIds, short_name
from concmagic.model.trace import Function, Int32s, Int64s, Slices

Steps = Mapping[int, Sequence[tuple[int, int, int]]]  # native id → (begin, end, task's track), in order


def slices_of(calls: ImportedCalls, pid: int, ids: TrackIds, steps: Steps, places: Places) -> Slices:
    """The calls shown of one process; those of threads without a track are left out."""
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
    rows: Int64s, calls: ImportedCalls, steps: Sequence[tuple[int, int, int]], track: Int32s, depth: Int32s
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
