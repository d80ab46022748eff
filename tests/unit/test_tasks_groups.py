"""Tasks beyond those that are told one by one: few bytes each, and every sum, count and outcome exact."""

from __future__ import annotations

import asyncio
import gc
import threading
from array import array
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from async_truth import traced_and_recorded
from recorded_tasks import check, more

from concmagic.analysis.metrics import compute
from concmagic.api import Trace
from concmagic.model.trace import State
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import TaskGroup, TaskLog


def record(main: Callable[[], Coroutine[Any, Any, Any]], told: int = 5, kept: int = 100_000) -> TaskLog:
    recorder = TaskRecorder(told=told, kept=kept)
    recorder.start()
    try:
        asyncio.run(main())
    finally:
        log = recorder.stop()
    assert log.problems == ()
    check(log)
    return log


def groups_of(log: TaskLog, *coroutines: str) -> list[TaskGroup]:
    """The groups of these functions, and not those of asyncio's own helpers at the end of a run."""
    names = {task.number: task.coroutine.rpartition(".")[2] for task in log.tasks}
    found = [group for group in log.groups if names[group.number] in coroutines]
    assert len({names[group.number] for group in found}) == len(coroutines)
    return found


def lives(group: TaskGroup) -> list[tuple[int, int]]:
    flat = array("q", group.pairs)
    return list(zip(flat[::2], flat[1::2], strict=True))


def check_sums(group: TaskGroup) -> None:
    """Every nanosecond of every member's life is in exactly one sum."""
    lived = sum(end - begin for begin, end in lives(group))
    assert group.running_ns + group.ready_ns + group.waiting_ns == lived
    assert sum(length for _, length, _ in group.waits) == group.waiting_ns
    assert sum(many for _, many in group.outcomes) == group.members
    assert min(group.starting_ns, group.running_ns, group.ready_ns, group.waiting_ns) >= 0


async def nap() -> None:
    await asyncio.sleep(0.001)


async def turns(many: int) -> None:
    for _ in range(many):
        await asyncio.sleep(0)


def test_alike_tasks_become_one_group_with_exact_sums() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(300):
                group.create_task(nap(), name=f"n{number}")

    log = record(main)
    (group,) = groups_of(log, "nap")
    single = [task for task in log.tasks if task.coroutine == "nap" and task.number != group.number]
    assert group.members == 300 - len(single)
    assert (group.steps, group.outcomes) == (2 * group.members, (("returned", group.members),))
    check_sums(group)
    ((wait, length, gaps),) = group.waits
    assert wait is not None and (wait.reason, more(wait)) == ("sleep", "0.001 s")
    assert (length >= group.members * 1_000_000, gaps) == (True, b"")
    assert log.merged == sum(one.steps for one in log.groups)


def test_what_yields_was_ready_and_never_waited() -> None:
    async def main() -> None:
        await asyncio.gather(*[turns(20) for _ in range(50)])

    (group,) = groups_of(record(main), "turns")
    check_sums(group)
    assert (group.steps, group.waiting_ns) == (21 * group.members, 0)


@pytest.mark.parametrize("kept", [0, 40, 100_000])
def test_sums_do_not_depend_on_how_many_records_are_kept(kept: int) -> None:
    async def main() -> None:
        await asyncio.gather(*[turns(3) for _ in range(50)], *[nap() for _ in range(50)])

    log = record(main, kept=kept)
    groups = groups_of(log, "turns", "nap")
    assert [group.steps // group.members for group in groups] == [4, 2]
    for group in groups:
        check_sums(group)


def test_every_outcome_is_counted() -> None:
    release: list[asyncio.Event] = []

    async def ends(number: int) -> None:
        await asyncio.sleep(0)
        if number % 3 == 1:
            raise ValueError(f"number {number}")
        if number % 3 == 2:
            await release[0].wait()

    async def main() -> None:
        release.append(asyncio.Event())
        tasks = [asyncio.create_task(ends(number)) for number in range(90)]
        await asyncio.wait(tasks, timeout=0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    (group,) = groups_of(record(main, told=1), "ends")
    check_sums(group)
    assert group.members == 90
    assert dict(group.outcomes) == {"returned": 30, "raised ValueError": 30, "cancelled": 30}
    assert group.exception == "ValueError: number 1"


def test_a_member_that_is_collected_while_it_waits_was_destroyed() -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        tasks = [asyncio.create_task(forever()) for _ in range(3)]
        await asyncio.sleep(0)
        tasks.clear()
        gc.collect()
        await asyncio.sleep(0)

    (group,) = groups_of(record(main, told=1), "forever")
    check_sums(group)
    assert group.outcomes == (("destroyed", 3),)


def test_tasks_of_different_parents_and_functions_are_different_groups() -> None:
    async def parent() -> None:
        await asyncio.gather(*[nap() for _ in range(20)])

    async def main() -> None:
        parents = [asyncio.create_task(parent()), asyncio.create_task(parent())]
        await asyncio.gather(*parents, turns(1))

    log = record(main, told=3)  # the cell's and its two parents
    assert [group.members for group in groups_of(log, "nap")] == [20, 20]
    assert [group.members for group in groups_of(log, "turns")] == [1]
    for group in log.groups:
        check_sums(group)


def test_loops_of_several_threads_make_members_at_once() -> None:
    async def main() -> None:
        await asyncio.gather(*[nap() for _ in range(200)])

    recorder = TaskRecorder(told=2)
    recorder.start()
    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = recorder.stop()
    assert log.problems == ()
    groups = groups_of(log, "nap")
    numbers = {group.number for group in groups}
    single = sum(task.coroutine == "nap" and task.number not in numbers for task in log.tasks)
    assert sum(group.members for group in groups) + single == 800
    for group in log.groups:
        check_sums(group)


def test_the_trace_counts_members_in_flight_and_sums_their_states() -> None:
    gate: list[asyncio.Event] = []

    async def waits() -> None:
        await gate[0].wait()

    async def main() -> None:
        gate.append(asyncio.Event())
        tasks = [asyncio.create_task(waits()) for _ in range(100)]
        await asyncio.sleep(0)
        gate[0].set()
        await asyncio.gather(*tasks)

    trace, log, _ = traced_and_recorded(main, recorder=TaskRecorder(told=2))
    (group,) = groups_of(log, "waits")
    (row,) = [one for one in trace.groups if one.members == group.members]
    assert (row.members, row.ended, row.failed, row.steps) == (group.members, group.members, 0, group.steps)
    metrics = compute(trace)
    assert metrics.unit_peak >= 100
    sums = metrics.by_track[row.track]
    assert round(sums.waiting_s * 1e9) == group.waiting_ns
    assert round(sums.ready_s * 1e9) == group.ready_ns
    (track,) = [one for one in trace.tracks if one.id == row.track]
    assert track.name == "waits"
    lanes = {one.track: one.name for one in Trace.of(trace).report().lanes}
    assert lanes[track.id] == f"waits × {group.members}"
    assert {one.reason for one in track.states} == {"merged"}
    assert np.sum(trace.flights.end_ns - trace.flights.start_ns) == sum(b - a for a, b in lives(group))
    assert State.WAITING in {one.state for one in track.states}
    assert "share one lane" in " ".join(Trace.of(trace).report().footer)
