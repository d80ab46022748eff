"""States fitted to the CPU clock: how much is the clock's, where is the samples'."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concmagic.importing.threads.sampled_states import fit_to_clock
from concmagic.model.trace import State, StateInterval

MS = 1_000_000
KINDS = {
    "R": (State.RUNNING, ""),
    "G": (State.READY, "GIL"),
    "C": (State.READY, "core"),
    "W": (State.WAITING, "sleep"),
}


def drawn(text: str) -> list[StateInterval]:
    """A letter a piece of ten milliseconds."""
    return [StateInterval(10 * MS * at, 10 * MS * (at + 1), *KINDS[letter]) for at, letter in enumerate(text)]


def sums(states: list[StateInterval]) -> dict[str, float]:
    found = dict.fromkeys(KINDS, 0.0)
    for one in states:
        letter = next(letter for letter, kind in KINDS.items() if kind == (one.state, one.reason))
        found[letter] += one.length_ns / MS
    return found


def test_edges_between_samples_move_until_the_sum_is_the_clocks() -> None:
    fitted = fit_to_clock(drawn("RGRGR"), 24 * MS, 0, (), 5 * MS)
    assert sums(fitted)["R"] == pytest.approx(24, abs=0.001)
    assert sums(fitted)["G"] == pytest.approx(26, abs=0.001)
    assert [one.start_ns / MS for one in fitted] == pytest.approx([0, 8.5, 21.5, 28.5, 41.5])


def test_waits_for_a_core_are_as_long_as_they_were() -> None:
    fitted = fit_to_clock(drawn("GRCRGRCR"), 30 * MS, 20 * MS, (), 8 * MS)
    assert sums(fitted)["R"] == pytest.approx(30, abs=0.01)
    assert sums(fitted)["C"] == pytest.approx(20, abs=0.01)


def test_waits_for_a_core_that_calls_have_covered_come_last_in_those_for_the_gil() -> None:
    fitted = fit_to_clock(drawn("RGRGR"), 30 * MS, 8 * MS, (), 5 * MS)
    assert sums(fitted)["C"] == pytest.approx(8, abs=0.01)
    assert sums(fitted)["R"] == pytest.approx(30, abs=0.01)
    words = [KINDS["R"], KINDS["G"], KINDS["C"], KINDS["R"], KINDS["G"], KINDS["C"], KINDS["R"]]
    assert [(one.state, one.reason) for one in fitted] == words


def test_a_little_less_is_not_worth_more_pieces() -> None:
    assert len(fit_to_clock(drawn("RGRGR"), 30 * MS, 4 * MS, (), 5 * MS)) == 5


def test_the_ends_of_calls_do_not_move() -> None:
    states = drawn("RWRGR")
    fitted = fit_to_clock(states, 27 * MS, 0, {10 * MS, 20 * MS}, 9 * MS)
    assert [one.start_ns for one in fitted[:3]] == [0, 10 * MS, 20 * MS]
    assert sums(fitted)["W"] == 10
    assert sums(fitted)["R"] == pytest.approx(27, abs=0.001)


def test_no_edge_moves_further_than_the_gap_between_samples() -> None:
    fitted = fit_to_clock(drawn("RG"), 1 * MS, 0, (), 2 * MS)
    assert sums(fitted)["R"] == 8


def test_what_was_never_sampled_has_no_edges() -> None:
    starting = [StateInterval(0, 10 * MS, State.STARTING), *drawn("RR")[1:]]
    assert fit_to_clock(starting, 2 * MS, 0, (), 8 * MS) == starting
    assert fit_to_clock([], 2 * MS, 0, (), 8 * MS) == []


@given(st.text("RGCW", min_size=1, max_size=20), st.integers(0, 200), st.integers(0, 200))
def test_states_cover_the_same_time_in_the_same_order(text: str, cpu_ms: int, core_ms: int) -> None:
    states = drawn(text)
    fitted = fit_to_clock(states, cpu_ms * MS, core_ms * MS, (), 6 * MS)
    without = [one for one in fitted if (one.state, one.reason) != KINDS["C"]]
    assert {(one.state, one.reason) for one in without} <= {(one.state, one.reason) for one in states}
    assert (fitted[0].start_ns, fitted[-1].end_ns) == (states[0].start_ns, states[-1].end_ns)
    assert all(one.end_ns == after.start_ns for one, after in pairwise(fitted))
    assert all(one.length_ns > 0 for one in fitted)


def test_what_edges_without_room_cannot_give_comes_from_those_with_room() -> None:
    """On a busy machine most pieces on a core are shorter than what each would have to give."""
    ends, kinds = [5.0], ["C"]
    for length in [0.1] * 40 + [60.0]:
        ends += [ends[-1] + length, ends[-1] + length + 5]
        kinds += ["R", "C"]
    states = [
        StateInterval(round(begin * MS), round(end * MS), *KINDS[kind])
        for begin, end, kind in zip([0.0, *ends], ends, kinds, strict=False)
    ]
    core_ns = sum(one.length_ns for one in states if one.state is State.READY)
    fitted = fit_to_clock(states, 44 * MS, core_ns + 20 * MS, (), 20 * MS)
    on_core_ns = sum(one.length_ns for one in fitted if one.state is State.RUNNING)
    assert on_core_ns == pytest.approx(44 * MS, rel=0.01)
