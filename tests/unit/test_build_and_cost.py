"""What tracing cost: children side by side count once, children one after the other are summed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from concmagic.importing.build_and_cost import cost
from concmagic.importing.clock_ids_places import CellClock
from concmagic.records.handed_over import LockLog
from concmagic.records.recording import ProcessRecord, RawCalls, Recording

MS = 1_000_000


def child(pid: int, start_ms: int, method: str = "spawn") -> ProcessRecord:
    """It takes 10 ms to be born, 20 for our imports, 5 for the tracer and 40 from its end to its exit."""
    at = [(start_ms + each) * MS for each in (0, 10, 12, 32, 33, 38, 60, 100)]
    started, born, begun, loaded, called, target, done, ended = at
    return ProcessRecord(
        pid=pid,
        parent_pid=1,
        name=f"Process-{pid}",
        start_method=method,
        origin="user",
        started_ns=started,
        born_ns=born,
        begun_ns=begun,
        loaded_ns=loaded,
        called_ns=called,
        target_ns=target,
        done_ns=done,
        ended_ns=ended,
        exit_code=0,
        main_native_id=pid,
    )


def told_ms(*children: ProcessRecord, wall_ms: int = 10_000) -> float:
    kernel = replace(child(1, 0), parent_pid=None)
    recording = Recording(
        title="",
        model="procs",
        source="",
        cell_file="",
        cells={},
        start_ns=0,
        end_ns=wall_ms * MS,
        main_native_id=1,
        processes=(kernel, *children),
    )
    return cost(recording, CellClock(0, wall_ms * MS), 0, ()).seconds * 1000


def test_children_one_after_another_cost_the_sum() -> None:
    assert told_ms(child(2, 0)) == pytest.approx(20 + 5 + 0.85 * 40)
    assert told_ms(*(child(2 + n, 100 * n) for n in range(20))) == pytest.approx(20 * 59)


def test_children_side_by_side_cost_as_much_as_one() -> None:
    assert told_ms(child(2, 0), child(3, 0), child(4, 0)) == pytest.approx(59)


def test_of_a_fork_a_part_of_the_fork_itself_is_ours() -> None:
    assert told_ms(child(2, 0, "fork")) == pytest.approx(0.6 * 10 + 59)


def test_what_comes_after_the_cell_costs_it_nothing() -> None:
    assert told_ms(child(2, 0), wall_ms=70) == pytest.approx(20 + 5 + 0.85 * 10)


def test_calls_of_children_one_after_another_are_summed_too() -> None:
    calls = RawCalls(b"", {}, {}, ((0, 0), (0, 0)), 1_000_000)
    one = replace(child(2, 0), calls=calls)
    two = replace(child(3, 200), calls=calls)
    alone = told_ms(one)
    assert told_ms(one, two) == pytest.approx(2 * alone)
    assert told_ms(one, replace(child(3, 50), calls=calls)) < 2 * alone - 59


def test_that_other_programs_had_the_cores_is_no_cost() -> None:
    """From its birth until our imports were done it had a core for half of the time."""
    shared = replace(child(2, 0), loaded_cpu_ns=11 * MS)
    assert told_ms(shared) == pytest.approx(told_ms(child(2, 0)) / 2)


def test_the_cost_is_never_more_than_the_cell() -> None:
    many = [replace(child(number, 0), observing_ns=80 * MS) for number in range(2, 12)]
    assert told_ms(*many, wall_ms=100) <= 100


def test_what_watching_took_is_counted() -> None:
    watched = replace(child(2, 0), observing_ns=30 * MS, locks=LockLog(observing_ns=4 * MS))
    assert told_ms(watched) == pytest.approx(told_ms(child(2, 0)) + 34)
