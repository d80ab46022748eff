"""Which stretch is drawn larger."""

from __future__ import annotations

from collections.abc import Iterator

from concmagic.model.columns import StateColumns
from concmagic.model.trace import State, StateInterval, Track
from concmagic.renderers.time_axis import TURNS, Stretch, typical_stretch

MS = 1_000_000


def lane(number: int, states: Iterator[tuple[State, int]]) -> Track:
    """A lane of states with their lengths in milliseconds."""
    found, at = [], 0
    for state, length in states:
        found.append(StateInterval(at * MS, (at + length) * MS, state))
        at += length
    return Track(number, "thread", f"t{number}", None, "work", 0, at * MS, tuple(found))


def turns(first: State, second: State, times: int, length: int = 5) -> Iterator[tuple[State, int]]:
    for _ in range(times):
        yield first, length
        yield second, length


def pair(times: int) -> list[Track]:
    """Two threads that take turns."""
    return [
        lane(0, turns(State.RUNNING, State.READY, times)),
        lane(1, turns(State.READY, State.RUNNING, times)),
    ]


def stretch_of(tracks: list[Track], wall_ms: int, resolution_ms: int = 15) -> Stretch | None:
    return typical_stretch(StateColumns.of(tracks), wall_ms * MS, resolution_ms * MS)


def test_two_threads_that_take_turns_are_shown_over_some_turns() -> None:
    stretch = stretch_of(pair(500), 5_000)
    assert stretch is not None
    assert [track.name for track in stretch.tracks] == ["t0", "t1"]
    assert [len(track.states) for track in stretch.tracks] == [TURNS, TURNS]
    assert stretch.end_ns - stretch.start_ns == TURNS * 5 * MS
    assert stretch.start_ns >= 0
    assert stretch.end_ns <= 5_000 * MS


def test_turns_that_can_be_seen_need_no_loupe() -> None:
    assert stretch_of(pair(500), 5_000, resolution_ms=4) is None


def test_a_few_short_turns_need_no_loupe() -> None:
    assert stretch_of(pair(10), 100) is None


def test_short_turns_in_a_cell_that_mostly_waits_need_no_loupe() -> None:
    states = [*turns(State.RUNNING, State.READY, 50), (State.WAITING, 9_500)]
    assert stretch_of([lane(0, iter(states))], 10_000) is None


def test_short_waits_alone_are_no_turns() -> None:
    lanes = [lane(0, turns(State.WAITING, State.UNKNOWN, 500))]
    assert stretch_of(lanes, 5_000) is None


def test_the_stretch_lies_where_both_alternate() -> None:
    alone = [(State.RUNNING, 2_000)]
    lanes = [
        lane(0, iter([*alone, *turns(State.RUNNING, State.READY, 300)])),
        lane(1, iter([(State.STARTING, 2_000), *turns(State.READY, State.RUNNING, 300)])),
    ]
    stretch = stretch_of(lanes, 5_000)
    assert stretch is not None
    assert stretch.start_ns >= 2_000 * MS


def test_a_lane_that_does_not_alternate_is_not_in_it() -> None:
    lanes = [lane(9, iter([(State.WAITING, 5_000)])), *pair(500)]
    stretch = stretch_of(lanes, 5_000)
    assert stretch is not None
    assert [track.name for track in stretch.tracks] == ["t0", "t1"]
