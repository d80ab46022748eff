"""What may stand in each field of a saved trace, read off the types of the model; nothing else gets in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from concmagic.model.other_versions import is_word
from concmagic.model.outcomes import Function, Outcome, OutcomeKind, outcome_of
from concmagic.model.reading import Kind, UnreadableError, Wrong, fail
from concmagic.model.trace import TrackKind
from concmagic.problems import Problem

# Sums of times of very many tracks, and numbers of JavaScript, stay exact.
MOST_NS = 1 << 50
MOST = 1 << 53
MOST_ID = (1 << 31) - 1
MOST_CORES = 1 << 20
_MOST_SECONDS = 1e12
_MOST_CHARACTERS = 1_000_000
_PROBLEM_KIND = re.compile(r"[a-z][a-z_]{0,60}")
_DEEPEST_VALUE = 3  # the values of a problem are a list, one of them may be a list of pairs


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value has to be; else it is `wrong`. `made` is what the model keeps of it."""

    fits: Callable[[Any], bool]
    wrong: Wrong
    made: Callable[[Any], Any] = lambda value: value


def _integer(least: int, most: int, kind: Kind) -> Rule:
    return Rule(lambda value: type(value) is int and least <= value <= most, Wrong(kind))


def one_of(words: Sequence[str]) -> Rule:
    """A text that is one of these."""
    return Rule(lambda value: type(value) is str and value in words, Wrong("one of", tuple(words)))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _MOST_SECONDS


TEXT = Rule(lambda value: type(value) is str and len(value) <= _MOST_CHARACTERS, Wrong("text"))
COUNT = _integer(0, MOST, "count")
TIME = _integer(-MOST_NS, MOST_NS, "time")
LENGTH = _integer(0, MOST_NS, "time")
NUMBER = Rule(_is_number, Wrong("number"), float)
_TRUTH = Rule(lambda value: type(value) is bool, Wrong("truth"))
_ID = _integer(0, MOST_ID, "id")
_ID_OR_OTHER = _integer(-MOST_ID, MOST_ID, "id or other")
_PAIR = Rule(
    lambda value: type(value) is list and len(value) == 2 and all(map(COUNT.fits, value)),
    Wrong("pair"),
    tuple,
)
_IDS = Rule(
    lambda value: (
        type(value) is list and all(type(one) is int and -MOST_ID <= one <= MOST_ID for one in value)
    ),
    Wrong("ids"),
    tuple,
)


def _rows_of_numbers(length: int, kind: Kind) -> Rule:
    """A list of rows of so many whole numbers, which the model keeps as tuples."""

    def fits(value: Any) -> bool:
        return type(value) is list and all(
            type(row) is list
            and len(row) == length
            and all(type(one) is int and -MOST_NS <= one <= MOST_NS for one in row)
            for row in value
        )

    return Rule(fits, Wrong(kind), lambda value: tuple(map(tuple, value)))


_TEXTS = Rule(lambda value: type(value) is list and all(map(TEXT.fits, value)), Wrong("texts"), tuple)


def _is_problem(value: Any) -> bool:
    """A sentence, of an earlier version, or a kind and its values."""
    if type(value) is list and len(value) == 2:
        return type(value[0]) is str and _PROBLEM_KIND.fullmatch(value[0]) is not None and _is_value(value[1])
    return TEXT.fits(value)


def _is_value(value: Any, depth: int = 0) -> bool:
    if type(value) is list:
        return depth < _DEEPEST_VALUE and all(_is_value(one, depth + 1) for one in value)
    return depth > 0 and (value is None or type(value) in (int, float) or TEXT.fits(value))


def _problem(plain: Any) -> Problem:
    return Problem.of("as_told", plain) if type(plain) is str else Problem(plain[0], _frozen(plain[1]))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if type(value) is list else value


_PROBLEMS = Rule(
    lambda value: type(value) is list and all(map(_is_problem, value)),
    Wrong("problems"),
    lambda value: tuple(map(_problem, value)),
)


def is_function(row: Any) -> bool:
    """Whether it is a function's name, file and line."""
    return type(row) is list and len(row) == 3 and all(map(TEXT.fits, row[:2])) and COUNT.fits(row[2])


_FUNCTIONS = Rule(
    lambda value: type(value) is list and all(map(is_function, value)),
    Wrong("function rows"),
    lambda value: tuple(Function(*row) for row in value),
)


def _is_outcome(value: Any) -> bool:
    """An object with its fields; or its text, of a file of an earlier build."""
    if type(value) is not dict:
        return TEXT.fits(value)
    rules = rules_of(Outcome)
    return "kind" in value and all(rules[name].fits(value[name]) for name in rules.keys() & value.keys())


def _outcome(value: Any) -> Outcome:
    if type(value) is str:
        return outcome_of(value)
    rules = rules_of(Outcome)
    return Outcome(**{name: rules[name].made(value[name]) for name in rules.keys() & value.keys()})


_OUTCOME = Rule(_is_outcome, Wrong("outcome"), _outcome)
_OUTCOMES = Rule(
    lambda value: (
        type(value) is list
        and all(
            type(row) is list and len(row) == 2 and _is_outcome(row[0]) and COUNT.fits(row[1])
            for row in value
        )
    ),
    Wrong("outcomes and counts"),
    lambda value: tuple((_outcome(one), many) for one, many in value),
)
_MOMENTS = ("start_ns", "end_ns", "source_ns", "target_ns", "at_ns", "submit_ns", "calls_until_ns")
_KIND = Rule(is_word, Wrong("word"))  # also one that a later version has
_BY_NAME = {
    **dict.fromkeys(("id", "parent", "track", "source", "target"), _ID),
    **dict.fromkeys(("cancelled_by", "longest_of"), _ID_OR_OTHER),
    **dict.fromkeys(_MOMENTS, TIME),
    "wall_ns": LENGTH,
    "cores": _integer(1, MOST_CORES, "core count"),
    "code": _integer(-MOST, MOST, "count"),
}
_BY_TYPE: dict[Any, Rule] = {
    int: COUNT,
    float: NUMBER,
    str: TEXT,
    bool: _TRUTH,
    tuple[int, int]: _PAIR,
    tuple[str, ...]: _TEXTS,
    tuple[Problem, ...]: _PROBLEMS,
    tuple[int, ...]: _IDS,
    Outcome: _OUTCOME,
    tuple[tuple[Outcome, int], ...]: _OUTCOMES,
    tuple[tuple[int, int], ...]: _rows_of_numbers(2, "pairs"),
    tuple[tuple[int, int, int], ...]: _rows_of_numbers(3, "triples"),
}


def rule_for(name: str, hint: Any) -> Rule | None:
    """The rule for a field of this name and type; None for what is no plain value."""
    kinds = get_args(hint)
    if type(None) in kinds:
        inner = rule_for(name, next(kind for kind in kinds if kind is not type(None)))
        return inner and Rule(
            lambda value: value is None or inner.fits(value),
            inner.wrong,
            lambda value: None if value is None else inner.made(value),
        )
    if hint in (TrackKind, OutcomeKind):
        return _KIND
    if get_origin(hint) is Literal:
        return one_of(kinds)
    if name == "traceback":
        return _FUNCTIONS
    return _BY_NAME.get(name) if hint is int and name in _BY_NAME else _BY_TYPE.get(hint)


@cache
def rules_of(kind: Callable[..., Any]) -> dict[str, Rule]:
    """The rules for the fields of a class of the model."""
    found = {name: rule_for(name, hint) for name, hint in get_type_hints(kind).items()}
    return {name: rule for name, rule in found.items() if rule is not None}


@cache
def _required(kind: Callable[..., Any]) -> frozenset[str]:
    rules = rules_of(kind)
    return frozenset(
        one.name
        for one in fields(kind)  # type: ignore[arg-type]
        if one.name in rules and one.default is MISSING and one.default_factory is MISSING
    )


def read(rule: Rule, value: Any, place: str) -> Any:
    """What the model keeps of a value. Raises UnreadableError if it may not stand there."""
    if not rule.fits(value):
        raise UnreadableError(rule.wrong, place)
    return rule.made(value)


def object_at(value: Any, place: str) -> dict[str, Any]:
    """An object of the file."""
    return value if type(value) is dict else fail(place, "object")


def list_at(value: Any, place: str) -> list[Any]:
    """A list of the file."""
    return value if type(value) is list else fail(place, "list")


def values_of(kind: Callable[..., Any], plain: Any, place: str) -> dict[str, Any]:
    """The fields of one object, those that this version knows; one with a default may be missing."""
    values = object_at(plain, place)
    at = f"{place}." if place else ""
    for name in _required(kind) - values.keys():
        fail(f"{at}{name}", "missing")
    rules = rules_of(kind)
    return {name: read(rules[name], value, f"{at}{name}") for name, value in values.items() if name in rules}


def rows_of(kind: Callable[..., Any], plain: Any, place: str) -> tuple[Any, ...]:
    """Many objects, written as the names of their fields and a row of values for each."""
    table = object_at(plain, place)
    names = list_at(table.get("fields"), f"{place}.fields")
    if not all(map(TEXT.fits, names)) or len(set(names)) < len(names):
        fail(f"{place}.fields", "different names")
    for name in _required(kind).difference(names):
        fail(f"{place}.fields", "missing field", name)
    rules = [rules_of(kind).get(name) for name in names]
    rows = list_at(table.get("rows"), f"{place}.rows")
    return tuple(
        kind(**_row(names, rules, row, f"{place}.rows[{number}]")) for number, row in enumerate(rows)
    )


def _row(names: Sequence[str], rules: Sequence[Rule | None], row: Any, place: str) -> dict[str, Any]:
    if type(row) is not list or len(row) != len(names):
        fail(place, "row", len(names))
    return {
        name: read(rule, value, f"{place}.{name}")
        for name, rule, value in zip(names, rules, row, strict=True)
        if rule is not None
    }
