"""The calls of one process as a tree: who called whom, whose code it is. All of it in columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from concmagic.importing.calls.columns import Bools, Calls
from concmagic.importing.places import Places
from concmagic.model.trace import Int64s


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
