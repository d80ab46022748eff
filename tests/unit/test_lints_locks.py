"""Convoys and deadlocks of threads: found where they are, and not where they only look like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.trace_text import MS

from concmagic import sentences
from concmagic.analysis import Finding
from concmagic.analysis.lints import find
from concmagic.analysis.metrics import compute
from concmagic.analysis.wait_chains import longest_chains, wait_by_lock
from concmagic.model.outcomes import outcome_of
from concmagic.model.states import cover
from concmagic.model.trace import Build, Facts, Resource, State, StateInterval, Trace, Track

Wait = tuple[float, float, str, str, int]  # begin, end, reason, what and whose: "cache held by a b", line
WALL = 400 * MS


def of_threads(outcome: str = "returned", **threads: list[Wait]) -> Trace:
    """Threads by name with waits; else they run. What has no name is told by its place alone."""
    tracks: list[Track] = []
    ids = {name: number for number, name in enumerate(threads)}
    locks: dict[str, int] = {}

    def facts(number: int, why: str, told: str) -> Facts:
        what, _, whose = told.partition("held by ")
        lock = locks.setdefault(what.strip(), len(locks))
        who = tuple(ids.get(name, -1) for name in whose.split())
        if who == (number,):
            return Facts(lock, waits_for=who)
        return Facts(lock, who, () if why == "Semaphore" and len(who) > 1 else who[-1:])

    for number, (name, waits) in enumerate(threads.items()):
        told = [
            StateInterval(int(b * MS), int(e * MS), State.WAITING, why, facts(number, why, what), "", line)
            for b, e, why, what, line in waits
        ]
        runs = [StateInterval(0, WALL, State.RUNNING)]
        tracks.append(
            Track(
                number,
                "thread",
                name.replace("_", "-"),
                None,
                "work",
                0,
                None,
                cover(0, WALL, runs, told),
                unit=True,
            )
        )
    return Trace(
        "drawn",
        "threads",
        WALL,
        tuple(tracks),
        resources=tuple(Resource("lock", name) for name in locks),
        others=("other",),
        outcome=outcome_of(outcome),
        build=Build(cores=2),
    )


def found(trace: Trace, name: str) -> list[Finding]:
    return [one for one in find(trace, compute(trace)) if one.lint == name]


def turns(
    detail: str = "cache held by other",
    reason: str = "Lock",
    times: int = 10,
    shift: float = 0,
    line: int = 4,
) -> list[Wait]:
    """So many waits of 15 ms, one every 40 ms."""
    return [(40 * n + shift, 40 * n + shift + 15, reason, detail, line) for n in range(times)]


def convoy(**more: Any) -> Trace:
    return of_threads(a=turns(**more), b=turns(shift=15, **more))


def test_threads_that_queue_for_one_lock_are_a_convoy() -> None:
    (finding,) = found(convoy(), "lock-convoy")
    assert finding.severity == "warning"
    assert "`cache`" in finding.message
    assert "2 threads waited 20 times" in finding.message
    assert finding.cost_s == 0.15  # 300 ms of waiting, of two threads
    assert finding.line == 4
    assert finding.tracks == (0, 1)


def queue_of(threads: int, apart_ms: float) -> Trace:
    """Each waits once, from the beginning, and gets the lock so long after the one before it."""
    waits = {f"t{n}": [(1.0, 20 + apart_ms * n, "Lock", "cache", 4)] for n in range(threads)}
    return of_threads(**waits)


def test_many_that_queue_once_each_are_a_convoy() -> None:
    (finding,) = found(queue_of(12, apart_ms=20), "lock-convoy")
    assert "12 threads waited 12 times" in finding.message


def test_tasks_that_pass_a_lock_one_after_the_other_are_told_as_a_note() -> None:
    threads = of_threads(**{f"t{n}": [(1.0, 60 * n, "Lock", "cache", 4)] for n in range(1, 6)})
    tasks = replace(threads, tracks=tuple(replace(one, kind="task") for one in threads.tracks))
    (finding,) = found(tasks, "lock-convoy")
    assert finding.severity == "note"
    assert finding.message == (
        "For 299 of 400 ms somebody waited for `cache`: 5 tasks waited 5 times, 895 ms in all."
    )


def test_few_that_queue_or_many_that_are_let_in_together_are_none() -> None:
    assert not found(queue_of(6, apart_ms=40), "lock-convoy")
    assert not found(queue_of(12, apart_ms=0.5), "lock-convoy")


def test_two_waits_are_one_if_all_of_the_cell_went_through_that_lock() -> None:
    first, last = (0.0, WALL / MS * 0.34), (0.0, WALL / MS * 0.67)
    (finding,) = found(
        of_threads(a=[(*first, "Lock", "cache", 4)], b=[(*last, "Lock", "cache", 4)], c=[]), "lock-convoy"
    )
    assert "2 threads waited 2 times" in finding.message
    assert finding.cost_s == pytest.approx(0.67 * WALL / 1e9)


def test_a_gate_that_all_wait_for_and_pass_together_is_no_convoy() -> None:
    late = (0.0, WALL / MS * 0.9, "Lock", "cache", 4)
    assert not found(of_threads(a=[late], b=[late], c=[late]), "lock-convoy")


def test_a_lock_without_a_name_is_told_by_its_line() -> None:
    (finding,) = found(convoy(detail="held by other"), "lock-convoy")
    assert "the lock at line 4" in finding.message


def test_a_condition_or_a_queue_is_no_convoy() -> None:
    for reason in ("Condition", "Queue.get", "Event", "Semaphore", "sleep"):
        assert not found(convoy(reason=reason), "lock-convoy")


def test_a_few_waits_are_no_convoy() -> None:
    assert not found(convoy(times=4), "lock-convoy")
    assert not found(of_threads(a=[(0, 300, "Lock", "cache held by b", 4)], b=[]), "lock-convoy")


def test_waits_that_hardly_last_are_no_convoy() -> None:
    short = [(40.0 * n, 40 * n + 1.0, "Lock", "cache", 4) for n in range(10)]
    assert not found(of_threads(a=short, b=short), "lock-convoy")


def test_one_that_waits_for_one_other_is_no_convoy() -> None:
    assert not found(of_threads(a=turns(), b=[]), "lock-convoy")


def test_different_locks_are_no_convoy() -> None:
    assert not found(of_threads(a=turns("left"), b=turns("right")), "lock-convoy")


def test_waits_are_summed_by_lock() -> None:
    trace = of_threads(a=[*turns("left held by b"), (390, 395, "Lock", "right", 9)], b=turns("left"))
    left, right = wait_by_lock(trace)
    assert (left.lock and left.lock.name, len(left.waits)) == ("left", 20)
    assert (right.lock and right.lock.name, len(right.waits)) == ("right", 1)


FIRST: Wait = (20, 400, "Lock", "b held by second", 9)
SECOND: Wait = (30, 390, "Lock", "a held by first", 14)


def test_threads_that_have_what_the_other_wants_are_a_deadlock() -> None:
    for outcome in ("interrupted", "raised TimeoutError"):
        (finding,) = found(of_threads(outcome, first=[FIRST], second=[SECOND]), "deadlock")
        for part in (
            "first waits for Lock b, held by second (line 9)",
            "second waits for Lock a, held by first (line 14)",
        ):
            assert part in finding.message
        assert finding.cost_s == 0.37
        assert "timeout" in finding.hint


def test_three_in_a_circle_and_one_alone() -> None:
    three = of_threads(
        "interrupted",
        a=[(10, 400, "Lock", "x held by b", 1)],
        b=[(20, 400, "RLock", "y held by c", 2)],
        c=[(30, 400, "Lock", "z held by d a", 3)],
        d=[],
    )
    (finding,) = found(three, "deadlock")
    assert finding.tracks == (0, 1, 2)
    alone = of_threads("interrupted", a=[(10, 400, "Lock", "x held by a", 1)])
    (finding,) = found(alone, "deadlock")
    assert "a waits for Lock x, held by a itself (line 1)" in finding.message


def test_of_several_that_have_a_permit_any_may_end_the_wait() -> None:
    second = (30, 390, "Lock", "l held by first", 14)
    alone = of_threads("interrupted", first=[(20, 390, "Semaphore", "s held by second", 9)], second=[second])
    assert found(alone, "deadlock")
    shared = (20, 390, "Semaphore", "s held by third second", 9)
    assert not found(of_threads("interrupted", first=[shared], second=[second], third=[]), "deadlock")


def test_a_cell_that_ended_by_itself_had_no_deadlock() -> None:
    assert not found(of_threads(first=[FIRST], second=[SECOND]), "deadlock")


def test_a_chain_is_no_circle() -> None:
    trace = of_threads("interrupted", first=[FIRST], second=[(30, 390, "sleep", "", 14)])
    assert not found(trace, "deadlock")


def test_waits_that_were_not_at_one_time_are_no_circle() -> None:
    trace = of_threads("interrupted", first=[(200, 300, *FIRST[2:])], second=[(300, 390, *SECOND[2:])])
    assert not found(trace, "deadlock")


def test_waits_that_ended_long_before_the_stop_are_no_circle() -> None:
    trace = of_threads("interrupted", first=[(20, 150, *FIRST[2:])], second=[(30, 160, *SECOND[2:])])
    assert not found(replace(trace, wall_ns=WALL), "deadlock")


@pytest.mark.parametrize("names", [("worker", "worker"), ("held by x", "y"), ("a, x", "b, y")])
def test_threads_in_a_deadlock_are_told_apart_whatever_they_are_called(names: tuple[str, str]) -> None:
    trace = of_threads("interrupted", first=[FIRST], second=[SECOND])
    named = tuple(replace(track, name=name) for track, name in zip(trace.tracks, names, strict=True))
    (finding,) = found(replace(trace, tracks=named), "deadlock")
    assert finding.tracks == (0, 1)
    assert f"{names[0]} waits for Lock b, held by {names[1]} (line 9)" in finding.message
    assert f"{names[1]} waits for Lock a, held by {names[0]} (line 14)" in finding.message


def test_who_waited_is_said_on_the_error() -> None:
    trace = of_threads("raised TimeoutError", first=[FIRST], second=[SECOND])
    (chain,) = longest_chains(trace)
    said = sentences.still_waiting(tuple(link.values for link in chain.links))
    assert "first waits for Lock b, held by second (line 9)" in said
