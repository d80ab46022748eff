"""Who held the GIL when, from the states of threads and from calls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trace_text import MS, trace_from_text
from tests.unit.recordings import CELL, MAIN, PID, at, calls, kernel, recording, thread

from concmagic.analysis.metrics import compute
from concmagic.importing import build_and_cost
from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds
from concmagic.importing.import_calls import import_calls
from concmagic.importing.importer import import_recording
from concmagic.importing.threads.gil_holders import GilEvidence, gil_track
from concmagic.model.trace import State, StateInterval, Trace, Track
from concmagic.records.recording import SampleLog
from concmagic.report.builder import build_report
from concmagic.source_lookup import CallLines

CORE, GIL, FUTEX = -1, -3, -4


def drawn(text: str, **tracks: object) -> Trace:
    """Threads as text; Y is a wait for the GIL."""
    trace = trace_from_text(text, kind="thread")
    return replace(trace, tracks=tuple(replace(one, states=wanting(one)) for one in trace.tracks))


def wanting(track: Track) -> tuple[StateInterval, ...]:
    return tuple(replace(one, reason="GIL") if one.state is State.READY else one for one in track.states)


def held(
    text: str,
    proofs: dict[str, list[tuple[int, int]]] | None = None,
    hidden: str = "",
    period_ms: int = 0,
    ours: bool = False,
    seen: list[tuple[int, int, str]] | None = None,
) -> tuple[list[Track], str]:
    """The threads with holders, and the GIL's lane as letters per millisecond: `.` free, `?` not told."""
    trace = drawn(text)
    of_hidden = [one.states for one in drawn(hidden).tracks] if hidden else []
    by_name = {track.name: track.native_id for track in trace.tracks}
    pairs = {by_name[name]: np.array(rows, np.int64).T * MS for name, rows in (proofs or {}).items()}
    gil = Track(99, "gil", "GIL", None, "work", 0, trace.wall_ns)
    evidence = GilEvidence(
        pairs,
        of_hidden,
        period_ms * MS,
        [(start * MS, end * MS, by_name[name]) for start, end, name in seen or ()],
        others=(-1,),
        ours=frozenset((-1,) if ours else ()),
    )
    told, track = gil_track(list(trace.tracks), gil, evidence, trace.wall_ns)
    names = {one.id: one.name for one in told} | {-1: "h"}
    return told, "" if track is None else letters(track, names)


def holders(track: Track) -> list[tuple[int, ...]]:
    return [one.holders for one in track.states]


def letters(track: Track, names: dict[int, str]) -> str:
    out = ""
    for one in track.states:
        whose = names[one.holders[0]] if one.holders else ""
        letter = {State.RUNNING: whose, State.WAITING: ".", State.UNKNOWN: "?"}[one.state]
        out += letter * round(one.length_ns / MS)
    return out


TURNS = "a  RRRRRYYYYYRRRRRYYYYY\nb  YYYYYRRRRRYYYYYRRRRR"


def test_two_threads_that_take_turns_hold_it_in_turn() -> None:
    told, lane = held(TURNS)
    assert lane == "aaaaabbbbbaaaaabbbbb"
    assert holders(told[0]) == [(), (1,), (), (1,)]


def test_two_on_cores_while_a_third_wants_it_leave_the_holder_untold() -> None:
    told, lane = held("a  RRRRRRRRRRRR\nb  RRRRRRRRRRRR\nc  YYYYYYYYYYYR\nd  WWWWWWWWWWYR")
    assert lane == "?" * 12
    assert told[2].states[0].holders == ()


def test_calls_tell_which_of_two_on_cores_has_it() -> None:
    _, lane = held(
        "a  RRRRRRRRRRRR\nb  RRRRRRRRRRRR\nc  YYYYYYYYYYYR\nd  WWWWWWWWWWYR", proofs={"b": [(0, 12)]}
    )
    assert lane == "b" * 12


def test_one_alone_on_a_core_has_it_only_by_proof() -> None:
    turns = "a  RRRRYYYYYYRRRRRR\nb  WWWWRRRRRRYYYYRR"
    assert held(turns)[1][:4] == "????"
    assert held(turns, proofs={"a": [(0, 4)]})[1][:4] == "aaaa"


def test_nobody_on_a_core_and_nobody_who_wants_it_is_free() -> None:
    assert held("a  WWWWYYYYYYRRRR\nb  WWWWRRRRRRYYYY")[1] == "....bbbbbbaaaa"


def test_what_waits_for_a_thread_of_the_recording_is_tracing() -> None:
    told, _ = held("a  YYYYYYYYYYRR\nb  YYYYYYYYYYWW", hidden="h  RRRRRRRRRRWW", ours=frozenset((-1,)))
    assert [(one.state, one.reason, one.phase) for one in told[0].states] == [
        (State.TRACING, "", "gil"),
        (State.RUNNING, "", ""),
    ]


def test_a_hidden_thread_can_be_the_holder() -> None:
    told, lane = held("a  YYYYYYYYYYRR\nb  YYYYYYYYYYWW", hidden="h  RRRRRRRRRRWW")
    assert lane == "hhhhhhhhhh??"
    assert told[0].states[0].holders == (-1,)


def test_a_wait_with_two_holders_names_none() -> None:
    told, _ = held("a  RRRRRYYYYYY\nb  YYYYYRRRYYY\nc  YYYYYYYYRRR")
    assert [one.holders for one in told[2].states if one.state is State.READY] == [()]


def test_a_gap_between_samples_is_no_time_without_a_holder() -> None:
    text = "a  RRRRRUYYYYYR\nb  YYYYYYRRRRRY"
    assert held(text, period_ms=0)[1] == "aaaaa?bbbbba"
    assert held(text, period_ms=2)[1] == "aaaaaabbbbba"


def test_who_ran_alone_had_it_already_when_the_next_look_saw_it() -> None:
    text = "a  RRRRRYYYYYRR\nb  YYYYYRRRRRYY"
    assert held(text, period_ms=2, seen=[(0, 6, "a"), (6, 12, "b")])[1] == "aaaaabbbbb??"
    late = [(0, 7, "a"), (7, 8, "b"), (8, 12, "a")]
    assert held("a  YYYYYYRRRRRR\nb  RRRRRRYYYYYY", period_ms=2, seen=late)[1] == "aaaaaaaaaaaa"


def test_who_runs_for_longer_while_another_has_it_does_without() -> None:
    text = "a  RRRRRRRRRRYY\nb  YYYYYYYYYYYY"
    assert held(text, period_ms=2, seen=[(0, 12, "b")])[1] == "bbbbbbbbbbbb"


def test_a_gil_that_hardly_anybody_waited_for_has_no_track() -> None:
    rest = "R" * 200
    told, lane = held(f"a  YYYR{rest}\nb  RRYR{rest}")
    assert lane == ""
    assert told[0].states[0].holders == ()


def test_one_thread_alone_can_not_contend() -> None:
    assert held("a  " + "Y" * 30)[1] == ""


@given(st.lists(st.text("RYWU", min_size=30, max_size=30), min_size=2, max_size=5))
def test_the_lane_covers_the_cell_and_names_only_who_was_on_a_core(rows: list[str]) -> None:
    text = "\n".join(f"{name}  {row}" for name, row in zip("abcde", rows, strict=False))
    lane = held(text)[1]
    assert len(lane) in (0, 30)
    for moment, holder in enumerate(lane):
        if holder.isalpha():
            assert rows["abcde".index(holder)][moment] == "R"
            assert [row[moment] for row in rows].count("R") == 1
            assert "U" not in {row[moment] for row in rows}
        if holder == ".":
            assert {row[moment] for row in rows} == {"W"}


# ---- from a recording ----------------------------------------------------------------------------


def samples(*rows: tuple[int, float, float, int], rate: float = 500.0, knows: bool = True) -> SampleLog:
    """Rows (native id, begin, end, code)."""
    native_id, start, end, code = (
        np.array(column, "<i8").tobytes()
        for column in zip(*((tid, at(begin), at(stop), code) for tid, begin, stop, code in rows), strict=True)
    )
    return SampleLog(native_id, start, end, code, rate_hz=rate, knows_gil=knows)


def contended() -> Trace:
    threads = (thread(), thread(41, "w", started_ns=at(0), begun_ns=at(1), ended_ns=at(100), starter=MAIN))
    rows = [(41, 3, 10, GIL), (MAIN, 0, 10, CORE)]
    for begin in range(10, 100, 10):
        rows += [(41, begin, begin + 5, CORE), (MAIN, begin, begin + 5, GIL)]
        rows += [(41, begin + 5, begin + 10, GIL), (MAIN, begin + 5, begin + 10, CORE)]
    return import_recording(recording(kernel(*threads), samples=samples(*rows)))


def test_the_track_stands_under_its_process() -> None:
    trace = contended()
    (gil,) = [one for one in trace.tracks if one.kind == "gil"]
    (process,) = [one for one in trace.tracks if one.kind == "process"]
    assert (gil.name, gil.parent, gil.pid) == ("GIL", process.id, PID)
    assert (gil.states[0].start_ns, gil.states[-1].end_ns) == (0, 100 * MS)
    assert {trace.name_of(one.holders[0]) for one in gil.states if one.state is State.RUNNING} == {
        "MainThread",
        "w",
    }


def test_contention_and_switches_are_counted() -> None:
    metrics = compute(contended())
    assert metrics.gil_contended == pytest.approx(0.99)  # from the worker's first step on
    worker = next(one for one in contended().tracks if one.name == "w")
    assert metrics.switches_by_track[worker.id].preemptive == 9
    assert metrics.switches_by_track[worker.id].cooperative == 0
    assert metrics.preemptive_switches == 9 + 9
    assert metrics.gil_handovers_per_s == (9 + 9) / 0.1


def test_the_lane_says_how_contended_it_was() -> None:
    trace = contended()
    report = build_report(trace, compute(trace), ())
    gil = next(one.id for one in trace.tracks if one.kind == "gil")
    summary = next(lane for lane in report.lanes if lane.track == gil)
    assert (summary.text, summary.ok) == ("contended 99 %", None)


def test_the_footer_says_how_often_it_went_on() -> None:
    """By the GIL's own count where that was read, which misses none."""
    trace = contended()
    assert (
        "The GIL went to another thread 18 times, 180 times a second."
        in build_report(trace, compute(trace), ()).footer
    )
    counted = replace(trace, gil_switches=25)
    assert (
        "The GIL went to another thread 25 times, 250 times a second."
        in build_report(counted, compute(counted), ()).footer
    )


def test_the_gils_own_track_counts_in_no_metric() -> None:
    trace = contended()
    without = replace(trace, tracks=tuple(one for one in trace.tracks if one.kind != "gil"))
    one, other = compute(trace), compute(without)
    for name in ("concurrency", "parallelism", "running_s", "ready_s", "overlap", "path", "unit_peak"):
        assert getattr(one, name) == getattr(other, name)


def test_looked_for_and_not_seen_is_zero_and_not_asked_is_unknown() -> None:
    rows = ((MAIN, 0, 100, CORE),)
    seen = compute(import_recording(recording(samples=samples(*rows))))
    assert (seen.gil_contended, seen.gil_handovers_per_s, seen.preemptive_switches) == (0.0, 0.0, 0)
    for log in (None, samples(*rows, knows=False)):
        assert np.isnan(compute(import_recording(recording(samples=log))).gil_contended)


def test_a_switch_beside_another_thread_on_a_core_was_no_loss_of_the_gil() -> None:
    trace = drawn("hash   RRRRRRRRYYRR\nother  RRRRRRRRRRRR")
    assert compute(trace).switches_by_track[0].preemptive == 0
    assert compute(trace).switches_by_track[0].cooperative == 1


def test_a_build_without_the_gil_has_no_track_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_and_cost.sys, "_is_gil_enabled", lambda: False, raising=False)
    trace = contended()
    assert not [one for one in trace.tracks if one.kind == "gil"]
    assert "no GIL" in " ".join(build_report(trace, compute(trace), ()).footer)


def test_with_the_gil_the_footer_does_not_say_that_there_is_none() -> None:
    trace = contended()
    assert "no GIL" not in " ".join(build_report(trace, compute(trace), ()).footer)


def edges(first: float, last: float) -> list[tuple[str, float, float]]:
    """States of a thread from 10 to 50 ms, of which the samples from `first` to `last` are known."""
    worker = thread(41, "w", started_ns=at(10), begun_ns=at(10), ended_ns=at(50), starter=MAIN)
    log = samples((41, first, last, CORE))
    trace = import_recording(recording(kernel(thread(), worker), samples=log))
    (found,) = [one for one in trace.tracks if one.name == "w"]
    return [(one.state.value, one.start_ns / MS, one.end_ns / MS) for one in found.states]


def test_samples_reach_to_a_threads_edges_within_a_sampling_period() -> None:
    assert edges(12, 48) == [("running", 10, 50)]


def test_what_lies_further_from_the_first_and_last_sample_stays_unknown() -> None:
    assert edges(13, 47) == [("unknown", 10, 13), ("running", 13, 47), ("unknown", 47, 50)]


def test_calls_that_follow_closely_prove_the_gil_and_those_of_native_code_do_not() -> None:
    rows = [(0, begin, begin + 0.02, "f", CELL, 3) for begin in np.arange(0, 1, 0.05).tolist()]
    rows += [(0, begin, begin + 0.5, "sha256", "", 0) for begin in np.arange(2, 5, 0.6).tolist()]
    clock = CellClock(at(0), 100 * MS)
    places, lines = Places(CELL, {CELL: 7}), CallLines("", CELL)
    found = import_calls(calls(*rows), clock, places, lines, TrackIds(), PID).threads[MAIN]
    firsts, lasts = found.held
    within = (lasts - firsts)[firsts < 2 * MS].sum()
    assert within == pytest.approx(0.97 * MS, rel=0.01)
    assert (lasts - firsts)[firsts >= 2 * MS].max() <= 0.1 * MS
