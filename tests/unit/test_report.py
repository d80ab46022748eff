"""The report: what stands over, beside and under the picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trace_text import MS, trace_from_text

from concmagic.analysis import Finding
from concmagic.analysis.lints import find
from concmagic.analysis.metrics import compute
from concmagic.model.categories import Category
from concmagic.model.findings import BusyMachine, ChildDied, NeverRetrieved
from concmagic.model.groups import Called
from concmagic.model.outcomes import RETURNED, Function, Outcome, outcome_of
from concmagic.model.trace import Cost, Hidden, Job, State, Trace
from concmagic.problems import Problem
from concmagic.report import Report
from concmagic.report.builder import build_report
from concmagic.report.headline import headline


def report_of(trace: Trace, note: str = "") -> Report:
    metrics = compute(trace)
    return build_report(trace, metrics, find(trace, metrics), note=note)


def test_a_blocked_loop_is_the_headline() -> None:
    drawn = "blocker  RBBBBBBBBBBBBBBBBBBBBR\nvictim   WWYYYYYYYYYYYYYYYYYYYR"
    trace = trace_from_text(drawn, reasons={"blocker": "time.sleep"}, source="time.sleep(1)")
    assert report_of(replace(trace, wall_ns=trace.wall_ns)).headline.endswith(
        "time.sleep(1) at line 2 blocked the loop while 1 task was ready (victim)."
    )


def test_a_loop_blocked_in_several_places_is_the_headline_though_none_of_them_is() -> None:
    drawn = "blocker  " + ("R" + 40 * "B" + 59 * "W") * 3 + "\nvictim   " + ("W" + 40 * "Y" + 59 * "W") * 3
    trace = trace_from_text(drawn)
    blocker, victim = trace.tracks
    blocks = [one for one in blocker.states if one.state is State.BLOCKING]
    line_of = {one.start_ns: 10 + n for n, one in enumerate(blocks)}
    states = tuple(
        replace(one, line=line_of[one.start_ns], reason=f"call_{line_of[one.start_ns]}")
        if one in blocks
        else one
        for one in blocker.states
    )
    report = report_of(replace(trace, tracks=(replace(blocker, states=states), victim)))
    assert report.headline == (
        "For 120 of 300 ms tasks were ready and could not run: "
        "3 calls blocked the loop, at lines 10, 11 and 12."
    )


def test_a_busy_machine_is_a_chip_and_leads_only_where_it_explains_most_of_the_cell() -> None:
    trace = trace_from_text("a  RYYYYWWWRR", host="a")
    metrics = compute(trace)
    small, large = (
        Finding("busy-machine", "note", values=BusyMachine(lost * MS, 10 * MS), cost_s=lost / 1000)
        for lost in (4, 5)
    )
    report = build_report(trace, metrics, (small,))
    assert "wanted" not in report.headline
    assert [(chip.label, chip.value) for chip in report.chips][2:] == [("the machine was busy", "4 ms")]
    assert report.findings == ()
    assert build_report(trace, metrics, (large,)).headline.startswith("For 5 of 10 ms a core was wanted")
    assert build_report(trace, metrics, ()).chips[2:] == ()


def test_locks_of_all_kinds_are_one_part_of_the_band() -> None:
    """Before Python 3.12 some waits are seen by samples only, which do not tell the kind of the lock."""
    trace = trace_from_text(f"a  R{20 * 'W'}R{30 * 'W'}R", host="a", kind="thread")
    (track,) = trace.tracks
    kinds = iter(("lock", "Lock"))
    states = tuple(
        replace(one, reason=next(kinds)) if one.state is State.WAITING else one for one in track.states
    )
    report = report_of(replace(trace, tracks=(replace(track, states=states),)))
    assert [(part.text, part.length_ns // MS) for part in report.band] == [
        ("waiting for a lock", 50),
        ("computing", 3),
    ]
    assert report.lanes[0].text == "Lock 50 ms"
    assert report.headline == "50 of 53 ms went into waiting for a lock, at line 2."


def as_state(trace: Trace, old: State, new: State, reason: str = "") -> Trace:
    """The first track's states of one kind as another."""
    track = trace.tracks[0]
    states = tuple(
        replace(one, state=new, reason=reason) if one.state is old else one for one in track.states
    )
    return replace(trace, tracks=(replace(track, states=states), *trace.tracks[1:]))


def test_what_is_ours_is_neither_in_the_first_sentence_nor_in_the_band() -> None:
    trace = as_state(trace_from_text("a  YYYYYYYWWR", host="a"), State.READY, State.TRACING)
    report = build_report(trace, compute(trace), ())
    assert report.headline.startswith("2 of 10 ms went into sleeping")
    parts = [(part.category, part.length_ns // MS) for part in report.band]
    assert parts == [(Category.OUTSIDE, 2), (Category.RUNNING, 1)]
    assert [[(one.start_ns // MS, one.end_ns // MS) for one in part.stretches] for part in report.band] == [
        [(7, 9)],
        [(9, 10)],
    ]


def test_a_line_is_named_with_what_of_the_part_lies_there() -> None:
    def told(drawn: str) -> str:
        trace = trace_from_text(f"a  {drawn}", host="a")
        lines = iter((5, 8, 5, 9))
        states = tuple(
            replace(one, line=next(lines)) if one.state is State.WAITING else one
            for one in trace.tracks[0].states
        )
        return report_of(replace(trace, tracks=(replace(trace.tracks[0], states=states),))).headline

    in_two_places = told("R" + 40 * "W" + "R" + 55 * "W" + "RRR")
    assert in_two_places == "95 of 100 ms went into sleeping, 55 ms of it at line 8, one thing at a time."
    assert ", at line 8" in told("R" + 2 * "W" + "R" + 93 * "W" + "RRR")
    assert ", at line 5" in told("R" + 48 * "W" + "R" + 2 * "W" + "R" + 45 * "W" + "RR")
    assert "line" not in told("R" + 10 * "W" + "R" + 40 * "W" + "R" + 10 * "W" + "R" + 30 * "W" + "R")


def test_what_other_programs_took_is_no_largest_part() -> None:
    trace = as_state(trace_from_text("a  YYYYYYYWWR", host="a"), State.READY, State.READY, "core")
    assert build_report(trace, compute(trace), ()).headline == (
        "2 of 10 ms went into sleeping, at line 2, one thing at a time; for 7 ms no core was free."
    )
    trace = as_state(trace_from_text("a  RYYYYWWWWW", host="a"), State.READY, State.READY, "core")
    assert "core" not in build_report(trace, compute(trace), ()).headline


def test_a_note_is_the_headline_only_where_there_is_no_warning() -> None:
    trace = trace_from_text("a  RWWWWWWWWR", host="a")
    metrics = compute(trace)
    note = Finding("busy-machine", "note", values=BusyMachine(5 * MS, 10 * MS), cost_s=trace.wall_s / 2)
    died = Finding(
        "child-died",
        "warning",
        values=ChildDied("worker", outcome_of("killed by SIGKILL"), "", is_command=False),
    )
    assert headline(trace, metrics, (note,)).startswith("For 5 of 10 ms a core was wanted and not had")
    told = headline(trace, metrics, (died, note))
    assert "8 of 10 ms went into" in told and "wanted" not in told


def test_what_failed_unnoticed_comes_before_what_took_the_time() -> None:
    trace = trace_from_text("a  RWWWWWWWWR", host="a")
    metrics = compute(trace)
    lost, late = (
        Finding(
            "exception-never-retrieved",
            "warning",
            values=NeverRetrieved(Called(name), Outcome("raised", "ValueError", "ValueError: no")),
            start_ns=start_ns,
        )
        for name, start_ns in (("store-4", 1), ("store-5", 2))
    )
    command = Finding("child-died", "warning", values=ChildDied("grep", outcome_of("exit code 1"), "", True))
    took = headline(trace, metrics, ())
    alone = headline(trace, metrics, (lost,))
    assert alone == f"Task store-4 failed with ValueError: no, and nothing asked for its result. {took}"
    assert "nothing asked for its result (1 more below). " in headline(trace, metrics, (late, lost))
    assert headline(trace, metrics, (command,)) == took


def test_threads_that_took_turns() -> None:
    trace = trace_from_text("a  RRRRRYYYYY\nb  YYYYYRRRRR", kind="thread")
    assert report_of(trace).headline == "2 threads took turns: 1.0 of 2 cores used on average."


def test_threads_side_by_side() -> None:
    trace = trace_from_text("a  RRRRRRRRRR\nb  RRRRRRRRRR", kind="process")
    assert "2.0 of 2 cores worked at once: processes computed side by side" in report_of(trace).headline


def test_waits_that_overlap() -> None:
    trace = trace_from_text("\n".join(f"t{n}  RWWWWWWWWW" for n in range(8)))
    assert report_of(trace).headline == (
        "Up to 8 tasks at once: 80 ms of waiting and computing fit into 10 ms."
    )


def test_waits_that_overlap_with_hardly_any_computing_are_waiting_only() -> None:
    trace = trace_from_text("\n".join(f"t{n}  R" + 39 * "W" for n in range(3)))
    assert report_of(trace).headline == "Up to 3 tasks at once: 120 ms of waiting fit into 40 ms."


def test_computing_that_overlaps_is_no_waiting() -> None:
    trace = trace_from_text("\n".join(f"p{n}  " + 40 * "R" for n in range(2)), kind="process")
    crowded = replace(trace, cpu_s=0.05)  # others had the cores: no two of ours, on average
    assert report_of(crowded).headline == "Up to 2 processes at once: 80 ms of computing fit into 40 ms."


def test_one_sleep_after_another() -> None:
    trace = trace_from_text("cell  RWWWWWWWWW", host="cell")
    assert report_of(trace).headline == "9 of 10 ms went into sleeping, at line 2, one thing at a time."


def test_what_was_not_recorded_is_not_explained() -> None:
    trace = trace_from_text("cell  RUUUUUUUUU", host="cell", kind="thread")
    assert report_of(trace).headline == "For 9 of 10 ms it was not recorded what the cell did."


def test_a_cell_that_failed_says_so_first() -> None:
    trace = replace(trace_from_text("cell  RRRR", host="cell"), outcome=outcome_of("raised ValueError"))
    assert report_of(trace).headline.startswith("Raised ValueError after 4 ms.")


def failing(error: str, *others: str) -> Trace:
    """A task that raises after 4 ms, beside others that end 1 ms later."""
    drawn = trace_from_text("bad  RWWR...\n" + "\n".join(f"good-{n}  RWWWR.." for n in range(len(others))))
    bad, *rest = drawn.tracks
    how = Outcome("raised", "ValueError", "ValueError: no bread", (Function("bad", "", 7),))
    ends = [replace(track, outcome=outcome_of(other)) for track, other in zip(rest, others, strict=True)]
    tracks = (replace(bad, outcome=how), *ends)
    return replace(drawn, tracks=tracks, outcome=outcome_of(f"raised {error}"))


@pytest.mark.parametrize("error", ["ValueError", "ExceptionGroup"])
def test_a_cell_that_failed_says_who_raised_where_and_who_was_cancelled(error: str) -> None:
    told = report_of(failing(error, "cancelled", "returned")).headline
    assert told.startswith("`bad` raised ValueError: no bread (line 7) after 4 ms; `good-0` was cancelled.")
    both = report_of(failing(error, "cancelled", "cancelled")).headline
    assert "`good-0` and `good-1` were cancelled." in both


def test_an_exception_that_the_cell_did_not_end_with_is_not_told_first() -> None:
    assert report_of(failing("KeyError")).headline.startswith("Raised KeyError after 7 ms.")
    assert "raised" not in report_of(replace(failing("x"), outcome=RETURNED)).headline.lower()


def test_of_two_that_raised_the_same_nobody_is_named() -> None:
    assert report_of(failing("ValueError", "raised ValueError")).headline.startswith(
        "Raised ValueError after"
    )


def test_a_job_that_failed_is_told_by_its_call() -> None:
    drawn = replace(trace_from_text("w  RRRRRR", kind="thread"), outcome=outcome_of("raised KeyError"))
    job = Job(0, "bad(3)", drawn.tracks[0].id, 0, 0, 5_000_000, outcome_of("raised KeyError"))
    assert report_of(replace(drawn, jobs=(job,))).headline.startswith("`bad(3)` raised KeyError after 5 ms.")


def test_the_chips_tell_mean_and_peak() -> None:
    report = report_of(trace_from_text("a  RRRRRRRRRR\nb  RRRRR.....", kind="thread"))
    assert [(chip.value, chip.note) for chip in report.chips] == [
        ("1.5", "at most 2 threads"),
        ("1.5", "at most 2 of 2 cores"),
    ]


def test_without_a_cpu_clock_unknown_parallelism_is_said() -> None:
    assert report_of(trace_from_text("a  UUUUUUUUUU", kind="thread")).chips[1].value == "unknown"


def test_the_curves_step_where_the_work_does() -> None:
    in_flight, on_a_core = report_of(trace_from_text("a  RRRWWW\nb  ...RRR", kind="thread")).curves
    assert (in_flight.times_ns, in_flight.values) == ((0, 3_000_000), (1, 2))
    assert on_a_core.values == (1,)


def test_lane_ends_say_what_mattered_and_how_it_ended() -> None:
    trace = trace_from_text("a  RBBBBB\nb  RYYYYY\nc  RWWWWW")
    failed = replace(trace.tracks[2], outcome=outcome_of("raised KeyError"))
    report = report_of(replace(trace, tracks=(*trace.tracks[:2], failed)))
    assert [(lane.text, lane.ok) for lane in report.lanes] == [
        ("blocking 5 ms", True),
        ("ready 5 ms", True),
        ("raised KeyError", False),
    ]


def test_a_workers_lane_ends_with_what_its_jobs_raised() -> None:
    trace = trace_from_text("a  RRRRRR\nb  RRRRRR\nc  RRRRRR", kind="thread")
    a, b, c = (track.id for track in trace.tracks)
    outcomes = [(a, "returned"), (a, "raised KeyError"), (b, "raised KeyError"), (b, "raised ValueError")]
    jobs = tuple(
        Job(n, f"n={n}", track, 0, 0, 1, outcome_of(outcome))
        for n, (track, outcome) in enumerate([*outcomes, (b, "returned"), (c, "cancelled")])
    )
    assert [(lane.text, lane.ok) for lane in report_of(replace(trace, jobs=jobs)).lanes] == [
        ("raised KeyError (n=1)", False),
        ("2 of 3 jobs raised", False),
        ("running 6 ms", True),
    ]


def test_costs_over_ten_percent_are_loud() -> None:
    trace = trace_from_text("a  RRRRRRRRRR")
    cheap = report_of(replace(trace, cost=Cost(seconds=0.0001)))
    dear = report_of(replace(trace, cost=Cost(seconds=0.002)))
    assert (cheap.cost, cheap.cost_is_high) == ("tracing cost about 1 %", False)
    assert (dear.cost, dear.cost_is_high) == ("tracing cost about 20 %", True)


def test_a_cell_too_short_to_tell_has_neither_a_cause_nor_a_loud_cost() -> None:
    report = report_of(replace(trace_from_text("a  RWWW"), cost=Cost(seconds=0.002)))
    assert report.headline == "Too short to tell: 4 ms."
    assert (report.cost, report.cost_is_high) == ("tracing cost about 2 ms", False)
    assert report.no_findings == ""


def test_a_short_cell_that_failed_says_that_alone() -> None:
    trace = replace(trace_from_text("a  RWWW"), outcome=outcome_of("raised KeyError"))
    assert report_of(trace).headline == "Raised KeyError after 4 ms."


def test_the_footer_tells_what_is_missing() -> None:
    trace = replace(
        trace_from_text("a  RRRR"),
        cost=Cost(
            calls_until_ns=1_500_000,
            problems=(Problem.of("as_told", "Something was lost."),),
            steps_without_calls=1,
        ),
        hidden=Hidden(threads=2),
    )
    footer = report_of(trace, note="8 workers.").footer
    assert footer[0] == "8 workers."
    assert "Something was lost." in footer
    assert any(sentence.startswith("1 step of tasks began with an exception") for sentence in footer)
    assert any("first 1.5 ms" in sentence for sentence in footer)
    assert any("2 threads of the kernel's own are hidden" in sentence for sentence in footer)


def test_threads_that_were_sampled_seldom_are_said_to_be() -> None:
    turns = trace_from_text(f"a  {'RY' * 200}\nb  {'YR' * 200}", kind="thread")

    def said(period_ms: float, asked_ms: float, trace: Trace = turns) -> list[str]:
        build = replace(trace.build, sampling_ns=int(period_ms * 1e6), sampling_asked_ns=int(asked_ms * 1e6))
        return [one for one in report_of(replace(trace, build=build)).footer if "looked at" in one]

    assert said(10, 10) == [
        "Threads were looked at 100 times a second, not 500, so as to take little of a busy machine: "
        "shorter turns are not seen one by one; totals are from CPU clocks."
    ]
    assert "because the machine let the sampler run no more often" in said(10, 2)[0]
    assert said(2.5, 2) == []
    assert said(0, 0) == []  # not at all: others say why
    asleep = f"R{'W' * 399}"
    assert said(10, 10, trace_from_text(f"a  {asleep}\nb  {asleep}", kind="thread")) == []
    short = trace_from_text(f"a  {'RY' * 40}\nb  {'YR' * 40}", kind="thread")
    assert said(10, 10, short) == []  # so few samples are no rate
    assert said(10, 10, trace_from_text(f"a  {'RW' * 200}", kind="thread")) == []  # nobody took turns


def test_finding_nothing_is_said_of_what_ran_side_by_side() -> None:
    assert report_of(trace_from_text("a  RRRRRRRR\nb  RRRRRRRR")).no_findings


@pytest.mark.parametrize("outcome", ["raised KeyError", "interrupted", "timed out"])
def test_finding_nothing_is_no_word_for_a_cell_that_did_not_end_well(outcome: str) -> None:
    trace = replace(trace_from_text("a  RRRRRRRR\nb  RRRRRRRR"), outcome=outcome_of(outcome))
    assert report_of(trace).no_findings == ""


def test_finding_nothing_is_no_word_for_one_thing_after_the_other() -> None:
    assert report_of(trace_from_text("a  RWWWW.....\nb  .....RWWWW")).no_findings == ""


def test_an_empty_cell_has_a_report() -> None:
    assert report_of(Trace("empty", "timeline", 0)).headline


@given(st.lists(st.text("RBYWSU", min_size=1, max_size=12), min_size=1, max_size=6), st.booleans())
def test_band_and_legend_are_sums(drawn: list[str], has_host: bool) -> None:
    text = "\n".join(f"t{number}  {line}" for number, line in enumerate(drawn))
    trace = trace_from_text(text, host="t0" if has_host else "")
    report = report_of(trace)
    assert sum(part.length_ns for part in report.band) == trace.wall_ns
    assert sum(one.length_ns for one in report.legend) <= sum(
        s.length_ns for track in trace.tracks for s in track.states
    )
    assert report.headline.endswith(".")


def test_cores_of_native_threads_are_told_beside_the_first_numbers() -> None:
    drawn = replace(trace_from_text("main   WWWWWWWWRR"), cpu_s=0.009, python_cpu_s=0.002)
    parallelism = report_of(drawn).chips[1]
    assert (parallelism.value, parallelism.note) == ("0.90", "of 2 cores, 0.70 of it by native threads")


def test_the_legend_names_all_that_is_drawn() -> None:
    trace = trace_from_text("a  RWWWWWWWWR\nb  RRRRRRRRRR", host="a")
    report = build_report(trace, compute(trace), ())
    totals = {one.category: one.length_ns // MS for one in report.legend}
    assert totals == {Category.RUNNING: 12, Category.OUTSIDE: 0}  # what the cell itself waited is not counted
