"""The steps of tasks and of event loops: runs of states without a pause, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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


_COMPUTING = (State.RUNNING, State.BLOCKING)
_HELD = (State.BLOCKING, State.READY, State.UNKNOWN)  # a step's own, too: it wanted the GIL, or is not known

Step = tuple[int, int, int | None]  # begin, end, the id of whose it is; None: there is none


def steps_of(loop: Track) -> Iterator[Step]:
    """The steps that the track tells one by one, those of tasks and those of other callbacks."""
    begin, end, whose = 0, 0, None
    for one in loop.states:
        goes_on = whose is not None and one.start_ns == end
        if one.state in _COMPUTING and one.holders:
            if not (goes_on and one.holders[0] == whose):
                if whose is not None:
                    yield begin, end, whose
                begin, whose = one.start_ns, one.holders[0]
            end = one.end_ns
        elif goes_on and one.state in _HELD and (one.reason or one.state is State.BLOCKING):
            end = one.end_ns
        elif whose is not None:
            yield begin, end, whose
            whose = None
    if whose is not None:
        yield begin, end, whose


def longest_step(loops: list[Track]) -> Step:
    """The longest step of these loops; (0, 0, None) if none is told."""
    steps = (step for loop in loops for step in steps_of(loop))
    return max(steps, key=lambda step: step[1] - step[0], default=(0, 0, None))
