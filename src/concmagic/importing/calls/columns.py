"""Calls: function calls as numpy columns, and how they nest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from concmagic.records.recording import RawCode

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
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
