"""Two threads under one GIL are RUNNING at once only where their process's CPU clock proves it."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trace_text import MS, trace_from_text
from tests.unit.test_sampler_evidence import sampled, together

from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.threads.sampled_states import import_clocks
from concmagic.importing.threads.side_by_side import OneGil, one_at_a_time
from concmagic.model.trace import State, StateInterval, Track
from concmagic.recording.sampler.process_clock import CLOCK, ProcessClock
from concmagic.recording.sampler.threads_and_gil import Rows

LETTERS = {State.RUNNING: "R", State.READY: "Y", State.WAITING: "W", State.UNKNOWN: "U"}


def drawn(text: str) -> list[Track]:
    """Threads as text; Y is a wait for the GIL, and their numbers are 1, 2, …"""
    tracks = []
    for number, track in enumerate(trace_from_text(text, kind="thread").tracks, 1):
        states = tuple(
            StateInterval(*one.pair, one.state, "GIL" if one.state is State.READY else one.reason)
            for one in track.states
        )
        tracks.append(
            Track(number, "thread", track.name, None, "work", 0, track.end_ns, states, native_id=number)
        )
    return tracks


def letters(track: Track) -> str:
    return "".join(LETTERS[one.state] * round(one.length_ns / MS) for one in track.states)


def told(
    text: str,
    clock: tuple[tuple[int, int, int], ...] = ((0, 100, 0),),
    holders: tuple[tuple[int, int, int], ...] = (),
    held: dict[int, list[tuple[int, int]]] | None = None,
    steps: dict[int, list[tuple[int, int]]] | None = None,
) -> list[str]:
    """The threads with what they did a millisecond; all times are milliseconds."""
    proofs = {
        number: np.array(pairs, np.int64).reshape(-1, 2).T * MS for number, pairs in (held or {}).items()
    }
    known = OneGil(
        [(start * MS, end * MS, used * MS) for start, end, used in clock],
        [(start * MS, end * MS, number) for start, end, number in holders],
        2 * MS,
        proofs,
        {number: [(a * MS, b * MS) for a, b in pairs] for number, pairs in (steps or {}).items()},
    )
    return [letters(track) for track in one_at_a_time(drawn(text), known)]


def test_a_hand_over_that_is_no_overlap_moves_into_the_time_in_which_nobody_computed() -> None:
    assert told("a  RRRRRYYYYYRR\nb  YYYRRRRYYYYY", holders=((0, 5, 1), (5, 12, 2))) == [
        "RRRRRYYYYYRR",
        "YYYYYRRRRYYY",
    ]


def test_what_the_clock_proves_stays() -> None:
    text = "a  RRRRRRRRRR\nb  RRRRRRRRRR"
    assert told(text, ((0, 10, 0), (2, 8, 12))) != ["RRRRRRRRRR"] * 2
    assert told(text, ((0, 10, 0), (0, 10, 20))) == ["RRRRRRRRRR"] * 2


def test_where_the_clock_was_not_looked_at_nothing_is_changed() -> None:
    text = "a  RRRRRR\nb  RRRRRR"
    assert told(text, ()) == ["RRRRRR"] * 2
    assert told(text, ((3, 6, 0),))[1][:3] == "RRR"


def test_who_had_the_gil_stays_and_the_other_is_not_known_where_nothing_tells() -> None:
    text = "a  WRRRRW\nb  WRRRRW"
    assert told(text, holders=((0, 6, 2),)) == ["WUUUUW", "WRRRRW"]
    assert told(text, held={1: [(0, 6)]}) == ["WRRRRW", "WUUUUW"]


def test_a_loops_step_is_exact_and_whoever_else_ran_then_ran_elsewhere() -> None:
    """Also where the loop's own thread looks as if it had not computed."""
    assert told("a  YYYYYYYY\nb  RRRRYYYY", steps={1: [(1, 3)]}) == ["YYYYYYYY", "RYYRRRYY"]


def test_who_ran_alone_while_another_had_the_gil_ran_when_it_had_it() -> None:
    assert told("a  RRRRYYYY.\nb  YYYYYYYYR", holders=((0, 4, 2), (4, 8, 1)))[0] == "YYYYRRRR"


def test_who_runs_without_the_gil_is_let_alone() -> None:
    """It had it nowhere near: what it ran was code without it."""
    assert told("a  RRRRYYYY.\nb  YYYYYYYYR", holders=((0, 8, 2),))[0] == "RRRRYYYY"


@given(st.lists(st.text("RYWU", min_size=40, max_size=40), min_size=2, max_size=5), st.integers(0, 39))
def test_no_two_run_at_once_and_none_computes_longer_than_before(rows: list[str], holder_at: int) -> None:
    text = "\n".join(f"{name}  {row}" for name, row in zip("abcde", rows, strict=False))
    after = told(text, holders=((0, holder_at, 1), (holder_at, 40, 2)))
    for moment in range(40):
        assert sum(row[moment] == "R" for row in after) <= 1
    for before, row in zip(rows, after, strict=True):
        was, is_now = Counter(before), Counter(row)
        assert len(row) == 40
        assert is_now["R"] <= was["R"]
        assert is_now["W"] == was["W"]
        assert is_now["Y"] == was["Y"]  # what was wanted for so long was wanted for so long


def test_states_stay_without_gap_or_overlap() -> None:
    known = OneGil([(0, 12 * MS, 0)], [], 2 * MS)
    for track in one_at_a_time(drawn("a  RRRRRYYYYYRR\nb  YYYRRRRYYYYY\nc  WWRRYYYYYYYY"), known):
        assert all(one.end_ns == following.start_ns for one, following in pairwise(track.states))


def spans(pid: int, columns: Rows) -> Iterator[tuple[int, int]]:
    for number, start, end, code, used in zip(*columns.columns, strict=True):
        assert (number, code) == (-pid, CLOCK)
        yield end - start, used


def test_the_clock_of_a_process_that_is_gone_is_not_looked_at_again() -> None:
    rows, child = Rows(), os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    clock = ProcessClock(child)
    for _ in range(3):
        clock.see(rows)
    clock.close(rows)
    assert not clock.is_known
    assert len(rows) == 0


def test_one_computing_thread_is_no_proof() -> None:
    rows, clock = Rows(), ProcessClock(os.getpid())
    for _ in range(50):
        until = time.monotonic() + 0.002
        clock.see(rows)
        while time.monotonic() < until:
            pass
    clock.close(rows)
    assert [used for _, used in spans(os.getpid(), rows)] == [0]


@pytest.mark.sampled
def test_what_the_sampler_proves_is_no_more_than_what_the_threads_clocks_say() -> None:
    data, used = bytes(1 << 20), []

    def hashing() -> None:
        until = time.thread_time() + 0.2
        while time.thread_time() < until:
            hashlib.sha256(data).digest()
        used.append(time.thread_time_ns())

    with sampled() as logs:
        begun = time.monotonic_ns()
        together(hashing, hashing)
        lasted = time.monotonic_ns() - begun
    found = import_clocks(logs[0], CellClock(begun, lasted))[os.getpid()]
    watched = [piece for piece in found if not piece[2]]
    proven = sum(cpu - (end - start) for start, end, cpu in found if cpu)
    assert len(watched) == 1
    # At once they cannot have computed for longer than the one that computed less did.
    assert proven <= min(used) + 20_000_000
    if sum(used) > 1.5 * lasted:
        assert proven > 0.5 * (sum(used) - lasted)
