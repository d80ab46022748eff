"""What a later version has written into a file of this format: kinds unknown here cost one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from concmagic.model.interval import State
from concmagic.model.trace import FlowKind, TrackKind

_WORD = re.compile(r"[a-z][a-z _-]{0,30}")
_TRACKS, _FLOWS, _STATES = get_args(TrackKind), get_args(FlowKind), {state.value for state in State}


def is_word(value: Any) -> bool:
    """Whether it can be the name of a kind, of this version or of a later one."""
    return type(value) is str and _WORD.fullmatch(value) is not None


def without_unknown(plain: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The document as this version can read it, and the kinds that it does not know.

    A track of an unknown kind stays a track, a state becomes UNKNOWN, an arrow is left out. What is wrong in
    the document is left for its reader to find.
    """
    unknown: dict[str, None] = {}
    tracks = plain.get("tracks")
    if type(tracks) is list:
        tracks = [_track(track, unknown) if type(track) is dict else track for track in tracks]
    return {**plain, "tracks": tracks, **_flows(plain.get("flows"), unknown)}, tuple(unknown)


def _track(track: dict[str, Any], unknown: dict[str, None]) -> dict[str, Any]:
    kind, states = track.get("kind"), track.get("states")
    if is_word(kind) and kind not in _TRACKS:
        unknown[str(kind)] = None
    if type(states) is list and any(_is_of_later(row) for row in states):
        unknown.update((row[2], None) for row in states if _is_of_later(row))
        known = State.UNKNOWN.value
        states = [[*row[:2], known, *row[3:]] if _is_of_later(row) else row for row in states]
    return {**track, "states": states}


def _is_of_later(row: Any) -> bool:
    return type(row) is list and len(row) > 2 and is_word(row[2]) and row[2] not in _STATES


def _flows(flows: Any, unknown: dict[str, None]) -> dict[str, Any]:
    if type(flows) is not dict or type(flows.get("fields")) is not list or "kind" not in flows["fields"]:
        return {}
    at, rows = flows["fields"].index("kind"), flows.get("rows")
    if type(rows) is not list:
        return {}
    later = [row[at] for row in rows if _is_unknown_flow(row, at)]
    unknown.update(dict.fromkeys(later))
    return {"flows": {**flows, "rows": [row for row in rows if not _is_unknown_flow(row, at)]}}


def _is_unknown_flow(row: Any, at: int) -> bool:
    return type(row) is list and len(row) > at and is_word(row[at]) and row[at] not in _FLOWS
