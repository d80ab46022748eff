"""A Trace as columns: its states for all that asks about very many, and the tables that users get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from concmagic.model.categories import Category, category
from concmagic.model.trace import Flow, Group, Int32s, Int64s, State, StateInterval, Trace, Track

Bools = npt.NDArray[np.bool_]


class _Drawn(dict[tuple[State, str], int]):
    """The code of a category by state and reason."""

    def __missing__(self, key: tuple[State, str]) -> int:
        code = self[key] = list(Category).index(category(*key))
        return code


@dataclass(frozen=True, slots=True, eq=False)
class StateColumns:
    """The states of tracks as columns of equal length, one track after the other."""

    tracks: tuple[Track, ...]
    start_ns: Int64s
    end_ns: Int64s
    code: Int64s  # the place of the state in `State`
    category: Int64s  # the place of what is drawn in `Category`
    reason: Int64s  # the number of the reason in `reasons`
    bounds: Int64s  # the track at place i has the rows from bounds[i] to bounds[i + 1]
    places: Mapping[int, int]  # a track's id → its place
    reasons: Mapping[str, int]

    @classmethod
    def of(cls, tracks: Iterable[Track]) -> StateColumns:
        """Read the states of these tracks."""
        tracks = tuple(tracks)
        states = [one for track in tracks for one in track.states]
        codes = {state: code for code, state in enumerate(State)}
        drawn = _Drawn()
        reasons: dict[str, int] = {}
        return cls(
            tracks,
            np.array([one.start_ns for one in states], np.int64),
            np.array([one.end_ns for one in states], np.int64),
            np.array([codes[one.state] for one in states], np.int64),
            np.array([drawn[one.state, one.reason] for one in states], np.int64),
            np.array([reasons.setdefault(one.reason, len(reasons)) for one in states], np.int64),
            np.cumsum([0, *(len(track.states) for track in tracks)]),
            {track.id: place for place, track in enumerate(tracks)},
            reasons,
        )

    def __len__(self) -> int:
        return len(self.code)

    @property
    def length_ns(self) -> Int64s:
        """How long each row lasts."""
        return self.end_ns - self.start_ns

    def spent_ns(self, groups: Iterable[Group]) -> Int64s:
        """The length of each row; of a group's rows what its members took, together."""
        spent = self.length_ns
        states = tuple(State)
        for group in groups:
            place = self.places.get(group.track)
            if place is not None:
                rows = slice(self.bounds[place], self.bounds[place + 1])
                spent[rows] = [group.spent_ns(states[code]) for code in self.code[rows].tolist()]
        return spent

    @property
    def place(self) -> Int64s:
        """Of each row the place of its track."""
        return np.repeat(np.arange(len(self.tracks)), np.diff(self.bounds))

    def in_state(self, *states: State) -> Bools:
        """Which rows are in one of these states."""
        return np.isin(self.code, [code for code, state in enumerate(State) if state in states])

    def for_reason(self, *reasons: str) -> Bools:
        """Which rows have one of these reasons."""
        return np.isin(self.reason, [self.reasons[reason] for reason in reasons if reason in self.reasons])

    def only(self, tracks: Iterable[Track]) -> StateColumns:
        """The rows of some of the tracks, in the order given."""
        tracks = tuple(tracks)
        places = np.array([self.places[track.id] for track in tracks], np.int64)
        lengths = np.diff(self.bounds)[places]
        bounds = np.append(0, np.cumsum(lengths))
        rows = np.arange(bounds[-1]) + np.repeat(self.bounds[places] - bounds[:-1], lengths)
        return StateColumns(
            tracks,
            self.start_ns[rows],
            self.end_ns[rows],
            self.code[rows],
            self.category[rows],
            self.reason[rows],
            bounds,
            {track.id: place for place, track in enumerate(tracks)},
            self.reasons,
        )


def columns_of(trace: Trace) -> StateColumns:
    """The states of all tracks of a trace; read once, and kept as long as the trace."""
    kept = vars(trace)
    if "_columns" not in kept:
        kept["_columns"] = StateColumns.of(trace.tracks)
    columns: StateColumns = kept["_columns"]
    return columns


Table = Mapping[str, Sequence[object] | Int32s | Int64s]  # its columns by their names
_OF_TRACKS = [field.name for field in fields(Track) if field.name not in ("states", "counters")]
_AFTER = _OF_TRACKS.index("outcome") + 1
_TRACK_COLUMNS = [*_OF_TRACKS[:_AFTER], "outcome_detail", "traceback", *_OF_TRACKS[_AFTER:]]
_STATE_COLUMNS = [field.name for field in fields(StateInterval)]
_FLOW_COLUMNS = [field.name for field in fields(Flow)]


def _tracks(trace: Trace) -> Table:
    columns = {name: [getattr(track, name) for track in trace.tracks] for name in _TRACK_COLUMNS}
    return columns | {"outcome": list(map(str, columns["outcome"]))}


def _states(trace: Trace) -> Table:
    rows = [(track, interval) for track in trace.tracks for interval in track.states]
    columns = {name: [getattr(interval, name) for _, interval in rows] for name in _STATE_COLUMNS}
    columns["state"] = [interval.state.value for _, interval in rows]
    return {"track": [track.id for track, _ in rows], "name": [track.name for track, _ in rows], **columns}


def _slices(trace: Trace) -> Table:
    slices = trace.slices
    functions = [slices.functions[index] for index in slices.function]
    return {
        "track": slices.track,
        "start_ns": slices.start_ns,
        "end_ns": slices.end_ns,
        "depth": slices.depth,
        "name": [function.name for function in functions],
        "file": [function.file for function in functions],
        "line": [function.line for function in functions],
    }


def _flows(trace: Trace) -> Table:
    return {name: [getattr(flow, name) for flow in trace.flows] for name in _FLOW_COLUMNS}


TABLES: dict[str, Callable[[Trace], Table]] = {
    "states": _states,
    "slices": _slices,
    "tracks": _tracks,
    "flows": _flows,
}
