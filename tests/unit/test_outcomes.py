"""How tracks end: kind and facts, the text that was always public, and both in saved files."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from tests.trace_text import trace_from_text

import concmagic
from concmagic.model.fields import rule_for
from concmagic.model.outcomes import RETURNED, UNKNOWN, Function, Outcome, OutcomeKind, outcome_of
from concmagic.model.saved import from_plain, to_plain
from concmagic.model.trace import Job
from concmagic.problems import Problem

TEXTS = {
    "": UNKNOWN,
    "returned": RETURNED,
    "raised ValueError": Outcome("raised", "ValueError"),
    "raised Odd: no\nword": Outcome("raised", "Odd: no\nword"),
    "cancelled": Outcome("cancelled"),
    "interrupted": Outcome("interrupted"),
    "timed out": Outcome("timed out"),
    "destroyed": Outcome("destroyed"),
    "left running": Outcome("left running"),
    "not started": Outcome("not started"),
    "lost: its process ended first": Outcome("lost"),
    "killed by SIGKILL": Outcome("killed", by="SIGKILL"),
    "killed by signal 40": Outcome("killed", by="signal 40"),
    "exit code 3": Outcome("exited", code=3),
    "ended by its pool": Outcome("ended", by="pool"),
    "ended by the cell": Outcome("ended", by="cell"),
    "ended by the interrupt": Outcome("ended", by="interrupt"),
}
OLD = Path(__file__).parents[1] / "data" / "saved" / "outcomes_as_text.json.gz"


@pytest.mark.parametrize("text", TEXTS)
def test_an_outcome_and_its_text_are_read_from_each_other(text: str) -> None:
    outcome = outcome_of(text)
    assert (outcome, str(outcome)) == (TEXTS[text], text)
    assert outcome == text and hash(outcome) == hash(text) and bool(outcome) == bool(text)
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_every_kind_has_a_text() -> None:
    assert {one.kind for one in TEXTS.values()} == set(get_args(OutcomeKind))


@pytest.mark.parametrize("text", ["raised", "exit code", "exit code three", "Returned", "ended by a fish"])
def test_any_other_text_tells_nothing(text: str) -> None:
    assert outcome_of(text) == UNKNOWN


def test_outcomes_of_one_text_may_differ() -> None:
    plain = outcome_of("raised ValueError")
    told = replace(plain, message="ValueError: no", traceback=(Function("work", "", 3), Function("loads")))
    assert told != plain and str(told) == str(plain)
    assert (plain.place, told.place) == (None, Function("loads"))


def test_what_stopped_a_cell_from_outside() -> None:
    stopped = {text: one.stopped_by for text, one in TEXTS.items() if one.stopped_by}
    assert stopped == {"interrupted": "interrupt"}
    assert outcome_of("raised TimeoutError").stopped_by == "timeout"


def test_a_file_of_an_earlier_build_has_texts() -> None:
    trace = concmagic.load(OLD)
    ends = {track.name: track.outcome for track in trace.tracks}
    assert ends["fails"] == Outcome("raised", "ValueError", "ValueError: no", ends["fails"].traceback)
    assert ends["fails"].place == Function("fails", "", 8)
    assert (ends["too_long"].kind, ends["too_long"].message) == ("timed out", "TimeoutError")
    assert ends["dies"] == Outcome("raised", "KeyError", "KeyError: 'x'", (Function("dies", "", 18),))
    assert {track.outcome for track in trace.tracks if track.kind == "process" and track.outcome} == {
        Outcome("exited", code=3),
        Outcome("killed", by="SIGKILL"),
    }
    assert [job.outcome.error for job in trace.jobs] == ["", "ZeroDivisionError", "", ""]
    (group,) = trace.groups
    assert [one.kind for one, _ in group.outcomes] == ["raised", "returned", "left running"]


def test_a_saved_outcome_says_what_is_known() -> None:
    trace = trace_from_text("a  RRR\nb  RRR")
    way = (Function("work", "", 3),)
    ends = (RETURNED, Outcome("raised", "E", "E: no", way))
    tracks = tuple(replace(one, outcome=end) for one, end in zip(trace.tracks, ends, strict=True))
    jobs = (Job(0, "x", None, 0, None, None, Outcome("not started")),)
    plain = json.loads(json.dumps(to_plain(replace(trace, tracks=tracks, jobs=jobs))))
    raised = {"kind": "raised", "error": "E", "message": "E: no", "traceback": [["work", "", 3]]}
    assert [track["outcome"] for track in plain["tracks"]] == [{"kind": "returned"}, raised]
    back = from_plain(plain)
    assert (back.tracks, back.jobs, back.outcome) == (tracks, jobs, RETURNED)


def test_a_kind_of_a_later_version_is_kept_and_told() -> None:
    plain = json.loads(json.dumps(to_plain(trace_from_text("a  RRR"))))
    plain["tracks"][0]["outcome"] = {"kind": "evaporated", "mood": "good"}
    trace = from_plain(plain)
    assert str(trace.tracks[0].outcome) == "evaporated"
    assert trace.cost.problems == (Problem.of("unknown_kind", "evaporated"),)


@pytest.mark.parametrize(
    "value", [3, None, {}, {"kind": 3}, {"kind": "raised", "error": 3}, {"kind": "raised", "traceback": [3]}]
)
def test_what_can_be_no_outcome_is_refused(value: object) -> None:
    rule = rule_for("outcome", Outcome)
    assert rule is not None and not rule.fits(value)
