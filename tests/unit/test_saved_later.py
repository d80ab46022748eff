"""The saved format has room for what is planned, and a reader of it meets what it does not know."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.trace_text import MS, trace_from_text

import concmagic
from concmagic.api import Trace
from concmagic.model.reading import UnreadableError
from concmagic.model.saved import from_plain, to_plain
from concmagic.model.trace import Counter, Facts, Flow, Resource, State
from concmagic.problems import Problem

LATER = ("fiber", "dreaming", "entangle")
PLANNED = ("resource", "interpreter", "greenlet", "host", "worker")


def planned() -> Trace:
    """Tracks, a resource and counters as they are planned."""
    drawn = trace_from_text("a  RRWW\nb  RRRR\nc  WWRR\nd  RRRR\ne  RRRR\n")
    tracks = [replace(one, kind=kind) for one, kind in zip(drawn.tracks, PLANNED, strict=True)]
    tracks[1] = replace(tracks[1], counters=(Counter("sent", "B", ((0, 10), (2 * MS, 70))),))
    lock = Resource(
        "lock", "cache", "", 3, 1, held=((0, 2 * MS, 1), (2 * MS, 4 * MS, -1)), queue=((0, 2, 1),)
    )
    states = tuple(
        replace(one, facts=Facts(0, (1, -1), (-1,))) if one.state is State.WAITING else one
        for one in tracks[0].states
    )
    tracks[0] = replace(tracks[0], states=states)
    return Trace.of(replace(drawn, tracks=tuple(tracks), resources=(lock,), others=("somebody",)))


def as_json(trace: Trace) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(to_plain(trace)))
    return plain


def test_what_is_planned_is_saved_and_drawn(tmp_path: Path) -> None:
    trace = planned()
    loaded = concmagic.load(trace.save(tmp_path / "planned.json"))
    assert (loaded.tracks, loaded.resources, loaded.others) == (trace.tracks, trace.resources, trace.others)
    assert loaded.cost.problems == ()
    assert all(loaded._repr_mimebundle_().values())


def test_a_kind_of_a_later_version_costs_one_sentence(tmp_path: Path) -> None:
    plain = as_json(Trace.of(replace(planned(), flows=(Flow("wake", 0, 1, 1, 2),))))
    plain["tracks"][2]["kind"] = LATER[0]
    plain["tracks"][3]["states"][0][2] = LATER[1]
    plain["flows"]["rows"].append([LATER[2], 0, 1, 1, 2, ""])
    path = tmp_path / "later.json"
    path.write_text(json.dumps({"concmagic": plain}), encoding="utf-8")
    trace = concmagic.load(path)
    assert [one.kind for one in trace.tracks][2] == "fiber"
    assert trace.tracks[3].states[0].state is State.UNKNOWN
    assert len(trace.flows) == 1
    told = tuple(Problem.of("unknown_kind", kind) for kind in LATER)
    assert trace.cost.problems == told
    assert str(told[0]) == "A later concmagic has saved what this one does not know: fiber."
    for suffix in (".html", ".svg", ".txt", ".json"):
        saved = trace.save(tmp_path / f"later{suffix}")
    assert concmagic.load(saved).cost.problems == trace.cost.problems


@pytest.mark.parametrize("kind", ["Fiber", "<b>", "", 7, None, "x" * 99])
def test_what_can_be_no_kind_is_no_trace(kind: object) -> None:
    plain = as_json(planned())
    plain["tracks"][2]["kind"] = kind
    with pytest.raises(UnreadableError) as caught:
        from_plain(plain)
    assert caught.value.place == "tracks[2].kind"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda plain: plain["facts"]["rows"][1].__setitem__(1, [9]), r"tracks\[0\]\.states"),
        (lambda plain: plain["facts"]["rows"][1].__setitem__(0, 1), r"tracks\[0\]\.states"),
        (lambda plain: plain["facts"]["rows"][1].__setitem__(1, [-2]), r"tracks\[0\]\.states"),
        (lambda plain: plain["facts"]["rows"].pop(), r"tracks\[0\]\.states"),
        (lambda plain: plain.pop("facts"), "facts"),
        (lambda plain: plain["resources"]["rows"][0][5][0].__setitem__(2, 9), r"resources\.rows\[0\]"),
        (lambda plain: plain["resources"]["rows"][0][5][0].__setitem__(1, -9), r"resources\.rows\[0\]"),
        (lambda plain: plain["resources"]["rows"][0][6][0].pop(), r"resources\.rows\[0\]\.queue"),
        (lambda plain: plain["tracks"][1]["counters"][0].pop("unit"), r"tracks\[1\]\.counters\[0\]\.unit"),
        (lambda plain: plain["tracks"][1].__setitem__("counters", 3), r"tracks\[1\]\.counters"),
    ],
)
def test_what_contradicts_itself_names_its_place(change: Any, place: str) -> None:
    plain = as_json(planned())
    change(plain)
    with pytest.raises(UnreadableError) as caught:
        from_plain(plain)
    assert re.match(place, caught.value.place)
