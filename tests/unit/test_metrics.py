"""The numbers, on traces that can be seen."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.trace_text import MS, trace_from_text

from concmagic.analysis import concurrency, intervals
from concmagic.analysis.concurrency import on_a_core_curve
from concmagic.analysis.metrics import compute
from concmagic.model.trace import Cost, Flow, Job, State, Trace


def test_concurrency_is_the_mean_of_units_in_flight() -> None:
    metrics = compute(trace_from_text("a  RRRRRRRRRR\nb  RRRRR....."))
    assert metrics.concurrency == pytest.approx(1.5)
    assert metrics.concurrency_peak == 2


def test_a_unit_counts_from_its_first_step() -> None:
    assert compute(trace_from_text("a  SSSSSRRRRR")).concurrency == pytest.approx(0.5)


def test_a_unit_does_not_count_while_it_waits_for_one_it_started() -> None:
    metrics = compute(trace_from_text("a  RWWWWWWWWR\nb  .RRRRRRRR.", reasons={"a": "gather"}))
    assert metrics.concurrency == pytest.approx(1.0)
    assert metrics.concurrency_peak == 1


def test_who_waits_for_one_it_started_does_not_count_until_it_goes_on() -> None:
    trace = trace_from_text("a  RWWWWYYYYR\nb  RWWWWYYYYR\nc  .RRRR.....", reasons={"a": "task", "b": "task"})
    metrics = compute(trace)
    assert metrics.concurrency == pytest.approx(0.8)
    assert metrics.concurrency_peak == 2


def test_who_waits_for_a_command_does_not_count_beside_the_command() -> None:
    drawn = trace_from_text("a  RWWWWWWWWR\nb  .RRRRWWWW.", reasons={"a": "subprocess"})
    waiter, command = drawn.tracks
    command = replace(command, kind="process", start_method="subprocess")
    metrics = compute(replace(drawn, tracks=(waiter, command)))
    assert (metrics.concurrency, metrics.unit_peak) == (pytest.approx(1.0), 1)
    assert metrics.overlap == pytest.approx(1.0)
    assert compute(replace(drawn, tracks=(waiter,))).concurrency == pytest.approx(1.0)


def test_commands_that_wait_themselves_overlap_as_those_do_who_wait_for_them() -> None:
    rows = "a  RWWWWWWWWR\nb  RWWWWWWWWR\nc  .RWWWWWWW.\nd  .RWWWWWWW."
    reasons = {"a": "subprocess", "b": "subprocess", "c": "", "d": ""}
    drawn = trace_from_text(rows, reasons=reasons)
    commands = [replace(one, kind="process", start_method="subprocess") for one in drawn.tracks[2:]]
    metrics = compute(replace(drawn, tracks=(*drawn.tracks[:2], *commands)))
    assert metrics.overlap == pytest.approx(2.0)  # of what they wait for samples tell nothing
    assert metrics.unit_peak == 2


def test_a_wait_for_something_else_counts() -> None:
    metrics = compute(trace_from_text("a  RWWWWWWWWR\nb  .RRRRRRRR."))
    assert metrics.concurrency == pytest.approx(1.8)


def test_the_cell_alone_is_the_work() -> None:
    metrics = compute(trace_from_text("cell  RRWWWWWWRR", host="cell"))
    assert metrics.concurrency == pytest.approx(1.0)
    assert metrics.unit_kinds == ("cell",)


def test_beside_other_work_the_cell_counts_only_while_it_computes() -> None:
    trace = trace_from_text("cell  RRWWWWWWWR\na     ..RRRRRRR.", host="cell", reasons={"cell": "join"})
    metrics = compute(trace)
    assert metrics.concurrency == pytest.approx(1.0)
    assert metrics.unit_peak == 1
    assert metrics.waiting_s == 0  # a cell that only waits for the others is in no sum


def test_jobs_are_units_and_their_workers_are_not() -> None:
    drawn = trace_from_text("w1  RRRRRRRRRR\nw2  RRRRRRRRRR", kind="thread")
    tracks = tuple(replace(track, unit=False, group="pool") for track in drawn.tracks)
    jobs = (Job(0, "a", 0, 0, 0, 4 * MS), Job(1, "b", 1, 0, 0, 6 * MS), Job(2, "c", None, 0, None, None))
    metrics = compute(replace(drawn, tracks=tracks, jobs=jobs))
    assert metrics.concurrency == pytest.approx(1.0)
    assert metrics.unit_kinds == ("job",)


def test_machinery_is_in_no_number() -> None:
    drawn = trace_from_text("a  RRRRRRRRRR\nb  RRRRRRRRRR", kind="process")
    metrics = compute(replace(drawn, tracks=(drawn.tracks[0], replace(drawn.tracks[1], role="machinery"))))
    assert metrics.concurrency == pytest.approx(1.0)
    assert metrics.parallelism == pytest.approx(1.0)
    assert metrics.running_s == pytest.approx(0.010)


def test_parallelism_counts_threads_on_a_core() -> None:
    metrics = compute(trace_from_text("a  RRRRRRRRRR\nb  WWWWWRRRRR", kind="thread"))
    assert metrics.parallelism == pytest.approx(1.5)
    assert metrics.parallelism_peak == 2
    assert metrics.parallelism_source == "states"


def test_the_cpu_clock_bounds_parallelism() -> None:
    drawn = trace_from_text("a  RRRRRRRRRR\nb  RRRRRRRRRR", kind="thread")
    assert compute(replace(drawn, cpu_s=0.015)).parallelism == pytest.approx(1.5)


def test_with_unknown_states_the_mean_is_cpu_time_over_wall_time() -> None:
    drawn = trace_from_text("a  UUUUUUUURR", kind="thread")
    metrics = compute(replace(drawn, cpu_s=0.004))
    assert metrics.parallelism == pytest.approx(0.4)
    assert metrics.parallelism_source == "CPU time"
    assert math.isnan(compute(drawn).parallelism)


def test_parallelism_is_no_more_than_what_was_in_flight() -> None:
    """What a child computes as it starts is in its CPU time; a child that starts is no work in flight."""
    drawn = trace_from_text("a  SSSSSSSSRU", kind="process")
    metrics = compute(replace(drawn, cpu_s=0.009))
    assert metrics.parallelism_source == "CPU time"
    assert metrics.parallelism == metrics.concurrency == pytest.approx(0.2)


def test_what_the_recording_made_a_child_do_is_no_work_in_flight() -> None:
    drawn = trace_from_text("a  YYRRRRYYYY", kind="process")
    (child,) = drawn.tracks
    ours = tuple(
        replace(one, state=State.TRACING) if one.state is State.READY else one for one in child.states
    )
    metrics = compute(replace(drawn, tracks=(replace(child, states=ours),)))
    assert metrics.concurrency == metrics.parallelism == pytest.approx(0.4)
    assert (metrics.running_s, metrics.tracing_s) == (pytest.approx(0.004), pytest.approx(0.006))


def test_workers_that_told_no_jobs_are_at_work_while_they_compute() -> None:
    drawn = trace_from_text("cell  RWWWWWWWWR\na  WRRRRRRRWW\nb  WRRRRRRRWW", kind="process", host="cell")
    cell, *workers = drawn.tracks
    of_earlier = [
        replace(one, parent=0, group="earlier workers", unit=False, pid=7 + one.id) for one in workers
    ]
    metrics = compute(replace(drawn, tracks=(cell, *of_earlier)))
    assert metrics.parallelism == pytest.approx(1.6)
    assert (metrics.unit_peak, metrics.unit_kinds) == (2, ("cell", "process"))


def test_cores_of_native_threads_are_beside_what_is_in_flight() -> None:
    drawn = trace_from_text("a  RRRRRRRRRR", kind="thread")
    assert compute(replace(drawn, cpu_s=0.020, python_cpu_s=0.010)).parallelism == pytest.approx(2.0)


def test_native_threads_are_what_the_cpu_clock_has_more() -> None:
    drawn = trace_from_text("a  RRRRRRRRRR", kind="thread")
    assert compute(replace(drawn, cpu_s=0.020, python_cpu_s=0.010)).native_threads == pytest.approx(1.0)
    assert compute(replace(drawn, cpu_s=0.010, python_cpu_s=0.011)).native_threads == 0
    assert math.isnan(compute(replace(drawn, cpu_s=0.020)).native_threads)


def test_overlap_counts_running_and_waits_outside_only() -> None:
    outside = trace_from_text("a  RRWWWWWWWW\nb  RRWWWWWWWW")
    for_each_other = trace_from_text("a  RRWWWWWWWW\nb  RRWWWWWWWW", reasons={"a": "Lock", "b": "Lock"})
    assert compute(outside).overlap == pytest.approx(2.0)
    assert compute(for_each_other).overlap == pytest.approx(0.4)


def test_sums_by_state_and_line() -> None:
    metrics = compute(trace_from_text("a  RRBBYYWWSU"))
    sums = metrics.by_track[0]
    assert (sums.running_s, sums.blocking_s, sums.ready_s) == pytest.approx((0.002, 0.002, 0.002))
    assert (sums.waiting_s, sums.starting_s, sums.unknown_s) == pytest.approx((0.002, 0.001, 0.001))
    assert metrics.by_line["", 2].waiting_s == pytest.approx(0.002)


def test_scheduling_delay_and_longest_step() -> None:
    drawn = trace_from_text("a  RRWWYYYRRR\nb  WWRRRRRWWW")
    loop = replace(trace_from_text("loop  RRRRRRRRRR", kind="loop").tracks[0], id=9, unit=False)
    metrics = compute(replace(drawn, tracks=(*drawn.tracks, loop)))
    assert metrics.loop_delay_max_s == pytest.approx(0.003)
    assert metrics.loop_longest_step_s == pytest.approx(0.005)
    assert metrics.loop_computing == pytest.approx(1.0)


def test_cooperative_switches_are_steps_that_gave_up_the_loop() -> None:
    assert compute(trace_from_text("a  RWRWRRRYRR")).cooperative_switches == 3


def test_an_empty_trace_has_no_numbers_and_no_error() -> None:
    metrics = compute(Trace("nothing", "timeline", 0))
    assert math.isnan(metrics.concurrency)
    assert metrics.path == ()


def test_cost_is_a_share_of_the_cell() -> None:
    drawn = replace(trace_from_text("a  RRRRRRRRRR"), cost=Cost(seconds=0.001, events=5))
    assert compute(drawn).cost_share == pytest.approx(0.1)


def test_a_wake_flow_changes_no_sum() -> None:
    drawn = trace_from_text("a  RRRWW\nb  WWWRR")
    flow = Flow("wake", 0, 3 * MS, 1, 3 * MS)
    assert compute(replace(drawn, flows=(flow,))).running_s == compute(drawn).running_s


def test_no_more_are_on_a_core_than_there_are_cores() -> None:
    drawn = trace_from_text("a  RRRR\nb  RRRR\nc  RRRR", kind="thread", cores=2)
    assert on_a_core_curve(drawn).peak == 2
    assert compute(drawn).parallelism == pytest.approx(2.0)


def test_the_mean_loses_nothing_where_two_seem_to_stand_on_one_core() -> None:
    """Of two that took turns samples tell how long each computed, and not quite when."""
    drawn = trace_from_text("a  RRYYRRYY\nb  YRRYYRRY", kind="thread", cores=1)
    metrics = compute(replace(drawn, cpu_s=0.008))
    assert metrics.parallelism == pytest.approx(1.0)
    assert metrics.parallelism_peak == 1
    assert compute(replace(drawn, cpu_s=0.007)).parallelism == pytest.approx(7 / 8)


def test_the_waits_of_a_worker_are_looked_at_near_each_job_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its jobs with all of its waits would be their square: seconds for some thousand jobs."""
    how_many = 500
    trace = trace_from_text("worker  " + "RW" * how_many, "thread")
    (worker,) = trace.tracks
    states = tuple(replace(one, reason="for work") if one.line else one for one in worker.states)
    jobs = tuple(Job(n, "f", 0, 0, 2 * n * MS, (2 * n + 2) * MS) for n in range(how_many))
    trace = replace(trace, tracks=(replace(worker, states=states, unit=False),), jobs=jobs)
    looked_at: list[int] = []

    def minus(pairs: list[tuple[int, int]], holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
        looked_at.append(len(holes))
        return intervals.minus(pairs, holes)

    monkeypatch.setattr(concurrency, "minus", minus)
    assert [unit.pairs for unit in concurrency.units(trace)] == [
        ((2 * n * MS, (2 * n + 1) * MS),) for n in range(how_many)
    ]
    assert sum(looked_at) <= 2 * how_many
