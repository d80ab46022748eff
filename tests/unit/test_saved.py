"""A saved trace is the same trace again."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import traceback
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from tests.trace_text import trace_from_text

import concmagic
from concmagic.errors import LoadError
from concmagic.model.outcomes import RETURNED, Outcome
from concmagic.model.reading import Kind, UnreadableError, Wrong
from concmagic.model.saved import FORMAT, from_plain, to_plain
from concmagic.model.trace import (
    Cost,
    Flights,
    Flow,
    Function,
    Group,
    Hidden,
    Job,
    Lock,
    LoopSteps,
    Mark,
    Resource,
    Slices,
    Stop,
    Trace,
)
from concmagic.problems import Problem
from concmagic.sentences.problems import unreadable, wrong_place


def full_trace() -> Trace:
    """A trace with something of everything."""
    plain = trace_from_text("a  SRWBYU\nb  ..RRR.")
    first, second = plain.tracks
    way = (Function("fails", "a.py", 3), Function("loads", "json.py", 9))
    raised = Outcome("raised", "E", "E: no", way)
    return replace(
        plain,
        tracks=(
            replace(first, outcome=raised),
            replace(second, cancelled_by=-1, stopped_by="timer"),
        ),
        others=("tick",),
        resources=(Resource("lock", "", "a.py", 3, 1),),
        locks=(Lock("", "Lock", 2, 1, 9, 0),),
        loops=(LoopSteps(0, 9, -1, 1, 2, 3), LoopSteps(1, 5, None)),
        groups=(Group(1, 5, 4, 3, 7, 1, 2, 3, 4, 5, ((Outcome("raised", "KeyError"), 3), (RETURNED, 1))),),
        flights=Flights(np.array([1], np.int64), np.array([2], np.int64)),
        flows=(Flow("wake", 0, 1, 1, 2, "timer"), Flow("release", 0, 1, 1, 2, "", 84, 5, 0)),
        marks=(Mark("here", 1, 2, 0), Mark("there", 3, 3)),
        jobs=(Job(0, "url='x'", 1, 0, 2, 5, RETURNED), Job(1, "y", None, 0, None, None)),
        slices=Slices(
            np.array([0, 1], np.int32),
            np.array([0, 5], np.int64),
            np.array([9, 2**40], np.int64),
            np.array([0, 1], np.int32),
            np.array([1, 0], np.int32),
            (Function("f", "a.py", 3), Function("time.sleep")),
        ),
        cost=Cost(
            *(0.01, 7, 12, 3),
            (
                Problem.of("as_told", "Something was lost."),
                Problem.of("jobs_merged", 3, 4, (("raised KeyError", 2), ("returned", 2)), 10, 0),
                Problem.of("child_told_nothing", "w", None),
            ),
        ),
        hidden=Hidden(2, 1),
        stop=Stop(7, (1, 0), 3),
        cpu_s=0.5,
        python_cpu_s=0.4,
    )


def test_it_comes_back_equal() -> None:
    trace = full_trace()
    back = from_plain(json.loads(json.dumps(to_plain(trace))))
    assert replace(back, slices=trace.slices) == trace
    for column in ("track", "start_ns", "end_ns", "depth", "function"):
        ours, theirs = getattr(trace.slices, column), getattr(back.slices, column)
        assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()
    assert back.slices.functions == trace.slices.functions


def test_the_number_of_many_tasks_was_part_of_their_name() -> None:
    trace = replace(full_trace(), loops=(), flows=(), locks=())
    plain = json.loads(json.dumps(to_plain(trace))) | {"format": 1}
    for name, track in zip(("a × 5", "fetch × 5"), plain["tracks"], strict=True):
        track |= {"name": name, "states": [], "traceback": "", "cancelled_by": None}
    back = from_plain(plain)
    assert [track.name for track in back.tracks] == ["a × 5", "fetch"]
    assert back.called()[back.tracks[1].id] == ("fetch", 5)


def test_unknown_cpu_time_stays_unknown() -> None:
    plain = to_plain(replace(full_trace(), cpu_s=float("nan")))
    assert "NaN" not in json.dumps(plain)
    assert from_plain(plain).cpu_s != from_plain(plain).cpu_s


def test_fields_of_a_later_minor_version_are_ignored() -> None:
    plain = json.loads(json.dumps(to_plain(full_trace())))
    plain["tracks"][0]["mood"] = "good"
    plain["hidden"]["processes"] = 4
    plain["extra"] = []
    assert len(from_plain(plain).tracks) == 2


def test_a_later_format_is_refused_in_one_sentence() -> None:
    plain = to_plain(full_trace()) | {"format": FORMAT + 1}
    with pytest.raises(UnreadableError) as caught:
        from_plain(plain)
    said = "This trace was saved by a later concmagic (format 3); install that version to read it."
    assert unreadable("cell.json", caught.value) == said


def wrong(change: Callable[[dict[str, Any]], object]) -> str:
    """What is said of a saved trace with one thing wrong."""
    plain = json.loads(json.dumps(to_plain(full_trace())))
    change(plain)
    with pytest.raises(UnreadableError) as caught:
        from_plain(plain)
    return wrong_place(caught.value)


def put(place: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Put a value at a place such as "tracks/1/end_ns"."""
    *way, last = [int(word) if word.isdecimal() else word for word in place.split("/")]

    def change(plain: Any) -> None:
        for step in way:
            plain = plain[step]
        plain[last] = value

    return change


WRONG = {
    "tracks/1/end_ns": (-5, "tracks[1].end_ns: expected a time that is not before the start"),
    "tracks/0/id": (1, "tracks[1].id: expected an id that no other track has"),
    "tracks/0/name": (None, "tracks[0].name: expected a text"),
    "tracks/0/kind": ("<fish>", "tracks[0].kind: expected a kind: a word in small letters"),
    "tracks/0/start_ns": (1.5, "tracks[0].start_ns: expected a whole number of nanoseconds"),
    "tracks/0/daemon": (1, "tracks[0].daemon: expected true or false"),
    "tracks/0/switches": ([1, -1], "tracks[0].switches: expected two whole numbers"),
    "tracks/0/parent": (0, "tracks[0].parent: the track is drawn under itself"),
    "tracks/1/parent": (77, "tracks[1].parent: expected the id of a track in this file"),
    "tracks/0/states/1/0": (-1, "tracks[0].states[1]: expected a start that is not before the end"),
    "tracks/0/states/0/2": ("Asleep", "tracks[0].states[0]: expected start, end, state"),
    "flows/rows/0/1": (9, "flows.rows[0].source: expected the id of a track in this file"),
    "tracks/0/cancelled_by": (-2, "tracks[0].cancelled_by: expected the id of a track in this file"),
    "tracks/1/cancelled_by": ("tick", "tracks[1].cancelled_by: expected the id of a track, or the negative"),
    "loops/rows/0/2": (7, "loops.rows[0].longest_of: expected the id of a track in this file"),
    "groups/rows/0/10": ([["returned", -1]], "groups.rows[0].outcomes: expected a list of pairs of how"),
    "locks/rows/0/5": (1, "locks.rows[0].resource: expected the place of a resource in this file"),
    "flows/rows/0/8": (9, "flows.rows[0].resource: expected the place of a resource"),
    "marks/rows/1/2": (1, "marks.rows[1].end_ns: expected a time that is not before the start"),
    "jobs/rows/0": ([1], "jobs.rows[0]: expected a list of "),
    "jobs/fields": (["index", "index"], "jobs.fields: expected a list of different names"),
    "slices/function/1": (2, "slices.function[1]: expected the place of a function"),
    "slices/end_ns/0": (-3, "slices.end_ns[0]: expected a time that is not before the start"),
    "slices/depth": ([0], "slices.depth: expected 2 values"),
    "slices/depth/1": (10**6, "slices.depth[1]: expected a whole number from 0 to 100,000"),
    "slices/track": ([1, True], "slices.track: expected a list of whole numbers"),
    "slices/start_ns/1": (2**63, "slices.start_ns: expected a list of whole numbers"),
    "slices/functions/0": (["f"], "slices.functions[0]: expected name, file and line"),
    "build/cores": (0, "build.cores: expected a whole number from 1 on"),
    "cost/problems": ([3], "cost.problems: expected a list of texts, or of rows of a kind and its values"),
    "cpu_s": (-1, "cpu_s: expected a number from 0 on"),
    "wall_ns": (2**60, "wall_ns: expected a whole number of nanoseconds"),
    "format": ("1", "format: expected a whole number"),
}


@pytest.mark.parametrize("place", WRONG)
def test_what_is_wrong_is_named_with_its_place(place: str) -> None:
    value, said = WRONG[place]
    assert wrong(put(place, value)).startswith(said)


def test_tracks_in_a_circle_are_refused() -> None:
    def circle(plain: dict[str, Any]) -> None:
        plain["tracks"][0]["parent"], plain["tracks"][1]["parent"] = 1, 0

    assert "the track is drawn under itself" in wrong(circle)


def test_what_is_missing_is_named() -> None:
    assert wrong(lambda plain: plain["tracks"][1].pop("role")) == "tracks[1].role: it is missing"
    assert wrong(lambda plain: plain.pop("slices")) == "slices: expected an object"
    assert wrong(put("jobs/fields", ["index"])).startswith("jobs.fields: ")
    assert wrong(put("jobs/fields", ["index"])).endswith(": it is missing")


def test_every_kind_of_what_is_wrong_has_its_words_once() -> None:
    errors = [UnreadableError(Wrong(kind, (7,)), "there") for kind in get_args(Kind)]
    said = {unreadable("cell.json", error) for error in errors}
    assert len(said) == len(errors)
    assert not [words for words in said if "{" in words]


def test_load_names_the_file_and_the_place(tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    plain = to_plain(full_trace())
    plain["tracks"][0]["line"] = -1
    path.write_text(json.dumps({"concmagic": plain}))
    why = r"cell\.json is no trace .*tracks\[0\]\.line: expected a whole"
    with pytest.raises(LoadError, match=why) as caught:
        concmagic.load(path)
    said = str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == said
    assert traceback.format_exception(caught.value)[-1] == f"concmagic.errors.LoadError: {said}\n"
    assert "UnreadableError" not in "".join(traceback.format_exception(caught.value))


def test_why_a_file_cannot_be_read_is_a_value_that_can_be_handed_on() -> None:
    with pytest.raises(UnreadableError) as caught:
        from_plain(json.loads(json.dumps(to_plain(full_trace()))) | {"tracks": 3})
    other = pickle.loads(pickle.dumps(caught.value))
    assert (other.wrong, other.place) == (Wrong("list"), "tracks")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", gzip.compress(b"{}")[:-9], b"[" * 200_000, b"\xff\xfe", b"NaN", b"1" * 5000, b"[]"],
    ids=["empty", "no gzip", "cut off", "nested", "no text", "NaN", "long number", "a list"],
)
def test_any_other_file_is_a_load_error_of_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json.gz"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"is no trace that concmagic saved") as caught:
        concmagic.load(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.json"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, tmp_path / "nothing.json"):
        with pytest.raises(LoadError):
            concmagic.load(path)


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_a_file_is_unpacked_up_to_a_limit_that_can_be_raised(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"large{suffix}"
    text = json.dumps({"concmagic": to_plain(full_trace()), "filling": " " * (2 << 20)}).encode()
    path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    assert (path.stat().st_size < 10_000) == suffix.endswith("gz")
    assert len(concmagic.load(path).tracks) == 2
    assert len(concmagic.load(path, limit_mb=3).tracks) == 2
    tracemalloc.start()
    try:
        with pytest.raises(LoadError, match=r"more than 0\.5 MB.*limit_mb=1\)"):
            concmagic.load(path, limit_mb=0.5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


@pytest.mark.parametrize("plain", [{}, {"format": 1}, {"format": 1, "title": "x", "tracks": 3}])
def test_what_is_no_trace_is_an_error_that_load_knows(plain: dict[str, object]) -> None:
    with pytest.raises(UnreadableError):
        from_plain(plain)
