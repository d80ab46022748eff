"""The calls of your functions for the script: the longest of each track, the rest merged.

What is merged keeps its exact count and sum: "12 × parse, 3.4 ms in all". The size is bounded for
one track and for all of them together, however many calls there were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from concmagic import sentences
from concmagic.model.trace import Int32s, Int64s, Slices, Trace
from concmagic.renderers import schema
from concmagic.renderers.measure import fit_columns, one_line

DEEPEST = 6  # rows under a lane
MOST_OF_ONE = 300  # boxes of one track
MOST_SEEN = 800  # boxes of the lanes seen at first
MOST_FOLDED = 600  # boxes of the lanes within folds
_LEAST = 3  # boxes of one track; with room for fewer it gets none
_BIN = 3  # bins wider than the resolution, as for states
_LONGEST = 80  # characters of a name

LaneOfTrack = tuple[int, int]  # number of the lane, id of its track
_Kind = schema.CallKind | schema.CallsKind


@dataclass(frozen=True, slots=True, eq=False)
class _Calls:
    """The calls of one track, row by row and in order of time; `deeper` ones have no row."""

    depth: Int32s
    start_ns: Int64s
    end_ns: Int64s
    function: Int32s
    deeper: int

    def __len__(self) -> int:
        return len(self.depth)


class CallPacker:
    """Packs calls, and numbers the different kinds of boxes."""

    def __init__(self, trace: Trace, units: Callable[[float], int], unit_ns: int) -> None:
        self._slices = trace.slices
        self._until_ns = trace.cost.calls_until_ns
        self._units = units
        self._unit_ns = unit_ns
        self._kinds: list[_Kind] = [schema.CallKind("", "")]  # 0: nothing is drawn
        self._numbers: dict[_Kind, int] = {}
        self.left_out = 0  # tracks that have calls, but no room for them

    def pack(self, seen: Sequence[LaneOfTrack], folded: Sequence[LaneOfTrack]) -> schema.Calls:
        """The kinds of boxes, and the rows of each lane."""
        lanes = [*self._lanes(seen, MOST_SEEN), *self._lanes(folded, MOST_FOLDED)]
        until = -1 if self._until_ns is None else self._units(self._until_ns)
        return {"kinds": self._kinds, "lanes": lanes, "until": until}

    def _lanes(self, places: Sequence[LaneOfTrack], most: int) -> Iterator[schema.LaneCalls]:
        ranges = [(lane, *_range_of(self._slices, track)) for lane, track in places]
        with_calls = [one for one in ranges if one[2] > one[1]]
        kept = with_calls[: most // _LEAST]
        self.left_out += len(with_calls) - len(kept)
        room = min(most // max(len(kept), 1), MOST_OF_ONE)
        for lane, first, end in kept:
            calls = _calls_of(self._slices, first, end, min(DEEPEST, room))
            rows = self._rows(calls, _group_starts(calls, room, self._unit_ns))
            yield schema.LaneCalls(lane, calls.deeper, rows)

    def _rows(self, calls: _Calls, starts: Int64s) -> list[list[int]]:
        """Per depth: length, kind, length, kind, …; kind 0 is a gap."""
        rows: list[list[int]] = [[] for _ in range(int(calls.depth[-1]) + 1)]
        at = [0] * len(rows)
        ends = np.append(starts[1:], len(calls))
        for first, end in zip(starts.tolist(), ends.tolist(), strict=True):
            depth = int(calls.depth[first])
            begin = max(self._units(int(calls.start_ns[first])), at[depth])
            length = max(self._units(int(calls.end_ns[first:end].max())) - begin, 0)
            if begin > at[depth]:
                rows[depth] += [begin - at[depth], 0]
            rows[depth] += [length, self._kind(calls, first, end)]
            at[depth] = begin + length
        return rows

    def _kind(self, calls: _Calls, first: int, end: int) -> int:
        same = bool((calls.function[first:end] == calls.function[first]).all())
        name, place = self._named(int(calls.function[first])) if same else ("", "")
        if end - first == 1:
            return self._number(schema.CallKind(name, place))
        spent = int((calls.end_ns[first:end] - calls.start_ns[first:end]).sum())
        return self._number(schema.CallsKind(name, place, end - first, sentences.duration(spent)))

    def _named(self, function: int) -> tuple[str, str]:
        called = self._slices.functions[function]
        name = fit_columns(one_line(called.name), _LONGEST)
        return name, fit_columns(one_line(sentences.place(called.file, called.line)), _LONGEST)

    def _number(self, kind: _Kind) -> int:
        if kind not in self._numbers:
            self._numbers[kind] = len(self._kinds)
            self._kinds.append(kind)
        return self._numbers[kind]


def _range_of(slices: Slices, track: int) -> tuple[int, int]:
    """Where a track's calls begin and end: slices are sorted by track."""
    # Of the column's own type: else the whole column would be converted for each track.
    first, end = np.searchsorted(slices.track, np.array([track, track + 1], slices.track.dtype))
    return int(first), int(end)


def _calls_of(slices: Slices, first: int, end: int, deepest: int) -> _Calls:
    depth = slices.depth[first:end]
    depth = depth - depth.min()
    start_ns = slices.start_ns[first:end]
    order = np.lexsort((start_ns, depth))
    order = order[: np.searchsorted(depth[order], deepest)]
    return _Calls(
        depth[order],
        start_ns[order],
        slices.end_ns[first:end][order],
        slices.function[first:end][order],
        end - first - len(order),
    )


def _group_starts(calls: _Calls, most: int, finest_ns: int) -> Int64s:
    """The indices at which a new box begins, with the finest resolution that leaves few enough."""
    lengths = calls.end_ns - calls.start_ns
    resolution = float(max(finest_ns, 1))
    if len(lengths) > most:  # no finer one can do: half of the room for long calls, half for merged ones
        resolution = max(resolution, float(np.partition(lengths, -most // 2)[-most // 2]))
    longest = int(calls.end_ns.max())
    while True:
        starts = _starts_at(calls, lengths < resolution, resolution)
        if len(starts) <= most or resolution > longest:
            return starts
        resolution *= 1.6


def _starts_at(calls: _Calls, small: np.ndarray[Any, np.dtype[np.bool_]], resolution: float) -> Int64s:
    in_bin = calls.start_ns // max(_BIN * resolution, 1)
    begins = np.ones(len(calls), bool)
    together = small[1:] & small[:-1] & (in_bin[1:] == in_bin[:-1]) & (calls.depth[1:] == calls.depth[:-1])
    begins[1:] = ~together
    return np.flatnonzero(begins)
