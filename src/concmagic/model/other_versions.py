"""Saved files of other versions than this one.

What a state of version 1 said beside its reason was words, which are read back as facts. There tracks were
told by name: of several that share one, none is taken. Kinds that only a later version knows cost one
sentence each.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

from concmagic.model.fields import is_word, rows_to_plain
from concmagic.model.outcomes import OutcomeKind
from concmagic.model.reasons import OF_LOCKS
from concmagic.model.states import NO_FACTS, Facts, Resource, State
from concmagic.model.trace import FlowKind, TrackKind

_STARTS = {
    "a process": "process",
    "Python": "python",
    "its tracer": "tracer",
    "imports": "imports",
    "unpickling": "unpickling",
}
_STEPS = re.compile(r"([\d,]+) (?:short steps?, summed|steps? of others first)")
_SHARE = re.compile(r"share of ([\d,]+) tasks?")
_SECONDS = re.compile(r"([\d.e+]+) s")
_HELD = re.compile(r"(?:(.*), )?held by (.*)")
_HELD_BY_TASK = re.compile(r"(.*) ?\(held by (.*?)\)")
_SHIELDED = " (shielded)"
_LAST = " last"
_FRAME = re.compile(r"(?:line (\d{1,15})|([^→]+?):(\d{1,15}))(?: in ([^→]+?))?(?: → |$)")
_RAISED = re.compile(r"(?:line (\d{1,15})|(.+?):(\d{1,15})) in (.*)")


def from_version_1(plain: Mapping[str, object]) -> dict[str, object]:
    """The document as version 2 has it; what is wrong in it is left for its reader to find."""
    plain = _without_numbers(plain)
    reader = _Reader(plain)
    tracks = plain.get("tracks")
    if type(tracks) is list:
        tracks = [reader.track(track) if type(track) is dict else track for track in tracks]
    return {
        **plain,
        "tracks": tracks,
        "facts": rows_to_plain(Facts, reader.facts),
        "resources": rows_to_plain(Resource, reader.resources),
        "others": list(reader.others),
    }


def _without_numbers(plain: Mapping[str, object]) -> dict[str, object]:
    """The name of a track that stands for many tasks had their number in it: "fetch × 90,000"."""
    many, tracks = _tracks_of_groups(plain.get("groups")), plain.get("tracks")
    if not many or type(tracks) is not list:
        return {**plain}
    return {**plain, "tracks": [_without_number(one, many) for one in tracks]}


def _tracks_of_groups(groups: object) -> list[object]:
    names, rows = (groups.get("fields"), groups.get("rows")) if type(groups) is dict else ((), ())
    if type(names) is not list or type(rows) is not list or "track" not in names:
        return []
    at = names.index("track")
    return [row[at] for row in rows if type(row) is list and len(row) > at]


def _without_number(track: object, many: Sequence[object]) -> object:
    if type(track) is not dict or type(track.get("name")) is not str or track.get("id") not in many:
        return track
    return {**track, "name": track["name"].partition(" × ")[0]}


def _raised_in(words: object) -> list[list[object]]:
    """The traceback of a task, which stood in one line with the innermost function first."""
    if type(words) is not str:
        return []
    found = [_RAISED.fullmatch(each) for each in words.split(", called at ")]
    return [[one[4], one[2] or "", int(one[1] or one[3])] for one in reversed(found) if one is not None]


class _Reader:
    """Reads the words of one document."""

    def __init__(self, plain: Mapping[str, object]) -> None:
        self.facts: dict[Facts, int] = {NO_FACTS: 0}
        self.resources: dict[Resource, int] = {}
        self.others: dict[str, int] = {}
        tracks = plain.get("tracks")
        found = [one for one in tracks if type(one) is dict] if type(tracks) is list else []
        named = [
            (one["name"], one["id"])
            for one in found
            if type(one.get("name")) is str and type(one.get("id")) is int and one.get("kind") != "process"
        ]
        many = Counter(name for name, _ in named)
        self._ids = {name: number for name, number in named if many[name] == 1}

    def track(self, plain: dict[str, object]) -> dict[str, object]:
        """A track whose states have facts."""
        states, kind = plain.get("states"), str(plain.get("kind"))
        changed, traceback = plain.get("changed", ""), plain.get("traceback", "")
        if type(changed) is str:
            plain = {**plain, "changed": changed.split(", ") if changed else []}
        if type(traceback) is str:
            found = _FRAME.finditer(traceback)
            frames = [[one[4] or "", one[2] or "", int(one[1] or one[3])] for one in found]
            plain = {**plain, "traceback": frames}
        if raised := _raised_in(plain.get("raised_in")):
            plain = {**plain, "traceback": raised}
        if type(states) is not list:
            return plain
        return {**plain, "states": [self._state(row, kind, plain.get("name")) for row in states]}

    def _state(self, row: object, kind: str, name: object) -> object:
        if type(row) is not list or len(row) != 7 or not all(type(row[i]) is str for i in (2, 3, 4)):
            return row
        state, reason, words = row[2:5]
        facts = self._read(kind, state, reason, words, name) if words else NO_FACTS
        number = self.facts.setdefault(facts, len(self.facts))
        return [*row[:4], number, *row[5:]]

    def _who(self, name: str) -> int:
        known = self._ids.get(name)
        return self.others.setdefault(name, -1 - len(self.others)) if known is None else known

    def _resource(self, kind: str, name: str) -> int:
        return self.resources.setdefault(Resource(kind, name), len(self.resources))

    def _read(self, kind: str, state: str, reason: str, words: str, name: object) -> Facts:
        for pattern, phase in (
            (_STEPS, "" if state == "ready" and reason == "loop" else "steps"),
            (_SHARE, "tasks"),
        ):
            if match := pattern.fullmatch(words):
                many = int(match[1].replace(",", ""))
                return Facts(count=many, phase=phase) if phase else Facts(more=many)
        if state == "starting":
            return Facts(phase=_STARTS.get(words, ""))
        if state == "ready":
            return Facts(holders=(self._who(words.removeprefix("held by ")),))
        if state == "waiting":
            return self._wait(kind, reason, words, name)
        if state == "blocking" and kind != "loop":
            return Facts(call=words.removeprefix("in "))
        return Facts(holders=tuple(self._who(each) for each in words.split(" and ")))

    def _wait(self, kind: str, reason: str, words: str, name: object) -> Facts:
        if reason == "task":
            return Facts(
                waits_for=(self._who(words.removesuffix(_SHIELDED)),), shielded=words.endswith(_SHIELDED)
            )
        if reason in ("join", "eager start"):
            return Facts(waits_for=(self._who(words.removeprefix("of ")),))
        if reason == "result":
            return Facts(job=words.removeprefix("of "))
        if seconds := _SECONDS.fullmatch(words):
            return Facts(delay_ns=round(float(seconds[1]) * 1e9))
        if kind == "task" and (held := _HELD_BY_TASK.fullmatch(words)):
            whom = (self._who(held[2]),)
            return Facts(self._resource("lock", held[1].rstrip()), whom, whom)
        if kind != "task" and reason in OF_LOCKS:
            return self._lock(reason, words, name)
        if reason == "handing over":
            return Facts(phase="recording")
        return Facts(self._resource("", words))

    def _lock(self, reason: str, words: str, name: object) -> Facts:
        held = _HELD.fullmatch(words)
        resource = self._resource("lock", (held[1] if held else words) or "")
        if held is None:
            return Facts(resource)
        if held[2] == f"{name} itself":
            return Facts(resource, waits_for=(self._who(str(name)),))
        more = 1 if held[2].endswith(_LAST) else 0
        holders = tuple(self._who(each) for each in held[2].removesuffix(_LAST).split(" and "))
        needs = () if reason == "Semaphore" and (more or len(holders) > 1) else holders[-1:]
        return Facts(resource, holders, needs, more)


_OUTCOMES = get_args(OutcomeKind)
_TRACKS, _FLOWS, _STATES = get_args(TrackKind), get_args(FlowKind), {state.value for state in State}


def without_unknown(plain: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """The document as this version can read it, and the kinds that it does not know.

    A track or outcome of an unknown kind stays one, a state becomes UNKNOWN, an arrow is left out. What is
    wrong in the document is left for its reader to find.
    """
    unknown: dict[str, None] = {}
    tracks = plain.get("tracks")
    if type(tracks) is list:
        tracks = [_track(track, unknown) if type(track) is dict else track for track in tracks]
    return {**plain, "tracks": tracks, **_flows(plain.get("flows"), unknown)}, tuple(unknown)


def _track(track: dict[str, object], unknown: dict[str, None]) -> dict[str, object]:
    kind, states = track.get("kind"), track.get("states")
    if is_word(kind) and kind not in _TRACKS:
        unknown[str(kind)] = None
    if type(outcome := track.get("outcome")) is dict and is_word(outcome.get("kind")):
        unknown |= {} if outcome["kind"] in _OUTCOMES else {outcome["kind"]: None}
    if type(states) is list and any(_is_of_later(row) for row in states):
        unknown.update((row[2], None) for row in states if _is_of_later(row))
        known = State.UNKNOWN.value
        states = [[*row[:2], known, *row[3:]] if _is_of_later(row) else row for row in states]
    return {**track, "states": states}


def _is_of_later(row: object) -> bool:
    return type(row) is list and len(row) > 2 and is_word(row[2]) and row[2] not in _STATES


def _flows(flows: object, unknown: dict[str, None]) -> dict[str, object]:
    if type(flows) is not dict or type(flows.get("fields")) is not list or "kind" not in flows["fields"]:
        return {}
    at, rows = flows["fields"].index("kind"), flows.get("rows")
    if type(rows) is not list:
        return {}
    later = [row[at] for row in rows if _is_unknown_flow(row, at)]
    unknown.update(dict.fromkeys(later))
    return {"flows": {**flows, "rows": [row for row in rows if not _is_unknown_flow(row, at)]}}


def _is_unknown_flow(row: object, at: int) -> bool:
    return type(row) is list and len(row) > at and is_word(row[at]) and row[at] not in _FLOWS
