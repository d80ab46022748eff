"""Traces drawn as text, so that a test can be seen: one character per millisecond."""

from __future__ import annotations

from itertools import groupby

from concmagic.model.outcomes import RETURNED
from concmagic.model.trace import NO_FACTS, Build, Flow, Named, State, StateInterval, Trace, Track, TrackKind
from concmagic.sentences import StateWords, TrackWords

STATES = {
    "R": State.RUNNING,
    "B": State.BLOCKING,
    "Y": State.READY,
    "W": State.WAITING,
    "S": State.STARTING,
    "T": State.TRACING,
    "U": State.UNKNOWN,
}
MS = 1_000_000


def said(trace: Trace, one: StateInterval) -> str:
    """What a state says beside its reason, in words."""
    return StateWords(Named.of(trace)).detail(one)


def carried(trace: Trace, flow: Flow) -> str:
    """What an arrow carries, in words."""
    return StateWords(Named.of(trace)).of_flow(flow)


def end_of(trace: Trace, track: Track) -> str:
    """What is said beside how a track ended: the exception, who cancelled it; of a loop its longest step."""
    return TrackWords(trace, Named.of(trace)).detail(track)


def trace_from_text(
    text: str,
    kind: TrackKind = "task",
    reasons: dict[str, str] | None = None,
    host: str = "",
    cores: int = 2,
    source: str = "",
) -> Trace:
    """One track per line: a name, then R B Y(ready) W S T U per millisecond; "." is before or after its life.

    `reasons` maps a track's name to the reason of all its waits and blocks; the track named `host`
    is the cell's own.
    """
    lines = [line.split() for line in text.strip().splitlines()]
    wall_ns = max(len(drawn) for _, drawn in lines) * MS
    tracks = [
        _track(number, name, drawn, kind, (reasons or {}).get(name, "sleep"), name == host)
        for number, (name, drawn) in enumerate(lines)
    ]
    return Trace("drawn", "timeline", wall_ns, tuple(tracks), source=source, build=Build(cores=cores))


def _track(number: int, name: str, drawn: str, kind: TrackKind, reason: str, is_host: bool) -> Track:
    states = []
    at = 0
    for letter, run in groupby(drawn):
        end = at + len(list(run)) * MS
        if letter != ".":
            states.append(_interval(at, end, STATES[letter], reason, number))
        at = end
    return Track(
        id=number,
        kind=kind,
        name=name,
        parent=None,
        role="work",
        start_ns=states[0].start_ns,
        end_ns=states[-1].end_ns,
        states=tuple(states),
        outcome=RETURNED,
        unit=not is_host,
        host=is_host,
        native_id=100 if kind == "task" else 100 + number,
    )


def _interval(start: int, end: int, state: State, reason: str, number: int) -> StateInterval:
    if state is State.READY:
        return StateInterval(start, end, state, "loop")
    if state in (State.WAITING, State.BLOCKING):
        return StateInterval(start, end, state, reason, NO_FACTS, "", number + 2)
    return StateInterval(start, end, state)
