"""Questions to the states of all tracks at once, as masks over their columns."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from concmagic.model.reasons import MERGED
from concmagic.model.state_columns import Bools, StateColumns
from concmagic.model.trace import Int64s, State, Track

_HOLDING = (State.RUNNING, State.BLOCKING, State.UNKNOWN)


def of_tracks(columns: StateColumns, tracks: Iterable[Track]) -> Bools:
    """Which rows are of these tracks."""
    chosen = np.zeros(len(columns.tracks), bool)
    chosen[[columns.places[track.id] for track in tracks]] = True
    return chosen[columns.place]


def of_steps(columns: StateColumns) -> Bools:
    """Which rows are part of a step: also while its thread wanted the GIL or a core."""
    kept = columns.in_state(State.READY) & columns.for_reason("GIL", "core")
    return (columns.in_state(*_HOLDING) | kept) & ~columns.for_reason(MERGED)


def runs(columns: StateColumns, wanted: Bools) -> tuple[Int64s, Int64s]:
    """First and last row of each run of wanted rows: of one track, with no pause between them."""
    if not len(columns):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    goes_on = np.zeros(len(columns) + 1, bool)  # row i goes on with what row i - 1 began
    goes_on[1:-1] = wanted[1:] & wanted[:-1] & (columns.start_ns[1:] == columns.end_ns[:-1])
    goes_on[columns.bounds] = False
    return np.flatnonzero(wanted & ~goes_on[:-1]), np.flatnonzero(wanted & ~goes_on[1:])
