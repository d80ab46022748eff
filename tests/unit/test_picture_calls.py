"""The calls in the interactive picture: the longest as they are, the rest merged with exact sums."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from packed_boxes import Box, unpacked

from concmagic import sentences
from concmagic.model.trace import Function
from concmagic.renderers.html import HtmlRenderer
from concmagic.renderers.payload import payload
from concmagic.renderers.payload_calls import DEEPEST, MOST_FOLDED, MOST_OF_ONE, MOST_SEEN
from concmagic.renderers.schema import CallKind, CallsKind
from concmagic.report import Report
from sample_reports import (
    MS,
    SAMPLES,
    asyncio_blocker,
    calling_threads,
    slices,
    ten_long_tracks,
    thousand_tasks,
    with_many_calls,
)


def _rows(report: Report) -> dict[str, list[list[Box]]]:
    """By lane: the boxes of each row as (start, end, kind)."""
    data = payload(report)
    calls = data["calls"]
    return {
        data["lanes"][one.lane].name: [unpacked(row, calls["kinds"]) for row in one.rows]
        for one in calls["lanes"]
    }


def _calls_in(kind: CallKind | CallsKind) -> int:
    return kind.calls if isinstance(kind, CallsKind) else 1


def _how_many(report: Report) -> dict[int, int]:
    return {one.lane: sum(len(row) // 2 for row in one.rows) for one in payload(report)["calls"]["lanes"]}


def test_long_calls_are_drawn_one_by_one_with_name_and_place() -> None:
    load, below, _short = _rows(calling_threads())["loader-1"]
    unit = payload(calling_threads())["unit"]
    assert [(start * unit, end * unit) for start, end, _ in load] == [
        ((5 + 50 * turn) * MS, (55 + 50 * turn) * MS) for turn in range(4)
    ]
    assert [kind for _, _, kind in load] == [("load", "line 6")] * 4
    assert [kind.name for _, _, kind in below] == ["time.sleep", "parse"] * 4


def test_short_calls_are_merged_with_exact_count_and_sum() -> None:
    short = _rows(calling_threads())["loader-1"][2]
    assert len(short) < MOST_OF_ONE
    assert all(kind[:2] == ("number_of", "text.py:88") for _, _, kind in short)
    assert sum(_calls_in(kind) for _, _, kind in short) == 4_000
    for _, _, kind in short:
        assert _calls_in(kind) == 1 or kind.spent == sentences.duration(kind.calls * 20_000)


def test_different_functions_merged_have_no_name() -> None:
    calls = [(3, 1 + i * 0.00001, 1.000005 + i * 0.00001, 0, i % 2) for i in range(2_000)]
    report = asyncio_blocker()
    made = slices(calls, (Function("one", "", 1), Function("other", "", 2)))
    (row,) = _rows(replace(report, trace=replace(report.trace, slices=made)))["blocker"]
    assert {kind.name for _, _, kind in row} == {""} and sum(kind.calls for _, _, kind in row) == 2_000


def test_a_lane_without_calls_has_no_rows() -> None:
    assert set(_rows(calling_threads())) == {"loader-1", "loader-2"}
    assert payload(asyncio_blocker())["calls"]["lanes"] == []


def test_where_calls_end_is_told() -> None:
    data = payload(calling_threads())
    assert data["calls"]["until"] * data["unit"] == 205 * MS
    assert payload(asyncio_blocker())["calls"]["until"] == -1


def test_deep_calls_are_counted_not_drawn() -> None:
    report = with_many_calls(ten_long_tracks(400), 80)
    for one in payload(report)["calls"]["lanes"]:
        assert len(one.rows) == DEEPEST and one.deeper == 80 * 2 // 8


@pytest.mark.parametrize("of_each", [1, 8, 100, 5_000])
def test_ten_tracks_with_calls_take_at_most_120_kilobytes(of_each: int) -> None:
    report = with_many_calls(ten_long_tracks(400), of_each)
    assert max(_how_many(report).values()) <= 2 * MOST_OF_ONE  # a gap before each box
    assert sum(_how_many(report).values()) <= 2 * MOST_SEEN
    assert len(HtmlRenderer().render(report).encode()) <= 120_000


@pytest.mark.parametrize("of_each", [1, 8, 100])
def test_a_thousand_tasks_with_calls_take_at_most_250_kilobytes(of_each: int) -> None:
    report = with_many_calls(thousand_tasks(), of_each)
    assert sum(_how_many(report).values()) <= 2 * (MOST_SEEN + MOST_FOLDED)
    assert len(HtmlRenderer().render(report).encode()) <= 250_000
    assert any("are not in the picture" in note for note in payload(report)["notes"])


def test_boxes_never_overlap_and_sums_are_whole() -> None:
    report = with_many_calls(ten_long_tracks(400), 5_000)
    for name, rows in _rows(report).items():
        for row in rows:
            assert all(before[1] <= after[0] for before, after in pairwise(row)), name
        counted = [sum(_calls_in(kind) for _, _, kind in row) for row in rows]
        assert counted == [625] * DEEPEST


def test_calls_of_a_childs_only_thread_are_on_its_lane() -> None:
    report = SAMPLES["process_pool"]()
    made = slices([(11, 200, 300, 0, 0)], (Function("count", "", 2),))
    assert list(_rows(replace(report, trace=replace(report.trace, slices=made)))) == ["worker 0"]
