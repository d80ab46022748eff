"""The lints about workers that compute: each finds its case and leaves the near miss alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.trace_text import MS, trace_from_text

from concmagic.analysis import Finding
from concmagic.analysis.lints import find
from concmagic.analysis.metrics import compute
from concmagic.model.trace import Job, State, StateInterval, Trace, Track


def of_threads(text: str, cores: int = 2, **more: object) -> Trace:
    """Threads as text, ten milliseconds a character; Y is a wait for the GIL."""
    trace = trace_from_text(text, kind="thread", cores=cores)
    return replace(
        trace, wall_ns=trace.wall_ns * 10, tracks=tuple(slower(track) for track in trace.tracks), **more
    )


def slower(track: Track) -> Track:
    states = tuple(
        StateInterval(
            one.start_ns * 10, one.end_ns * 10, one.state, "GIL" if one.reason == "loop" else one.reason
        )
        for one in track.states
    )
    return replace(track, start_ns=states[0].start_ns, end_ns=states[-1].end_ns, states=states)


def of_processes(text: str, cores: int = 2, group: str = "") -> Trace:
    trace = of_threads(text, cores)
    tracks = tuple(replace(one, kind="process", pid=50 + one.id, group=group) for one in trace.tracks)
    return replace(trace, tracks=tracks)


def found(trace: Trace, name: str) -> list[Finding]:
    """What one lint says of a trace."""
    return [one for one in find(trace, compute(trace)) if one.lint == name]


TURNS = "a  RYRYRYRYRYRYRYRYRYRY\nb  YRYRYRYRYRYRYRYRYRYR"


def test_two_threads_that_compute_in_turn_are_bound_by_the_gil() -> None:
    (finding,) = found(of_threads(TURNS), "gil-bound")
    assert finding.severity == "warning"
    assert finding.cost_s == pytest.approx(0.1)  # of 200 ms, with two cores instead of one
    assert "200 of 200 ms" in finding.message and "2 threads" in finding.message
    assert "up to 100 ms less" in finding.hint
    assert finding.tracks == (0, 1)


def test_on_one_core_processes_would_take_turns_too() -> None:
    assert not found(of_threads(TURNS, cores=1), "gil-bound")


def test_a_short_cell_is_not_worth_a_process() -> None:
    short = trace_from_text(TURNS.replace("Y", "W"), kind="thread")
    wants = tuple(
        replace(
            track,
            states=tuple(
                StateInterval(one.start_ns, one.end_ns, State.READY, "GIL") if one.reason else one
                for one in track.states
            ),
        )
        for track in short.tracks
    )
    assert not found(replace(short, tracks=wants), "gil-bound")


def test_native_code_that_released_the_gil_is_not_bound_by_it() -> None:
    assert not found(of_threads("a  RRRRRRRRRYRRRRRRRRRR\nb  RRRRYRRRRRRRRRRRRRRR"), "gil-bound")


def test_threads_that_mostly_wait_are_not_bound_by_it() -> None:
    assert not found(of_threads("a  RWWWWWWWYRWWWWWWWYRW\nb  YRWWWWWWRYWWWWWWWRYW"), "gil-bound")


def test_one_that_computes_beside_one_that_wants_little_would_be_no_faster() -> None:
    assert not found(of_threads("hog  RRRRRRRRRRRRRRRRRRRR\nio   YYYYYRYYYYYWYYYYYWYY"), "gil-bound")


def test_threads_of_two_processes_have_two_gils() -> None:
    trace = of_threads(TURNS)
    first, second = trace.tracks
    assert not found(replace(trace, tracks=(first, replace(second, pid=77))), "gil-bound")


def test_with_more_threads_than_cores_the_cores_bound_what_can_be_saved() -> None:
    text = "\n".join(f"t{n}  {'Y' * 5 * n}RRRRR{'Y' * 5 * (3 - n)}" for n in range(4))
    (finding,) = found(of_threads(text), "gil-bound")
    assert finding.cost_s == pytest.approx(0.1)
    (finding,) = found(of_threads(text, cores=4), "gil-bound")
    assert finding.cost_s == pytest.approx(0.15)


FOUR = "\n".join(f"p{n}  RRRRRRRRRRRRRRRRRRRR" for n in range(4))


def test_more_computing_workers_than_cores_are_found() -> None:
    (finding,) = found(of_processes(FOUR), "few-cores")
    assert finding.cost_s == pytest.approx(0.1)
    assert "processes" in finding.message and "2 cores" in finding.message
    assert finding.severity == "note"  # as many workers as cores would take as long: no time is lost


def test_as_many_workers_as_cores_are_right() -> None:
    assert not found(of_processes(FOUR, cores=4), "few-cores")


def test_workers_that_wait_need_no_core() -> None:
    assert not found(of_processes(FOUR.replace("RRRRR", "RWWWW")), "few-cores")


def test_threads_at_the_gil_are_not_short_of_cores() -> None:
    text = "\n".join(f"t{n}  {'Y' * 5 * n}RRRRR{'Y' * 5 * (3 - n)}" for n in range(4))
    assert not found(of_threads(text), "few-cores")


def test_one_worker_too_many_for_a_moment_is_nothing() -> None:
    text = "a  RRRRRRRRRRRRRRRRRRRR\nb  RRRRRRRRRRRRRRRRRRRR\nc  RR.................."
    assert not found(of_processes(text), "few-cores")


def short_of_cores(text: str, cores: int = 2) -> Trace:
    """Like `of_threads`, but Y is a wait for a core."""
    trace = of_threads(text, cores)
    tracks = [
        replace(
            track,
            states=tuple(replace(one, reason="core") if one.reason == "GIL" else one for one in track.states),
        )
        for track in trace.tracks
    ]
    return replace(trace, tracks=tuple(tracks))


def test_a_core_that_others_have_is_a_note() -> None:
    (finding,) = found(short_of_cores("a  RRRRRYYYYYRRRRRYYYYY\nb  WWWWWWWWWWWWWWWWWWWW"), "busy-machine")
    assert finding.severity == "note"
    assert finding.cost_s == pytest.approx(0.1)
    assert finding.tracks == (0,)
    assert "100 of 200 ms" in finding.message and "no more cores" in finding.message


def test_cores_that_the_cell_itself_fills_are_not_the_machines_fault() -> None:
    text = "a  RRRRRYYYYYRRRRRYYYYY\nb  RRRRRRRRRRRRRRRRRRRR\nc  RRRRRRRRRRRRRRRRRRRR"
    assert not found(short_of_cores(text), "busy-machine")
    assert found(short_of_cores(text, cores=3), "busy-machine")


def test_processes_that_start_compute_too() -> None:
    text = "a  RRRRRYYYYYRRRRRYYYYY\nb  SSSSSSSSSSSSSSSSSSSS\nc  SSSSSSSSSSSSSSSSSSSS"
    assert not found(short_of_cores(text), "busy-machine")


def test_a_wait_for_the_gil_is_not_one_for_a_core() -> None:
    assert not found(of_threads("a  RRRRRYYYYYRRRRRYYYYY\nb  WWWWWWWWWWWWWWWWWWWW"), "busy-machine")


def test_a_core_missed_for_a_moment_is_nothing() -> None:
    assert not found(short_of_cores("a  RRRRRYRRRRRRRRRRRRRR"), "busy-machine")


def test_native_threads_may_have_had_the_cores() -> None:
    trace = short_of_cores("a  RRRRRYYYYYRRRRRYYYYY")
    metrics = replace(compute(trace), native_threads=0.5)
    assert not [one for one in find(trace, metrics) if one.lint == "busy-machine"]


UNEVEN = "a  RRRRRRRRRRRRRRRRRRRR\nb  RRRRRR.............."


def test_a_worker_that_computes_long_after_the_other_is_a_note() -> None:
    (finding,) = found(of_processes(UNEVEN), "uneven-work")
    assert finding.severity == "note"
    assert finding.tracks == (0,)
    assert "140 of 200 ms" in finding.message
    assert finding.cost_s == pytest.approx(0.07)


def test_workers_that_end_together_are_even() -> None:
    assert not found(
        of_processes(UNEVEN.replace("RRRRRR..............", "RRRRRRRRRRRRRRRRR...")), "uneven-work"
    )


def test_a_worker_that_only_waits_longer_is_not_uneven() -> None:
    assert not found(of_processes("a  RRRRRRWWWWWWWWWWWWWW\nb  RRRRRR.............."), "uneven-work")


def test_a_worker_that_only_began_late_is_not_uneven() -> None:
    assert not found(of_processes("a  ..........RRRRRRRRRR\nb  RRRRRRRRRR.........."), "uneven-work")


def test_a_worker_whose_core_was_taken_is_not_uneven() -> None:
    trace = of_processes(UNEVEN)
    same = tuple(replace(track, cpu_ns=60 * MS) for track in trace.tracks)
    assert not found(replace(trace, tracks=same), "uneven-work")


def test_workers_at_one_gil_leave_no_core_unused() -> None:
    assert not found(of_threads("a  RYRYRYRRRRRRRRRRRRRR\nb  YRYRYR.............."), "uneven-work")


def test_idle_workers_of_a_pool_end_with_their_last_job() -> None:
    text = "a  RRRRRRRRRRRRRRRRRRRR\nb  RRRRRRWWWWWWWWWWWWWW"
    trace = of_processes(text, group="pool")
    jobs = tuple(Job(n, str(n), n, 0, 0, end * MS) for n, end in enumerate((200, 60)))
    assert found(replace(trace, jobs=jobs), "uneven-work")
    assert not found(trace, "uneven-work")


def native(text: str, cpu_s: float) -> Trace:
    """Workers that computed, and CPU time beyond what their own clocks say."""
    trace = of_processes(text)
    used = sum(one.length_ns for track in trace.tracks for one in track.states if one.state is State.RUNNING)
    return replace(trace, cpu_s=used / 1e9 + cpu_s, python_cpu_s=used / 1e9)


TWO = "a  RRRRRRRRRRRRRRRRRRRR\nb  RRRRRRRRRRRRRRRRRRRR"


def test_native_threads_beside_workers_on_every_core_are_a_note() -> None:
    (finding,) = found(native(TWO, cpu_s=0.3), "oversubscribed")
    assert finding.severity == "note"
    assert "1.5 cores" in finding.message


def test_workers_without_native_threads_are_not_oversubscribed() -> None:
    assert not found(native(TWO, cpu_s=0.0), "oversubscribed")


def test_one_worker_whose_library_uses_the_other_core_is_right() -> None:
    assert not found(native("a  RRRRRRRRRRRRRRRRRRRR\nb  RWWWWWWWWWWWWWWWWWWW", cpu_s=0.2), "oversubscribed")
