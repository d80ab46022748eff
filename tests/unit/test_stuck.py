"""The waits of a deadlock as they are drawn: red, each with an arrow to whom it needs."""

from __future__ import annotations

from dataclasses import replace

from tests.trace_text import trace_from_text

from concmagic.analysis import Finding
from concmagic.analysis.metrics import compute
from concmagic.model.categories import Category
from concmagic.model.findings import Deadlock, WaitLink
from concmagic.model.trace import Facts, Named, StateInterval, Trace
from concmagic.renderers.layout import lay_out
from concmagic.renderers.payload import payload
from concmagic.renderers.text import TextRenderer
from concmagic.report import Report, Stuck
from concmagic.report.builder import build_report
from sample_reports import MS


def crosswise() -> tuple[Trace, Finding]:
    """Two threads of 10 ms that from 2 ms and 3 ms on wait for each other; `a` waited before, too."""
    trace = trace_from_text("a  WRWWWWWWWW\nb  RRRWWWWWWW", host="")
    tracks = list(trace.tracks)
    waits = []
    for place, other in ((0, 1), (1, 0)):
        *states, last = tracks[place].states
        last = replace(last, reason="Lock", facts=Facts(waits_for=(tracks[other].id,)))
        tracks[place] = replace(tracks[place], states=(*states, last))
        waits.append(last)
    trace = replace(trace, tracks=tuple(tracks))
    return trace, Finding("deadlock", "warning", values=values_of(trace, waits), tracks=ids_of(trace))


def ids_of(trace: Trace) -> tuple[int, ...]:
    return tuple(one.id for one in trace.tracks)


def values_of(trace: Trace, waits: list[StateInterval]) -> Deadlock:
    named = Named.of(trace)
    return Deadlock(
        tuple(
            WaitLink(one.name, wait, True, other.name, named)
            for one, wait, other in zip(trace.tracks, waits, reversed(trace.tracks), strict=True)
        )
    )


def report_of_both() -> Report:
    trace, finding = crosswise()
    return build_report(trace, compute(trace), (finding,))


def test_each_wait_of_the_circle_is_stuck_and_needs_the_other() -> None:
    report = report_of_both()
    a, b = ids_of(report.trace)
    assert report.stuck == (Stuck(a, 2 * MS, 10 * MS, b), Stuck(b, 3 * MS, 10 * MS, a))
    totals = {one.category: one.length_ns // MS for one in report.legend}
    assert totals == {Category.RUNNING: 4, Category.STUCK: 15, Category.OUTSIDE: 1}


def test_all_renderers_draw_them() -> None:
    report = report_of_both()
    layout = lay_out(report, 0, 100)
    drawn = [[box.category for box in row.boxes] for row in layout.rows]
    assert drawn == [[Category.OUTSIDE, Category.RUNNING, Category.STUCK], [Category.RUNNING, Category.STUCK]]
    assert [(arrow.row, arrow.to_row) for arrow in layout.needs] == [(0, 1), (1, 0)]
    assert all(30 < arrow.x == arrow.to_x < 100 for arrow in layout.needs)
    told = payload(report)
    assert [(need.source, need.target) for need in told["needs"]] == [(0, 1), (1, 0)]
    lanes = [line for line in TextRenderer().render(report).splitlines() if line.startswith(("a ", "b "))]
    assert ["#" in line for line in lanes] == [True, True]


def test_where_there_is_no_deadlock_nothing_is_stuck() -> None:
    trace, _ = crosswise()
    report = build_report(trace, compute(trace), ())
    assert report.stuck == () and lay_out(report, 0, 100).needs == () and payload(report)["needs"] == []
