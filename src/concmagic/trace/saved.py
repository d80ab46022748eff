"""A Trace as plain data for JSON, and back: what stands under "concmagic" in a saved file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from math import isnan, nan
from typing import Any

import numpy as np

from concmagic import sentences
from concmagic.errors import LoadError
from concmagic.trace.model import (
    Build,
    Cost,
    Flow,
    Function,
    Hidden,
    Job,
    Lock,
    Mark,
    Print,
    Slices,
    State,
    StateInterval,
    Trace,
    Track,
)

FORMAT = 1
_ROWS: dict[str, type[Any]] = {
    "flows": Flow,
    "marks": Mark,
    "jobs": Job,
    "locks": Lock,
    "prints": Print,
    "unawaited": Function,
}
_SINGLE: dict[str, type[Any]] = {"build": Build, "hidden": Hidden}
_COLUMNS = {
    "track": np.int32,
    "start_ns": np.int64,
    "end_ns": np.int64,
    "depth": np.int32,
    "function": np.int32,
}
_PLAIN = ("title", "model", "wall_ns", "source", "outcome")
_NUMBERS = ("cpu_s", "python_cpu_s")
_TRACK_FIELDS = tuple(field.name for field in fields(Track) if field.name != "states")


def to_plain(trace: Trace) -> dict[str, Any]:
    """The whole trace as dicts, lists, strings and numbers; NaN is None."""
    plain: dict[str, Any] = {"format": FORMAT}
    plain |= {name: getattr(trace, name) for name in _PLAIN}
    plain |= {name: _number_to_plain(getattr(trace, name)) for name in _NUMBERS}
    plain["gil_switches"] = trace.gil_switches
    plain["tracks"] = [_track_to_plain(track) for track in trace.tracks]
    plain |= {name: _rows_to_plain(getattr(trace, name), kind) for name, kind in _ROWS.items()}
    plain["slices"] = _slices_to_plain(trace.slices)
    plain |= {name: asdict(getattr(trace, name)) for name in _SINGLE}
    plain["cost"] = asdict(trace.cost) | {"problems": list(trace.cost.problems)}
    return plain


def from_plain(plain: Mapping[str, Any]) -> Trace:
    """The trace that `to_plain` wrote.

    Raises LoadError for a later format; KeyError, TypeError or ValueError for what is no saved trace.
    """
    number = plain["format"]
    if not isinstance(number, int) or number > FORMAT:
        raise LoadError(sentences.newer_format(number))
    values: dict[str, Any] = {name: plain[name] for name in _PLAIN}
    values |= {name: _number_from_plain(plain.get(name)) for name in _NUMBERS}
    values["gil_switches"] = plain.get("gil_switches")
    values["tracks"] = tuple(_track_from_plain(track) for track in plain["tracks"])
    values["slices"] = _slices_from_plain(plain["slices"])
    values["cost"] = Cost(**_known(Cost, plain["cost"] | {"problems": tuple(plain["cost"]["problems"])}))
    values |= {name: _rows_from_plain(plain[name], kind) for name, kind in _ROWS.items() if name in plain}
    values |= {name: kind(**_known(kind, plain[name])) for name, kind in _SINGLE.items()}
    return Trace(**values)


def _number_to_plain(number: float) -> float | None:
    return None if isnan(number) else number


def _number_from_plain(number: float | None) -> float:
    return nan if number is None else float(number)


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that this version has fields for."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def _track_to_plain(track: Track) -> dict[str, Any]:
    plain = {name: getattr(track, name) for name in _TRACK_FIELDS}
    plain["states"] = [
        [one.start_ns, one.end_ns, one.state.value, one.reason, one.detail, one.file, one.line]
        for one in track.states
    ]
    return plain


def _track_from_plain(plain: Mapping[str, Any]) -> Track:
    states = tuple(
        StateInterval(start, end, State(state), reason, detail, file, line)
        for start, end, state, reason, detail, file, line in plain["states"]
    )
    switches = plain.get("switches")
    more = {"states": states, "switches": None if switches is None else tuple(switches)}
    return Track(**(_known(Track, plain) | more))


def _rows_to_plain(rows: Sequence[Any], kind: type[Any]) -> dict[str, Any]:
    """Columns: the names once, not with every row."""
    names = [field.name for field in fields(kind)]
    return {"fields": names, "rows": [[getattr(row, name) for name in names] for row in rows]}


def _rows_from_plain(plain: Mapping[str, Any], kind: type[Any]) -> tuple[Any, ...]:
    names = plain["fields"]
    return tuple(kind(**_known(kind, dict(zip(names, row, strict=True)))) for row in plain["rows"])


def _slices_to_plain(slices: Slices) -> dict[str, Any]:
    plain: dict[str, Any] = {name: getattr(slices, name).tolist() for name in _COLUMNS}
    plain["functions"] = [[one.name, one.file, one.line] for one in slices.functions]
    return plain


def _slices_from_plain(plain: Mapping[str, Any]) -> Slices:
    columns = {name: np.array(plain[name], kind) for name, kind in _COLUMNS.items()}
    return Slices(**columns, functions=tuple(Function(*row) for row in plain["functions"]))
