"""A Trace as plain data for JSON, and back: what stands under "concmagic" in a saved file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from itertools import count
from math import isnan

import numpy as np

from concmagic.model.fields import (
    COUNT,
    MOST_NS,
    TEXT,
    TIME,
    as_plain,
    is_function,
    list_at,
    made,
    object_at,
    one_of,
    read,
    rows_of,
    rows_to_plain,
    values_of,
)
from concmagic.model.other_versions import from_version_1, without_unknown
from concmagic.model.reading import fail
from concmagic.model.related import check
from concmagic.model.trace import (
    NO_FACTS,
    Build,
    Cost,
    Counter,
    Facts,
    Flights,
    Flow,
    Function,
    Group,
    Hidden,
    Int32s,
    Int64s,
    Job,
    Lock,
    LoopSteps,
    Mark,
    Outcome,
    Print,
    Resource,
    Slices,
    State,
    StateInterval,
    Stop,
    Trace,
    Track,
)
from concmagic.problems import Problem

FORMAT = 2
_ROWS: dict[str, type[object]] = {
    "flows": Flow,
    "marks": Mark,
    "jobs": Job,
    "locks": Lock,
    "resources": Resource,
    "prints": Print,
    "unawaited": Function,
    "loops": LoopSteps,
    "groups": Group,
}
_COLUMNS: dict[str, type[np.int32 | np.int64]] = {
    "track": np.int32,
    "start_ns": np.int64,
    "end_ns": np.int64,
    "depth": np.int32,
    "function": np.int32,
}
_FLIGHTS = ("start_ns", "end_ns")
_STATE_RULES = (
    TIME,
    TIME,
    one_of([state.value for state in State]),
    TEXT,
    COUNT,
    TEXT,
    COUNT,
)
_PLAIN = ("title", "model", "wall_ns", "source")
_NUMBERS = ("cpu_s", "python_cpu_s")
_OF_TRACKS = ("states", "counters", "problems")  # written in a way of their own
_BESIDE_OUTCOMES = {"outcome_detail": "message", "traceback": "traceback"}
_TRACK_FIELDS = tuple(field.name for field in fields(Track) if field.name not in _OF_TRACKS)


def to_plain(trace: Trace) -> dict[str, object]:
    """The whole trace as dicts, lists, strings and numbers; NaN is None."""
    plain: dict[str, object] = {"format": FORMAT}
    plain |= {name: getattr(trace, name) for name in _PLAIN}
    plain |= {name: _number_to_plain(getattr(trace, name)) for name in _NUMBERS}
    plain["outcome"] = as_plain(trace.outcome)
    plain["gil_switches"] = trace.gil_switches
    plain["others"] = list(trace.others)
    numbers: dict[Facts, int] = {NO_FACTS: 0}
    plain["tracks"] = [_track_to_plain(track, numbers) for track in trace.tracks]
    plain["facts"] = rows_to_plain(Facts, numbers)
    plain |= {name: rows_to_plain(kind, getattr(trace, name)) for name, kind in _ROWS.items()}
    plain["slices"] = _slices_to_plain(trace.slices)
    if trace.groups:
        plain["flights"] = {name: getattr(trace.flights, name).tolist() for name in _FLIGHTS}
    else:
        del plain["groups"]
    if trace.stop is not None:
        plain["stop"] = {name: as_plain(value) for name, value in asdict(trace.stop).items()}
    problems = [_problem_to_plain(one) for one in trace.cost.problems]
    cost = asdict(trace.cost) | {"problems": problems}
    return plain | {"build": asdict(trace.build), "hidden": asdict(trace.hidden), "cost": cost}


def from_plain(plain: object) -> Trace:
    """The trace that `to_plain` wrote; a kind that only a later version knows is told among its problems.

    Raises UnreadableError, with the place in the file, for a later format and for what is no saved trace.
    """
    whole = object_at(plain, "")
    number = read(COUNT, whole.get("format"), "format")
    if number > FORMAT:
        fail("", "later format", number)
    if number < FORMAT:
        whole = from_version_1(whole)
    whole, unknown = without_unknown(whole)
    values = values_of(Trace, {name: value for name, value in whole.items() if value is not None}, "")
    facts = rows_of(Facts, whole.get("facts"), "facts")
    values["tracks"] = tuple(
        _track_from_plain(track, f"tracks[{place}]", facts)
        for place, track in enumerate(list_at(whole.get("tracks"), "tracks"))
    )
    values["slices"] = _slices_from_plain(whole.get("slices"))
    values["flights"] = _flights_from_plain(whole.get("flights", {name: [] for name in _FLIGHTS}))
    values |= {name: rows_of(kind, whole[name], name) for name, kind in _ROWS.items() if name in whole}
    values["build"] = made(Build, values_of(Build, whole.get("build"), "build"))
    values["hidden"] = made(Hidden, values_of(Hidden, whole.get("hidden"), "hidden"))
    if (stop := whole.get("stop")) is not None:
        values["stop"] = made(Stop, values_of(Stop, stop, "stop"))
    cost = made(Cost, values_of(Cost, whole.get("cost"), "cost"))
    problems = (*cost.problems, *(Problem.of("unknown_kind", one) for one in unknown))
    values["cost"] = replace(cost, problems=tuple(dict.fromkeys(problems))) if unknown else cost
    trace = made(Trace, values)
    check(trace)
    return trace


def _problem_to_plain(problem: Problem) -> object:
    """As `cost.problems` are read: a sentence that was read is the same again."""
    return problem.values[0] if problem.kind == "as_told" else [problem.kind, as_plain(problem.values)]


def _number_to_plain(number: float) -> float | None:
    return None if isnan(number) else number


def _track_to_plain(track: Track, numbers: dict[Facts, int]) -> dict[str, object]:
    plain = {name: as_plain(getattr(track, name)) for name in _TRACK_FIELDS}

    def number(facts: Facts) -> int:
        return 0 if facts is NO_FACTS else numbers.setdefault(facts, len(numbers))

    if track.problems:
        plain["problems"] = [_problem_to_plain(one) for one in track.problems]
    if track.counters:
        plain["counters"] = [
            {"name": one.name, "unit": one.unit, "steps": [list(step) for step in one.steps]}
            for one in track.counters
        ]
    plain["states"] = [
        [one.start_ns, one.end_ns, one.state.value, one.reason, number(one.facts), one.file, one.line]
        for one in track.states
    ]
    return plain


def _track_from_plain(plain: object, place: str, facts: Sequence[Facts]) -> Track:
    values = object_at(plain, place)
    states = _states_from_plain(values.get("states"), f"{place}.states", facts)
    counters = tuple(
        made(Counter, values_of(Counter, one, f"{place}.counters[{number}]"))
        for number, one in enumerate(list_at(values.get("counters", []), f"{place}.counters"))
    )
    track = made(Track, values_of(Track, values, place) | {"states": states, "counters": counters})
    return replace(track, outcome=_with_exception(track.outcome, values, place))


def _with_exception(outcome: Outcome, track: dict[str, object], place: str) -> Outcome:
    """Files of earlier builds have the exception and the way to it beside the text of an outcome."""
    beside = {new: track[old] for old, new in _BESIDE_OUTCOMES.items() if old in track}
    if not beside:
        return outcome
    return made(partial(replace, outcome), values_of(Outcome, {"kind": outcome.kind, **beside}, place))


def _states_from_plain(plain: object, place: str, facts: Sequence[Facts]) -> tuple[StateInterval, ...]:
    found: list[StateInterval] = []
    last = -MOST_NS
    for number, row in enumerate(list_at(plain, place)):
        if type(row) is not list or len(row) != len(_STATE_RULES):
            fail(f"{place}[{number}]", "state row")
        for rule, value in zip(_STATE_RULES, row, strict=True):
            if not rule.fits(value):
                fail(f"{place}[{number}]", "state value", rule.wrong)
        start, end, state, reason, about, file, line = row
        if about >= len(facts):
            fail(f"{place}[{number}]", "no facts")
        if start < last:
            fail(f"{place}[{number}]", "before the last end")
        if end < start:
            fail(f"{place}[{number}]", "before its start")
        last = end
        found.append(StateInterval(start, end, State(state), reason, facts[about], file, line))
    return tuple(found)


def _slices_to_plain(slices: Slices) -> dict[str, object]:
    plain: dict[str, object] = {name: getattr(slices, name).tolist() for name in _COLUMNS}
    plain["functions"] = as_plain(slices.functions)
    return plain


def _slices_from_plain(plain: object) -> Slices:
    values = object_at(plain, "slices")
    columns = {name: _column(values.get(name), kind, f"slices.{name}") for name, kind in _COLUMNS.items()}
    length = len(columns["start_ns"])
    for name, column in columns.items():
        if len(column) != length:
            fail(f"slices.{name}", "column", length)
    functions = list_at(values.get("functions"), "slices.functions")
    places = (f"slices.functions[{number}]" for number in count())
    return made(Slices, {**columns, "functions": tuple(map(_function, functions, places))})


def _flights_from_plain(plain: object) -> Flights:
    values = object_at(plain, "flights")
    columns = {name: _column(values.get(name), np.int64, f"flights.{name}") for name in _FLIGHTS}
    if len(columns["start_ns"]) != len(columns["end_ns"]):
        fail("flights.end_ns", "column", len(columns["start_ns"]))
    return made(Flights, columns)


def _column(plain: object, kind: type[np.int32 | np.int64], place: str) -> Int32s | Int64s:
    """A column of whole numbers that its type can hold."""
    values = list_at(plain, place)
    limits = np.iinfo(kind)
    most = min(int(limits.max), MOST_NS)
    if not all(type(value) is int and -most <= value <= most for value in values):
        fail(place, "whole numbers")
    return np.array(values, np.int32) if kind is np.int32 else np.array(values, np.int64)


def _function(row: object, place: str) -> Function:
    if type(row) is not list or not is_function(row):
        fail(place, "function row")
    return Function(*row)
