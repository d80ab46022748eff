"""What may stand in each field of a saved trace, read off the types of the model; nothing else gets in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

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
_WORD = re.compile(r"[a-z][a-z _-]{0,30}")
_PROBLEM_KIND = re.compile(r"[a-z][a-z_]{0,60}")
_DEEPEST_VALUE = 3  # the values of a problem are a list, one of them may be a list of pairs


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value has to be; else it is `wrong`. `made` is what the model keeps of it."""

    fits: Callable[[object], bool]
    wrong: Wrong
    made: Callable[[Any], object] = lambda value: value  # only asked of what fits


def _integer(least: int, most: int, kind: Kind) -> Rule:
    return Rule(lambda value: type(value) is int and least <= value <= most, Wrong(kind))


def one_of(words: Sequence[str]) -> Rule:
    """A text that is one of these."""
    return Rule(lambda value: type(value) is str and value in words, Wrong("one of", tuple(words)))


def _is_number(value: object) -> bool:
    return (type(value) is int or type(value) is float) and 0 <= value <= _MOST_SECONDS


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


def is_word(value: object) -> bool:
    """Whether it can be the name of a kind, of this version or of a later one."""
    return type(value) is str and _WORD.fullmatch(value) is not None


def _list_of(
    fits: Callable[[object], bool], kind: Kind, keep: Callable[[Any], object] = lambda value: value
) -> Rule:
    """A list of such, which the model keeps as a tuple of what `keep` makes of each."""
    return Rule(
        lambda value: type(value) is list and all(map(fits, value)),
        Wrong(kind),
        lambda value: tuple(map(keep, value)),
    )


def _rows_of_times(length: int, kind: Kind) -> Rule:
    """A list of rows of so many whole numbers."""
    return _list_of(
        lambda row: type(row) is list and len(row) == length and all(map(TIME.fits, row)), kind, tuple
    )


def _is_problem(value: object) -> bool:
    """A sentence, of an earlier version, or a kind and its values."""
    if type(value) is list and len(value) == 2:
        return type(value[0]) is str and _PROBLEM_KIND.fullmatch(value[0]) is not None and _is_value(value[1])
    return TEXT.fits(value)


def _is_value(value: object, depth: int = 0) -> bool:
    if type(value) is list:
        return depth < _DEEPEST_VALUE and all(_is_value(one, depth + 1) for one in value)
    return depth > 0 and (value is None or type(value) in (int, float) or TEXT.fits(value))


def _problem(plain: Any) -> Problem:  # it fits
    return Problem.of("as_told", plain) if type(plain) is str else Problem(plain[0], _frozen(plain[1]))


def _frozen(value: Any) -> Any:  # plain lists all the way down
    return tuple(map(_frozen, value)) if type(value) is list else value


def is_function(row: object) -> bool:
    """Whether it is a function's name, file and line."""
    return type(row) is list and len(row) == 3 and all(map(TEXT.fits, row[:2])) and COUNT.fits(row[2])


def _is_outcome(value: object) -> bool:
    """An object with its fields; or its text, of a file of an earlier build."""
    if type(value) is not dict:
        return TEXT.fits(value)
    rules = rules_of(Outcome)
    return "kind" in value and all(rules[name].fits(value[name]) for name in rules.keys() & value.keys())


def _outcome(value: object) -> Outcome:
    if type(value) is not dict:
        return outcome_of(str(value))
    rules = rules_of(Outcome)
    return made(Outcome, {name: rules[name].made(value[name]) for name in rules.keys() & value.keys()})


def _is_counted(row: object) -> bool:
    """Whether it is an outcome, and how many had it."""
    return type(row) is list and len(row) == 2 and _is_outcome(row[0]) and COUNT.fits(row[1])


_FUNCTIONS = _list_of(is_function, "function rows", lambda row: Function(*row))
_MOMENTS = (
    *("start_ns", "end_ns", "source_ns", "target_ns", "at_ns", "submit_ns"),
    *("calls_until_ns", "counted_until_ns"),
)
_KIND = Rule(is_word, Wrong("word"))  # also one that a later version has
_BY_NAME = {
    **dict.fromkeys(("id", "parent", "track", "source", "target"), _ID),
    **dict.fromkeys(("cancelled_by", "longest_of"), _ID_OR_OTHER),
    **dict.fromkeys(_MOMENTS, TIME),
    "wall_ns": LENGTH,
    "cores": _integer(1, MOST_CORES, "core count"),
    "code": _integer(-MOST, MOST, "count"),
}
_BY_TYPE: dict[object, Rule] = {
    int: COUNT,
    float: NUMBER,
    str: TEXT,
    bool: _TRUTH,
    tuple[int, int]: _PAIR,
    tuple[str, ...]: _list_of(TEXT.fits, "texts"),
    tuple[Problem, ...]: _list_of(_is_problem, "problems", _problem),
    tuple[int, ...]: _list_of(_ID_OR_OTHER.fits, "ids"),
    Outcome: Rule(_is_outcome, Wrong("outcome"), _outcome),
    tuple[tuple[Outcome, int], ...]: _list_of(
        _is_counted, "outcomes and counts", lambda row: (_outcome(row[0]), row[1])
    ),
    tuple[tuple[int, int], ...]: _rows_of_times(2, "pairs"),
    tuple[tuple[int, int, int], ...]: _rows_of_times(3, "triples"),
}


def rule_for(name: str, hint: object) -> Rule | None:
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
def rules_of(kind: Callable[..., object]) -> dict[str, Rule]:
    """The rules for the fields of a class of the model."""
    found = {name: rule_for(name, hint) for name, hint in get_type_hints(kind).items()}
    return {name: rule for name, rule in found.items() if rule is not None}


def _fields(kind: Callable[..., object]) -> tuple[Field[object], ...]:
    return fields(kind)  # type: ignore[arg-type]  # a dataclass


@cache
def _required(kind: Callable[..., object]) -> frozenset[str]:
    rules = rules_of(kind)
    return frozenset(
        one.name
        for one in _fields(kind)
        if one.name in rules and one.default is MISSING and one.default_factory is MISSING
    )


def read(rule: Rule, value: object, place: str) -> Any:  # each rule makes a type of its own
    """What the model keeps of a value. Raises UnreadableError if it may not stand there."""
    if not rule.fits(value):
        raise UnreadableError(rule.wrong, place)
    return rule.made(value)


def object_at(value: object, place: str) -> dict[str, object]:
    """An object of the file."""
    return value if type(value) is dict else fail(place, "object")


def list_at(value: object, place: str) -> list[object]:
    """A list of the file."""
    return value if type(value) is list else fail(place, "list")


def values_of(kind: Callable[..., object], plain: object, place: str) -> dict[str, object]:
    """The fields of one object, those that this version knows; one with a default may be missing."""
    values = object_at(plain, place)
    at = f"{place}." if place else ""
    for name in _required(kind) - values.keys():
        fail(f"{at}{name}", "missing")
    rules = rules_of(kind)
    return {name: read(rules[name], value, f"{at}{name}") for name, value in values.items() if name in rules}


def made(kind: Callable[..., T], values: Mapping[str, object]) -> T:
    """An object of the model from values that were read by the rules of its fields."""
    return kind(**values)


def rows_of(kind: Callable[..., T], plain: object, place: str) -> tuple[T, ...]:
    """Many objects, written as the names of their fields and a row of values for each."""
    table = object_at(plain, place)
    found = list_at(table.get("fields"), f"{place}.fields")
    names = [name for name in found if type(name) is str and TEXT.fits(name)]
    if len(set(names)) < len(found):
        fail(f"{place}.fields", "different names")
    for name in _required(kind).difference(names):
        fail(f"{place}.fields", "missing field", name)
    rules = [rules_of(kind).get(name) for name in names]
    rows = list_at(table.get("rows"), f"{place}.rows")
    return tuple(
        made(kind, _row(names, rules, row, f"{place}.rows[{number}]")) for number, row in enumerate(rows)
    )


def _row(names: Sequence[str], rules: Sequence[Rule | None], row: object, place: str) -> dict[str, object]:
    if type(row) is not list or len(row) != len(names):
        fail(place, "row", len(names))
    return {
        name: read(rule, value, f"{place}.{name}")
        for name, rule, value in zip(names, rules, row, strict=True)
        if rule is not None
    }


def rows_to_plain(kind: Callable[..., object], rows: Iterable[object]) -> dict[str, object]:
    """What `rows_of` reads: the names of the fields once, not with every row."""
    names = [one.name for one in _fields(kind)]
    return {"fields": names, "rows": [[as_plain(getattr(row, name)) for name in names] for row in rows]}


def as_plain(value: object) -> object:
    """A value as JSON has it, where tuples are lists; of an outcome its kind, and what else is known."""
    if type(value) is Outcome:
        known = {name: as_plain(getattr(value, name)) for name in rules_of(Outcome)}
        return {name: one for name, one in known.items() if one}
    if type(value) is Function:
        return [value.name, value.file, value.line]
    return [as_plain(each) for each in value] if isinstance(value, tuple) else value
