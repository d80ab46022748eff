"""The lint about requests to a manager: by counters of processes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recordings import kernel, recording
from tests.trace_text import MS, trace_from_text

from concmagic.analysis import Finding
from concmagic.analysis.lints import find
from concmagic.analysis.metrics import compute
from concmagic.importing.importer import import_recording
from concmagic.model.states import ANSWERS, REQUESTS, Counter


def found(*asked: tuple[int, int]) -> list[Finding]:
    """In a cell of 100 ms, by the requests of each process and the milliseconds that they took."""
    rows = "\n".join(f"p{number}  {100 * 'R'}" for number in range(len(asked)))
    trace = trace_from_text(rows, kind="process")
    tracks = tuple(
        replace(
            track,
            counters=(
                Counter(REQUESTS, "requests", ((100 * MS, many),)),
                Counter(ANSWERS, "ns", ((100 * MS, took * MS),)),
            ),
        )
        for track, (many, took) in zip(trace.tracks, asked, strict=True)
    )
    trace = replace(trace, tracks=tracks)
    return [one for one in find(trace, compute(trace)) if one.lint == "manager-requests"]


def test_processes_that_wait_for_many_answers_are_found() -> None:
    (finding,) = found((1000, 80), (2500, 90), (9, 1), (1, 50))
    assert finding.message == (
        "2 processes waited for the manager, which answered 3,510 requests: that took up to 90 of 100 ms."
    )
    assert (finding.cost_s, finding.severity) == (0.09, "warning")
    (finding,) = found((1000, 80))
    assert finding.message.endswith(
        "1 process waited for the manager, which answered 1,000 requests: that took 80 of 100 ms."
    )


@pytest.mark.parametrize(
    "asked", [(99, 80), (1000, 19), (100, 600), (0, 0)], ids=["few", "quick", "each waits", "none"]
)
def test_requests_that_are_few_quick_or_wait_for_others_are_not(asked: tuple[int, int]) -> None:
    assert found(asked) == []


def test_requests_become_counters_of_their_process() -> None:
    trace = import_recording(recording(replace(kernel(), requests=(7, 3 * MS))))
    (process,) = (track for track in trace.tracks if track.kind == "process")
    assert [(one.name, one.unit, one.steps[-1][1]) for one in process.counters] == [
        (REQUESTS, "requests", 7),
        (ANSWERS, "ns", 3 * MS),
    ]
    assert import_recording(recording(kernel())).tracks[0].counters == ()
