"""A Trace as pandas tables; pandas is imported only here, only when asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from concmagic import sentences
from concmagic.errors import ConcMagicError
from concmagic.model.trace import Flow, StateInterval, Trace, Track

if TYPE_CHECKING:
    import pandas

_TRACK_COLUMNS = [field.name for field in fields(Track) if field.name not in ("states", "counters")]
_STATE_COLUMNS = [field.name for field in fields(StateInterval)]
_FLOW_COLUMNS = [field.name for field in fields(Flow)]


def to_pandas(trace: Trace, table: str) -> pandas.DataFrame:
    """One table of the trace; times in nanoseconds from the cell's start.

    Raises ConcMagicError if pandas is missing or the table is not one of states, slices, tracks, flows.
    """
    if table not in _TABLES:
        raise ConcMagicError(sentences.no_such_table(table, sorted(_TABLES)))
    try:
        import pandas
    except ImportError as error:
        raise ConcMagicError(sentences.PANDAS_IS_MISSING) from error
    return pandas.DataFrame(_TABLES[table](trace))


def _tracks(trace: Trace) -> dict[str, list[Any]]:
    return {name: [getattr(track, name) for track in trace.tracks] for name in _TRACK_COLUMNS}


def _states(trace: Trace) -> dict[str, list[Any]]:
    rows = [(track, interval) for track in trace.tracks for interval in track.states]
    columns: dict[str, list[Any]] = {
        name: [getattr(interval, name) for _, interval in rows] for name in _STATE_COLUMNS
    }
    columns["state"] = [state.value for state in columns["state"]]
    names: dict[str, list[Any]] = {
        "track": [track.id for track, _ in rows],
        "name": [track.name for track, _ in rows],
    }
    return names | columns


def _slices(trace: Trace) -> dict[str, Any]:
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


def _flows(trace: Trace) -> dict[str, list[Any]]:
    return {name: [getattr(flow, name) for flow in trace.flows] for name in _FLOW_COLUMNS}


_TABLES: dict[str, Callable[[Trace], dict[str, Any]]] = {
    "states": _states,
    "slices": _slices,
    "tracks": _tracks,
    "flows": _flows,
}
