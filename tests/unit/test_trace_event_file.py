"""The Trace Event Format: every track, state, call, flow and mark, in places of their own."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from concmagic.model.trace import Flow, Function, Slices
from concmagic.renderers.perfetto import PerfettoRenderer
from concmagic.report import Report
from sample_reports import SAMPLES, asyncio_blocker, calling_threads, process_pool
from trace_text import trace_from_text


def _events(report: Report) -> list[dict[str, Any]]:
    whole = json.loads(PerfettoRenderer().render(report))
    assert whole["concmagic"]["title"] == report.trace.title
    events: list[dict[str, Any]] = whole["traceEvents"]
    return events


@pytest.mark.parametrize("name", SAMPLES)
def test_every_state_is_a_slice_and_every_track_has_a_name(name: str) -> None:
    report = SAMPLES[name]()
    events = _events(report)
    drawn = sum(event.get("cat") == "state" for event in events)
    assert drawn == sum(len(t.states) for t in report.trace.tracks)
    named = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    assert len(named) == len(report.trace.tracks) + len(set(report.trace.slices.track.tolist()))
    assert {(event["pid"], event["tid"]) for event in events if event["ph"] == "X"} <= named


def test_times_are_microseconds_from_the_start_of_the_cell() -> None:
    held = next(
        event for event in _events(asyncio_blocker()) if event["name"].startswith("blocking the loop")
    )
    assert held["dur"] == 300_000 and held["args"] == {"state": "blocking", "reason": "time.sleep", "line": 4}


def test_flows_come_in_pairs() -> None:
    report = process_pool()
    events = [event for event in _events(report) if event.get("cat") == "flow"]
    phases = Counter((event["id"], event["ph"]) for event in events)
    assert len(events) == 2 * len(report.trace.flows) and set(phases.values()) == {1}
    assert all(event["bp"] == "e" for event in events if event["ph"] == "f")


def test_threads_belong_to_their_process() -> None:
    events = _events(process_pool())
    processes = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert processes[5002] == "worker 2"
    names = [
        event["args"]["name"] for event in events if event["name"] == "thread_name" and event["pid"] == 5002
    ]
    assert names == ["worker 2", "MainThread"]


def test_calls_are_slices_with_their_place() -> None:
    report = asyncio_blocker()
    calls = Slices(
        np.array([3], np.int32),
        np.array([21_000_000]),
        np.array([321_000_000]),
        np.array([0], np.int32),
        np.array([0], np.int32),
        (Function("blocker", "In[2]", 3),),
    )
    events = _events(replace(report, trace=replace(report.trace, slices=calls)))
    call = next(event for event in events if event.get("cat") == "call")
    assert (call["name"], call["ts"], call["dur"]) == ("blocker", 21_000, 300_000)
    assert call["args"] == {"file": "In[2]", "line": 3}


def test_calls_and_states_of_a_track_stand_on_lines_of_their_own() -> None:
    """A call can begin in one state and end in another; on one line a viewer would drop it."""
    events = _events(calling_threads())
    lines = {cat: {_line(event) for event in events if event.get("cat") == cat} for cat in ("state", "call")}
    assert not lines["state"] & lines["call"] and len(lines["call"]) == 2
    names = {_line(event): event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {names[line] for line in lines["call"]} == {"loader-1: calls", "loader-2: calls"}


def _line(event: dict[str, Any]) -> tuple[int, int]:
    return event["pid"], event["tid"]


@pytest.mark.parametrize("name", SAMPLES)
def test_slices_of_a_line_lie_within_each_other_or_apart(name: str) -> None:
    lines: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for event in _events(SAMPLES[name]()):
        if event["ph"] == "X":
            start, length = round(event["ts"] * 1000), round(event["dur"] * 1000)
            lines.setdefault(_line(event), []).append((start, start + length))
    for slices in lines.values():
        open_ends: list[int] = []
        for start, end in sorted(slices, key=lambda pair: (pair[0], -pair[1])):
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1]
            open_ends.append(end)


def _bound(events: list[dict[str, Any]], phase: str) -> dict[int, tuple[tuple[int, int], int, str]]:
    """Flow → line, begin and category of the slice that Perfetto ties its start or end to.

    It reads the events in the order of their times, those of one time as they stand in the file, and takes
    the slice of the line that began last and has not ended.
    """
    found = {}
    open_slices: dict[tuple[int, int], list[tuple[int, int, str]]] = {}
    for event in sorted((event for event in events if "ts" in event), key=lambda event: event["ts"]):
        at, line = round(event["ts"] * 1000), _line(event)
        stack = [one for one in open_slices.get(line, []) if one[1] > at]
        if event["ph"] == "X":
            stack.append((at, at + round(event["dur"] * 1000), event["cat"]))
        if event["ph"] == phase:
            found[event["id"]] = line, stack[-1][0], stack[-1][2]
        open_slices[line] = stack
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_every_arrow_points_forwards_in_a_reader_that_orders_its_ends_by_their_slices(name: str) -> None:
    report = SAMPLES[name]()
    events = _events(report)
    starts, ends = _bound(events, "s"), _bound(events, "f")
    assert set(starts) == set(ends) and len(starts) == len(report.trace.flows)
    for number, (_, begin, cat) in starts.items():
        assert begin <= ends[number][1] and {cat, ends[number][2]} == {"flow end"}


def test_an_arrow_into_a_longer_state_than_it_comes_from_points_forwards() -> None:
    """One that waits since long is woken by a step that began just before; and two more at moments nearby."""
    trace = trace_from_text("waiter  WWWWWWWWRR\nwaker   ....RRRR..")
    waiter, waker = trace.tracks
    at = 6_000_000
    flows = tuple(Flow("wake", waker.id, at + late, waiter.id, at + 2 * late) for late in (0, 300, 600))
    back = Flow("send", waiter.id, at, waker.id, at - 50)
    events = _events(replace(calling_threads(), trace=replace(trace, flows=(*flows, back))))
    starts, ends = _bound(events, "s"), _bound(events, "f")
    assert [starts[number][1] for number in (1, 2, 3, 4)] == [at, at + 300, at + 600, at]
    assert [ends[number][1] for number in (1, 2, 3, 4)] == [at, at + 600, at + 1200, at]
    assert all(starts[number][0] != ends[number][0] for number in starts)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_event_has_what_the_viewers_need(name: str) -> None:
    for event in _events(SAMPLES[name]()):
        assert type(event["name"]) is str and event["name"].isprintable()
        assert type(event["pid"]) is int and 0 < event["pid"] < 2**31
        if event["ph"] == "M":
            assert set(event["args"]) <= {"name", "sort_index"} and len(event["args"]) == 1
            continue
        assert event["ph"] in {"X", "s", "f", "i", "b", "e"} and type(event["cat"]) is str
        assert type(event["tid"]) is int and 0 < event["tid"] < 2**31  # the viewers keep 32 bits
        assert type(event["ts"]) in (int, float) and event["ts"] >= 0
        assert event["ph"] != "X" or (type(event["dur"]) in (int, float) and event["dur"] >= 0)
        assert event["ph"] != "i" or event["s"] in {"t", "p", "g"}
        assert event["ph"] not in "sfbe" or event["id"]


def test_thread_numbers_too_large_for_the_viewers_are_replaced() -> None:
    report = asyncio_blocker()
    large = tuple(replace(one, native_id=2**40 + one.id, pid=2**33) for one in report.trace.tracks)
    events = _events(replace(report, trace=replace(report.trace, tracks=large)))
    lines = {_line(event) for event in events if event["name"] == "thread_name"}
    assert len(lines) == len(large) and all(max(line) < 2**31 for line in lines)


def test_the_two_ends_of_a_flow_are_told_apart_from_all_others() -> None:
    events = [event for event in _events(asyncio_blocker()) if event.get("cat") == "flow"]
    for start, end in zip(events[::2], events[1::2], strict=True):
        assert (start["ph"], end["ph"]) == ("s", "f")
        assert all(start[key] == end[key] for key in ("id", "name", "cat")) and start["ts"] <= end["ts"]


def test_marks_are_instants_or_stretches() -> None:
    events = [event for event in _events(asyncio_blocker()) if event.get("cat") == "mark"]
    assert [(event["ph"], event["name"]) for event in events] == [
        ("i", "requests start"),
        ("b", "the bad one"),
        ("e", "the bad one"),
    ]
