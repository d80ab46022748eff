"""The payload is what the schema says, and the script reads it by the same schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from types import UnionType
from typing import get_args, get_type_hints

import pytest

import picture_schema
from concmagic.renderers import schema
from concmagic.renderers.html import SCRIPTS, START
from concmagic.renderers.palette import ORDER
from concmagic.renderers.payload import payload
from concmagic.renderers.payload_lanes import KINDS
from sample_reports import SAMPLES, ten_long_tracks, thousand_tasks, with_many_calls

REPORTS = {
    **SAMPLES,
    "ten_long_tracks": lambda: ten_long_tracks(2_000),
    "with_many_calls": lambda: with_many_calls(thousand_tasks(), 8),
}


def test_the_scripts_schema_is_generated_from_this_one() -> None:
    assert picture_schema.TARGET.read_text(encoding="utf-8") == picture_schema.javascript(), "make schema"


@pytest.mark.parametrize("name", REPORTS)
def test_a_payload_is_what_the_schema_says(name: str) -> None:
    packed = json.loads(json.dumps(payload(REPORTS[name]())))
    assert picture_schema.misfit(packed, schema.Payload) == ""


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda data: data["lanes"][0].append(1), "payload.lanes[0]"),
        (lambda data: data["lanes"][0].reverse(), "payload.lanes[0].name"),
        (lambda data: data["findings"][0].__setitem__(0, "fatal"), "payload.findings[0].severity"),
        (lambda data: data["words"].pop("fit"), "payload.words"),
        (lambda data: data["words"]["flows"][1].pop(), "payload.words.flows[1]"),
        (lambda data: data["themes"][0]["states"][1].pop("ink"), "payload.themes[0].states[1]"),
        (lambda data: data["kinds"].append([0, "full"] * 2), "payload.kinds"),
    ],
    ids=["longer", "other order", "other word", "no word", "fewer words", "no colour", "kind"],
)
def test_what_is_not_as_the_schema_says_is_found(spoil: Callable[..., object], where: str) -> None:
    packed = json.loads(json.dumps(payload(SAMPLES["asyncio_blocker"]())))
    spoil(packed)
    assert picture_schema.misfit(packed, schema.Payload).startswith(where)


def test_rows_that_stand_in_one_list_are_told_apart_by_their_length() -> None:
    hints = [*get_type_hints(schema.Payload).values(), *get_type_hints(schema.Calls).values()]
    mixed = [get_args(row) for hint in hints for row in get_args(hint) if isinstance(row, UnionType)]
    assert set(mixed) == {(schema.BoxKind, schema.MixedKind), (schema.CallKind, schema.CallsKind)}
    for kinds in mixed:
        assert all(len(one._fields) != len(other._fields) for one, other in combinations(kinds, 2))


def test_every_script_is_shipped_and_checked() -> None:
    """`make types-js` and the tests of the scripts take the whole folder."""
    assert {path.name for path in picture_schema.SCRIPTS.glob("*.js")} == {*SCRIPTS, START}


def test_there_are_words_for_each_state_and_each_kind_of_arrow() -> None:
    words = payload(SAMPLES["asyncio_blocker"]())["words"]
    assert len(words["states"]) == len(ORDER)
    assert len(words["flows"]) == len(KINDS)
