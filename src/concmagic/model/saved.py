"""A Trace as plain data for JSON, and back: what stands under "concmagic" in a saved file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from itertools import count
from math import isnan
from typing import Any

import numpy as np

from concmagic.model.fields import (
    COUNT,
    MOST_NS,
    TEXT,
    TIME,
    is_function,
    list_at,
    object_at,
    one_of,
    read,
    rows_of,
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
    Trace,
    Track,
)
from concmagic.problems import Problem

FORMAT = 2
_ROWS: dict[str, type[Any]] = {
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
_SINGLE: dict[str, type[Any]] = {"build": Build, "hidden": Hidden, "cost": Cost}
_COLUMNS = {
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
_OUTCOME_FIELDS = tuple(field.name for field in fields(Outcome) if field.name != "traceback")
_BESIDE_OUTCOMES = {"outcome_detail": "message", "traceback": "traceback"}
_TRACK_FIELDS = tuple(field.name for field in fields(Track) if field.name not in _OF_TRACKS)


def to_plain(trace: Trace) -> dict[str, Any]:
    """The whole trace as dicts, lists, strings and numbers; NaN is None."""
    plain: dict[str, Any] = {"format": FORMAT}
    plain |= {name: getattr(trace, name) for name in _PLAIN}
    plain |= {name: _number_to_plain(getattr(trace, name)) for name in _NUMBERS}
    plain["outcome"] = _plain(trace.outcome)
    plain["gil_switches"] = trace.gil_switches
    plain["others"] = list(trace.others)
    numbers: dict[Facts, int] = {NO_FACTS: 0}
    plain["tracks"] = [_track_to_plain(track, numbers) for track in trace.tracks]
    plain["facts"] = _rows_to_plain(tuple(numbers), Facts)
    plain |= {name: _rows_to_plain(getattr(trace, name), kind) for name, kind in _ROWS.items()}
    plain["slices"] = _slices_to_plain(trace.slices)
    if trace.groups:
        plain["flights"] = {name: getattr(trace.flights, name).tolist() for name in _FLIGHTS}
    else:
        del plain["groups"]
    plain |= {name: asdict(getattr(trace, name)) for name in _SINGLE}
    plain["cost"]["problems"] = [_problem_to_plain(one) for one in trace.cost.problems]
    return plain


def from_plain(plain: Any) -> Trace:
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
    values |= {name: kind(**values_of(kind, whole.get(name), name)) for name, kind in _SINGLE.items()}
    if unknown:
        problems = (*values["cost"].problems, *(Problem.of("unknown_kind", one) for one in unknown))
        values["cost"] = replace(values["cost"], problems=tuple(dict.fromkeys(problems)))
    trace = Trace(**values)
    check(trace)
    return trace


def _problem_to_plain(problem: Problem) -> Any:
    """As `cost.problems` are read: a sentence that was read is the same again."""
    return problem.values[0] if problem.kind == "as_told" else [problem.kind, _listed(problem.values)]


def _listed(value: Any) -> Any:
    return [_listed(one) for one in value] if isinstance(value, tuple) else value


def _number_to_plain(number: float) -> float | None:
    return None if isnan(number) else number


def _track_to_plain(track: Track, numbers: dict[Facts, int]) -> dict[str, Any]:
    plain = {name: _plain(getattr(track, name)) for name in _TRACK_FIELDS}

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


def _track_from_plain(plain: Any, place: str, facts: Sequence[Facts]) -> Track:
    states = _states_from_plain(object_at(plain, place).get("states"), f"{place}.states", facts)
    counters = tuple(
        Counter(**values_of(Counter, one, f"{place}.counters[{number}]"))
        for number, one in enumerate(list_at(plain.get("counters", []), f"{place}.counters"))
    )
    track = Track(**values_of(Track, plain, place), states=states, counters=counters)
    return replace(track, outcome=_with_exception(track.outcome, plain, place))


def _with_exception(outcome: Outcome, track: dict[str, Any], place: str) -> Outcome:
    """Files of earlier builds have the exception and the way to it beside the text of an outcome."""
    beside = {new: track[old] for old, new in _BESIDE_OUTCOMES.items() if old in track}
    return (
        replace(outcome, **values_of(Outcome, {"kind": outcome.kind, **beside}, place)) if beside else outcome
    )


def _states_from_plain(plain: Any, place: str, facts: Sequence[Facts]) -> tuple[StateInterval, ...]:
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


def _rows_to_plain(rows: Sequence[Any], kind: type[Any]) -> dict[str, Any]:
    """Columns: the names once, not with every row."""
    names = [field.name for field in fields(kind)]
    plain = [[getattr(row, name) for name in names] for row in rows]
    return {"fields": names, "rows": [[_plain(value) for value in row] for row in plain]}


def _plain(value: Any) -> Any:
    if type(value) is Outcome:
        return _outcome_to_plain(value)
    return [_plain(each) for each in value] if type(value) is tuple else value


def _outcome_to_plain(outcome: Outcome) -> dict[str, Any]:
    """Its kind, and what else is known."""
    known = {name: value for name in _OUTCOME_FIELDS if (value := getattr(outcome, name))}
    if outcome.traceback:
        known["traceback"] = [[one.name, one.file, one.line] for one in outcome.traceback]
    return known


def _slices_to_plain(slices: Slices) -> dict[str, Any]:
    plain: dict[str, Any] = {name: getattr(slices, name).tolist() for name in _COLUMNS}
    plain["functions"] = [[one.name, one.file, one.line] for one in slices.functions]
    return plain


def _slices_from_plain(plain: Any) -> Slices:
    values = object_at(plain, "slices")
    columns = {name: _column(values.get(name), kind, f"slices.{name}") for name, kind in _COLUMNS.items()}
    length = len(columns["start_ns"])
    for name, column in columns.items():
        if len(column) != length:
            fail(f"slices.{name}", "column", length)
    functions = list_at(values.get("functions"), "slices.functions")
    places = (f"slices.functions[{number}]" for number in count())
    return Slices(**columns, functions=tuple(map(_function, functions, places)))


def _flights_from_plain(plain: Any) -> Flights:
    values = object_at(plain, "flights")
    start_ns, end_ns = (_column(values.get(name), np.int64, f"flights.{name}") for name in _FLIGHTS)
    if len(start_ns) != len(end_ns):
        fail("flights.end_ns", "column", len(start_ns))
    return Flights(start_ns, end_ns)


def _column(plain: Any, kind: type[Any], place: str) -> Any:
    """A column of whole numbers that its type can hold."""
    values = list_at(plain, place)
    limits = np.iinfo(kind)
    most = min(int(limits.max), MOST_NS)
    if not all(type(value) is int and -most <= value <= most for value in values):
        fail(place, "whole numbers")
    return np.array(values, kind)


def _function(row: Any, place: str) -> Function:
    return Function(*row) if is_function(row) else fail(place, "function row")
