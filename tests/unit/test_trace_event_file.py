"""The Trace Event Format: every track, state, call, flow and mark, in places of their own."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from concmagic.renderers.perfetto import PerfettoRenderer
from concmagic.report import Report
from concmagic.trace.model import Function, Slices
from sample_reports import SAMPLES, asyncio_blocker, process_pool


def _events(report: Report) -> list[dict[str, Any]]:
    whole = json.loads(PerfettoRenderer(lambda trace: {"title": trace.title}).render(report))
    assert whole["concmagic"] == {"title": report.trace.title}
    events: list[dict[str, Any]] = whole["traceEvents"]
    return events


@pytest.mark.parametrize("name", SAMPLES)
def test_every_state_is_a_slice_and_every_track_has_a_name(name: str) -> None:
    report = SAMPLES[name]()
    events = _events(report)
    drawn = sum(event.get("cat") == "state" for event in events)
    assert drawn == sum(len(t.states) for t in report.trace.tracks)
    named = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    assert len(named) == len(report.trace.tracks)
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


def test_marks_are_instants_or_stretches() -> None:
    events = [event for event in _events(asyncio_blocker()) if event.get("cat") == "mark"]
    assert [(event["ph"], event["name"]) for event in events] == [
        ("i", "requests start"),
        ("b", "the bad one"),
        ("e", "the bad one"),
    ]
