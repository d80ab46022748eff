"""The same numbers in Python and in JavaScript: one file that pytest and node both read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from concmagic import sentences
from concmagic.renderers.measure import columns, fit, fit_columns, one_line, text_width, wrap
from concmagic.renderers.time_axis import tick_label, ticks

_SHARED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "timeline_model.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(("length", "words"), _SHARED["durations"])
def test_durations(length: int, words: str) -> None:
    assert sentences.duration(length) == words


@pytest.mark.parametrize(("start", "end", "most", "labels"), _SHARED["ticks"])
def test_ticks(start: int, end: int, most: int, labels: list[str]) -> None:
    assert [label for _, label in ticks(start, end, most)] == labels


@pytest.mark.parametrize(("time", "step", "end", "label"), _SHARED["labels"])
def test_tick_labels(time: int, step: int, end: int, label: str) -> None:
    assert tick_label(time, step, end) == label


def test_fitting_never_exceeds_the_room() -> None:
    for text in ("blocking the loop: time.sleep line 4", "名前" * 30, "WWWW", ""):
        for room in range(0, 400, 7):
            assert text_width(fit(text, room, 13), 13) <= room
            assert columns(fit_columns(text, room)) <= room


def test_wrapping_keeps_the_words() -> None:
    text = "one two three four five six seven eight nine ten"
    assert " ".join(wrap(text, 120, 13, lines=9)) == text
    assert all(text_width(line, 13) <= 120 for line in wrap(text, 120, 13, lines=9))
    assert wrap("x" * 100, 50, 13)[-1].endswith("…")


def test_one_line_has_nothing_that_steers_a_terminal() -> None:
    assert one_line("a\n\tb\x1b[31m\u202ec") == "a b [31m c"


def test_folds_speak() -> None:
    assert sentences.more_lanes(12, "task") == "+ 12 more tasks"
    assert sentences.all_lanes(1, "process") == "1 process"
    assert sentences.helpers(4) == "+ 4 helpers"
    assert sentences.spread([10_000_000] * 19 + [90_000_000]) == "p50 10 · p95 10 · max 90 ms"
    assert sentences.spread([900_000, 2_000_000]) == "p50 900 µs · p95 2 ms · max 2 ms"
