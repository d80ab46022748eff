"""Where lanes alternate too finely to be seen, a typical stretch to be drawn larger.

Lanes count as alternating if much of the cell passes in turns (running, blocking, ready) that are narrower
than what is drawn one by one. The stretch is as long as some typical turns, and lies where the lanes share
the time most as they do on the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from concmagic.model.columns import StateColumns
from concmagic.model.states import within
from concmagic.model.trace import State, Track
from concmagic.renderers.spans import shares_over

TURNS = 16  # about so many are seen in the stretch
MOST_LANES = 6
_FEWEST = 40  # fewer turns are no alternation
_SHARE = 0.2  # of the cell that passes in them
_LARGER = 3  # a stretch that is not at least so many times larger is not worth it
_MOST_PLACES = 2_000  # that are compared


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when; the tracks that alternate in it have their states of that time only."""

    start_ns: int
    end_ns: int
    tracks: tuple[Track, ...]


def typical_stretch(columns: StateColumns, wall_ns: int, resolution_ns: float) -> Stretch | None:
    """A stretch that shows how the tracks alternate; None if what is drawn shows it already."""
    turns = columns.in_state(State.RUNNING, State.BLOCKING, State.READY)
    turns &= columns.length_ns < resolution_ns
    many = len(columns.tracks)
    counts = np.bincount(columns.place[turns], minlength=many)
    sums = np.bincount(columns.place[turns], columns.length_ns[turns], minlength=many)
    chosen = np.flatnonzero((counts >= _FEWEST) & (sums >= _SHARE * wall_ns))[:MOST_LANES]
    if not len(chosen):
        return None
    of_chosen = turns & np.isin(columns.place, chosen)
    length = TURNS * float(np.median(columns.length_ns[of_chosen]))
    if not 0 < length * _LARGER <= wall_ns:
        return None
    tracks = [columns.tracks[place] for place in chosen]
    middle = _typical_moment(columns, tracks, wall_ns, length)
    start = round(min(max(middle - length / 2, 0.0), wall_ns - length))
    end = round(start + length)
    return Stretch(start, end, tuple(_cut(track, start, end) for track in tracks))


def _cut(track: Track, start_ns: int, end_ns: int) -> Track:
    return replace(track, states=tuple(within(track.states, start_ns, end_ns)))


def _typical_moment(columns: StateColumns, tracks: list[Track], wall_ns: int, length: float) -> float:
    """The middle of the place whose shares are nearest to those of all places in which something goes on."""
    places = max(min(int(wall_ns / length), _MOST_PLACES), 1)
    edges = np.linspace(0, wall_ns, places + 1)
    shares = np.concatenate([shares_over(columns.only([track]), edges) for track in tracks]) / np.diff(edges)
    goes_on: npt.NDArray[np.bool_] = shares.sum(axis=0) > 0
    usual = shares[:, goes_on].mean(axis=1, keepdims=True)
    distance = np.where(goes_on, np.abs(shares - usual).sum(axis=0), np.inf)
    best = int(distance.argmin())
    return float((edges[best] + edges[best + 1]) / 2)
