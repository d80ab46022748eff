"""A Trace as tables: the columns of each, by name; times in nanoseconds from the cell's start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from concmagic.model.trace import Flow, StateInterval, Trace, Track

_TRACK_COLUMNS = [field.name for field in fields(Track) if field.name not in ("states", "counters")]
_STATE_COLUMNS = [field.name for field in fields(StateInterval)]
_FLOW_COLUMNS = [field.name for field in fields(Flow)]


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


TABLES: dict[str, Callable[[Trace], dict[str, Any]]] = {
    "states": _states,
    "slices": _slices,
    "tracks": _tracks,
    "flows": _flows,
}
