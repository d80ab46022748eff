"""Whatever is in a file: it loads, and then it can be drawn and saved, or it is one LoadError."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.mutations import mutated
from tests.trace_text import said

import concmagic
from concmagic.errors import LoadError
from concmagic.model.saved import to_plain
from concmagic.sentences import raised_in, way_to

SAVED = sorted((Path(__file__).parents[1] / "data" / "saved").glob("*.json.gz"))
MUTATIONS = 1_000
_ROUNDS = 10


def drawn_and_saved(trace: concmagic.Trace, folder: Path) -> None:
    """All that can be made of a trace; what was saved loads as the same."""
    assert all(trace._repr_mimebundle_().values())
    for suffix in (".html", ".svg", ".txt", ".json", ".json.gz"):
        saved = trace.save(folder / f"again{suffix}")
    assert to_plain(concmagic.load(saved)) == to_plain(trace)


def assert_holds(now: Any, then: Any) -> None:
    """Everything that was saved then is the same now; fields may have come since."""
    if isinstance(then, dict) and then.keys() == {"fields", "rows"}:
        now, then = (
            [dict(zip(table["fields"], row, strict=True)) for row in table["rows"]] for table in (now, then)
        )
    if isinstance(then, dict):
        for name, value in then.items():
            assert_holds(now[name], value)
    elif isinstance(then, list):
        assert len(now) == len(then)
        for one, value in zip(now, then, strict=True):
            assert_holds(one, value)
    else:
        assert now == then


def with_texts(trace: concmagic.Trace) -> dict[str, Any]:
    """What is saved, with outcomes as earlier builds had them: a text, and the exception beside it."""
    plain: dict[str, Any] = json.loads(json.dumps(to_plain(trace))) | {"outcome": str(trace.outcome)}
    for track, saved in zip(trace.tracks, plain["tracks"], strict=True):
        way = [[one.name, one.file, one.line] for one in track.traceback]
        saved |= {"outcome": str(track.outcome), "outcome_detail": track.outcome_detail, "traceback": way}
    of_jobs = plain["jobs"]["fields"].index("outcome")
    for job, row in zip(trace.jobs, plain["jobs"]["rows"], strict=True):
        row[of_jobs] = str(job.outcome)
    for group, row in zip(trace.groups, plain.get("groups", {"rows": []})["rows"], strict=True):
        row[-1] = [[str(one), many] for one, many in group.outcomes]
    return plain


def in_words(trace: concmagic.Trace) -> dict[str, Any]:
    """What is saved, with states as version 1 told them: in words."""
    plain = with_texts(trace) | {"format": 1}
    for track, saved in zip(trace.tracks, plain["tracks"], strict=True):
        is_task = track.kind == "task"
        saved["changed"] = ", ".join(track.changed)
        saved["traceback"] = "" if is_task else way_to(track.traceback)
        saved["raised_in"] = raised_in(track.traceback) if is_task else ""
        for one, row in zip(track.states, saved["states"], strict=True):
            row[4] = said(trace, one)
    return plain


def test_there_are_saved_files() -> None:
    assert len(SAVED) == 8


@pytest.mark.parametrize("path", SAVED, ids=[path.name for path in SAVED])
def test_a_file_of_an_earlier_version_loads_and_is_the_same_again(path: Path, tmp_path: Path) -> None:
    trace = concmagic.load(path)
    then = json.loads(gzip.decompress(path.read_bytes()))["concmagic"]
    assert_holds(in_words(trace) if then["format"] == 1 else with_texts(trace), then)
    drawn_and_saved(trace, tmp_path)


@pytest.mark.parametrize("part", range(_ROUNDS))
def test_a_mutated_file_is_drawn_or_is_a_load_error(part: int, tmp_path: Path) -> None:
    loaded = 0
    for number in range(part, MUTATIONS, _ROUNDS):
        rng = Random(number)
        path = tmp_path / "mutated.json"
        path.write_bytes(mutated(rng, rng.choice(SAVED).read_bytes()))
        try:
            trace = concmagic.load(path)
        except LoadError as error:
            assert "\n" not in str(error)
            continue
        loaded += 1
        drawn_and_saved(trace, tmp_path)
    assert loaded >= 10  # else nothing of the drawing was tried
