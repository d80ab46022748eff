"""The calls of one process as a tree: who called whom, whose code it is. All of it in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from concmagic.recording.raw import RawCode
from concmagic.trace.model import Int64s
from concmagic.trace.places import Places

Bools = npt.NDArray[np.bool_]


class CallColumns(Protocol):
    """What `recording.decode` hands over: calls sorted by thread, then start, outer ones first."""

    @property
    def native_id(self) -> npt.NDArray[np.int64]: ...
    @property
    def start_ns(self) -> Int64s: ...
    @property
    def end_ns(self) -> Int64s: ...
    @property
    def function(self) -> npt.NDArray[np.int32]: ...
    @property
    def is_c(self) -> Bools: ...
    @property
    def open(self) -> Bools: ...
    @property
    def depth(self) -> npt.NDArray[np.int32]: ...
    @property
    def functions(self) -> Sequence[RawCode]: ...


@dataclass(frozen=True, slots=True, eq=False)
class CallTree:
    """Calls with their callers; -1 is none."""

    calls: CallColumns
    parent: Int64s
    own: Bools  # per call: it runs code of the user's

    def __len__(self) -> int:
        return len(self.parent)


def build_tree(calls: CallColumns, places: Places) -> CallTree:
    """Find each call's caller, and whose code it is."""
    parent = _parents(calls)
    is_own = np.array([places.is_own(function.file) for function in calls.functions], bool)
    own = is_own[calls.function] & ~calls.is_c if len(is_own) else np.zeros(0, bool)
    return CallTree(calls, parent, own)


def _parents(calls: CallColumns) -> Int64s:
    """For each call the last one before it that is one level less deep, in the same thread."""
    total = len(calls.start_ns)
    index = np.arange(total, dtype=np.int64)
    depth = calls.depth.astype(np.int64)
    keys = np.sort(depth * total + index)
    found = np.searchsorted(keys, (depth - 1) * total + index) - 1
    candidate = keys[np.maximum(found, 0)]
    parent = candidate % max(total, 1)
    fits = (found >= 0) & (candidate // max(total, 1) == depth - 1)
    fits &= calls.native_id[parent] == calls.native_id if total else fits
    fits &= calls.end_ns[parent] >= calls.start_ns if total else fits
    return np.where(fits, parent, -1)
