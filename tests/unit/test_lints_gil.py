"""Who keeps the GIL while it waits, and who has no core, in drawn traces."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.trace_text import MS, trace_from_text

from concmagic.analysis import Finding
from concmagic.analysis.concurrency import on_a_core_curve
from concmagic.analysis.lint_threads import few_cores, gil_bound, uneven_work
from concmagic.analysis.lint_waits import gil_held_while_waiting
from concmagic.analysis.metrics import compute
from concmagic.model.trace import Facts, State, StateInterval, Trace, Track


def drawn(text: str, held: str = "", cores: int = 2) -> Trace:
    """Threads of one process; y wants a core, Y the GIL; `held` names per millisecond who holds it."""
    trace = trace_from_text(text.replace("y", "Y"), "thread", cores=cores)
    rows = [line.split()[1] for line in text.strip().splitlines()]
    tracks = [
        replace(track, pid=9, states=tuple(_reasons(track, row)))
        for track, row in zip(trace.tracks, rows, strict=True)
    ]
    if held:
        ids = {track.name[0]: Facts(holders=(track.id,)) for track in tracks}
        states = tuple(
            StateInterval(at * MS, (at + 1) * MS, State.RUNNING, "", ids[letter])
            if letter in ids
            else StateInterval(at * MS, (at + 1) * MS, State.UNKNOWN)
            for at, letter in enumerate(held)
        )
        tracks.append(Track(99, "gil", "GIL", None, "work", 0, trace.wall_ns, states, pid=9))
    return replace(trace, tracks=tuple(tracks))


def _reasons(track: Track, row: str) -> list[StateInterval]:
    return [
        replace(one, reason="core" if row[one.start_ns // MS] == "y" else "GIL")
        if one.state is State.READY
        else one
        for one in track.states
    ]


def found(trace: Trace) -> list[Finding]:
    return list(gil_held_while_waiting(trace, compute(trace)))


def test_a_holder_that_only_waits_keeps_others_from_computing() -> None:
    held, wants = "R" * 10 + "W" * 40 + "R" * 10, "R" * 10 + "Y" * 40 + "Y" * 10
    (one,) = found(drawn(f"napper {held}\nworker {wants}", held="n" * 60))
    assert one.message.startswith(
        "napper kept the GIL for 40 of 60 ms while it only waited (sleep) at line 2: "
    )
    assert (one.cost_s, one.tracks, one.line) == (0.04, (0, 1), 2)


def test_a_waiter_that_does_not_hold_it_is_none() -> None:
    assert not found(drawn(f"napper {'W' * 60}\nworker {'R' * 60}\nother {'Y' * 60}", held="w" * 60))


def test_a_holder_that_nobody_wants_it_from_harms_nobody() -> None:
    assert not found(drawn(f"napper {'W' * 60}\nworker {'W' * 60}", held="n" * 60))


def test_a_holder_that_computes_or_has_no_core_does_not_wait() -> None:
    assert not found(drawn(f"holder {'R' * 30}{'y' * 30}\nworker {'Y' * 60}", held="h" * 60))


def test_a_short_wait_with_the_gil_is_within_what_two_samples_differ_by() -> None:
    assert not found(drawn(f"napper {'W' * 15}{'R' * 45}\nworker {'Y' * 60}", held="n" * 60))


def test_without_knowing_the_holder_nothing_is_claimed() -> None:
    assert not found(drawn(f"napper {'W' * 60}\nworker {'Y' * 60}", held="?" * 60))
    assert not found(drawn(f"napper {'W' * 60}\nworker {'Y' * 60}"))


def test_workers_that_wait_for_cores_are_more_than_the_cores() -> None:
    row = "Ry" * 75
    trace = drawn("\n".join(f"w{number} {row[number % 2 :]}" for number in range(4)))
    (one,) = few_cores(trace, compute(trace))
    assert "up to 4 on the 2 cores" in one.message


def test_a_thread_that_looks_for_the_gil_needs_no_core() -> None:
    row = "Y" * 9 + "y"
    trace = drawn(f"w0 {'R' * 200}\nw1 {'R' * 200}\nw2 {row * 19}YYYYYYYYYR\nw3 {row * 19}YYYYYYYYYR")
    assert not list(few_cores(trace, compute(trace)))


def test_workers_that_mostly_wait_are_not_too_many_where_others_take_the_cores() -> None:
    row = "yyyyyyyyRWWWW"  # on a quiet machine it would be on a core for a fifth of its time
    trace = drawn("\n".join(f"w{number} {row * 15}" for number in range(4)))
    assert not list(few_cores(trace, compute(trace)))


def test_two_workers_whose_cores_others_take_are_not_too_many() -> None:
    trace = drawn(f"w0 {'Ry' * 75}\nw1 {'yR' * 75}")
    assert not list(few_cores(trace, compute(trace)))


def test_having_no_core_is_not_wanting_the_gil() -> None:
    trace = drawn(f"w0 {'Ry' * 75}\nw1 {'yR' * 75}")
    assert not list(gil_bound(trace, compute(trace)))


def test_a_thread_with_other_work_did_not_share_it() -> None:
    """One computes, one only slept and ended early: no work was handed out unevenly."""
    trace = drawn(f"w0 {'R' * 200}\nw1 {'W' * 40}")
    assert not list(uneven_work(trace, compute(trace)))


def peaks(text: str, period_ms: int) -> tuple[int, float]:
    trace = drawn(text)
    trace = replace(trace, build=replace(trace.build, sampling_ns=period_ms * MS))
    metrics = compute(trace)
    return metrics.parallelism_peak, metrics.parallelism


def test_an_overlap_at_a_hand_over_is_no_second_core() -> None:
    """Two samples make it: the one still runs while the other has begun."""
    turns = "a  RRRRRYYYYRRRRRYYYYRRRRRR\nb  YYYYRRRRRYYYYRRRRRYYYYYY"
    assert peaks(turns, 2) == (1, pytest.approx(26 / 24))
    assert peaks(turns, 0)[0] == 2  # where nobody sampled, it is what was recorded


def test_turns_with_a_gap_between_them_are_turns() -> None:
    """At a hand-over both want the GIL for a moment; the turns between are as long as they are."""
    trace = drawn("a  RRRRYYYYYYRRRRYYYYYY\nb  YYYYYRRRRYYYYYYRRRRY")
    trace = replace(trace, build=replace(trace.build, sampling_ns=4 * MS))
    assert on_a_core_curve(trace).mean(trace.wall_ns) == pytest.approx(16 / 20)


def test_native_code_beside_one_that_has_the_gil_is_a_second_core() -> None:
    hashing = "a  RRRRRRRRRRRRRRRRRRRRRRRR\nb  RRRRYYYYRRRRRYYYYRRRRRRR\nc  YYYYRRRRYYYYYRRRRYYYYYYY"
    assert peaks(hashing, 2)[0] == 2
    assert peaks("a  RRRRRR\nb  RRRRRR", 2)[0] == 2
    assert peaks("a  WRWRWR\nb  WRWRWR", 2)[0] == 2  # nobody wants the GIL: short, and side by side
