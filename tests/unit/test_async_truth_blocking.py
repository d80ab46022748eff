"""A step that holds its loop and computes nothing is BLOCKING, by the thread's CPU clock alone."""

from __future__ import annotations

import asyncio
import os
import pathlib
import sqlite3
import threading
import time

import pytest
from async_truth import order, traced, track
from tests.trace_text import said

from concmagic.analysis.event_loops import steps_of
from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.import_calls import BlockedCall
from concmagic.importing.tasks.import_tasks import as_thread
from concmagic.importing.tasks.step_states import StepClocks, StepStates, ThreadEvidence
from concmagic.model.trace import State, StateInterval, Track
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import LongStep

MS = 1_000_000


def spent(trace, name: str) -> dict[State, int]:  # type: ignore[no-untyped-def]
    """Nanoseconds in each state of a track."""
    found = dict.fromkeys(State, 0)
    for one in track(trace, name).states:
        found[one.state] += one.length_ns
    return found


def test_sleeping_in_a_coroutine_is_blocking() -> None:
    async def blocker() -> None:
        time.sleep(0.05)

    async def main() -> None:
        await asyncio.create_task(blocker())

    found = spent(traced(main), "blocker")
    assert found[State.BLOCKING] >= 40 * MS
    assert found[State.UNKNOWN] == 0


def test_computing_is_running() -> None:
    async def computes() -> None:
        until = time.thread_time_ns() + 30 * MS
        while time.thread_time_ns() < until:
            pass

    async def main() -> None:
        await asyncio.create_task(computes())

    found = spent(traced(main), "computes")
    assert found[State.RUNNING] >= 29 * MS
    assert found[State.BLOCKING] < 5 * MS


def test_a_database_that_waits_inside_c_is_blocking(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "db"
    holder, other = sqlite3.connect(path), sqlite3.connect(path, timeout=0.05)
    holder.execute("create table t(x)")
    holder.execute("begin exclusive")

    async def queries() -> None:
        with pytest.raises(sqlite3.OperationalError):
            other.execute("insert into t values(1)")

    async def main() -> None:
        await asyncio.create_task(queries())

    found = spent(traced(main), "queries")
    holder.close()
    other.close()
    assert found[State.BLOCKING] >= 30 * MS


def test_only_the_blocking_task_blocks() -> None:
    async def blocker() -> None:
        time.sleep(0.02)

    async def quick() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(quick(), blocker(), quick())

    trace = traced(main)
    assert State.BLOCKING not in order(trace, "quick-1")
    assert State.BLOCKING in order(trace, "blocker")
    loop = next(one for one in trace.tracks if one.kind == "loop")
    assert [said(trace, one) for one in loop.states if one.state is State.BLOCKING] == ["blocker"]


def test_no_descriptor_stays_open() -> None:
    async def main() -> None:
        time.sleep(0.002)

    if not pathlib.Path("/proc/self/fd").exists():
        return
    asyncio.run(main())
    before = set(os.listdir("/proc/self/fd"))
    recorder = TaskRecorder()
    recorder.start()
    asyncio.run(main())
    assert len(recorder.stop().long_steps) == 1
    assert set(os.listdir("/proc/self/fd")) <= before  # what else was open may be closed meanwhile


def refined(evidence: ThreadEvidence, cpu: int, core: int = 0) -> list[tuple[State, str, int]]:
    """A step from 10 to 60 ms of which nothing else is known."""
    clocks = StepClocks({7: evidence})
    clocks.add([LongStep(7, 10 * MS, 60 * MS, cpu * MS, core * MS)], CellClock(0, 100 * MS))
    states = [StateInterval(10 * MS, 60 * MS, State.UNKNOWN)]
    told = clocks.refine(7, 10 * MS, 60 * MS, states, "")
    assert (told[0].start_ns, told[-1].end_ns) == (10 * MS, 60 * MS)
    return [(one.state, one.reason, one.length_ns // MS) for one in told]


def test_what_was_not_computed_is_blocking_where_nobody_else_had_the_gil() -> None:
    assert refined(ThreadEvidence(others_cpu_ns=0), 10) == [
        (State.RUNNING, "", 10),
        (State.BLOCKING, "a call", 40),
    ]


def test_what_others_may_have_had_the_gil_for_is_not_called_blocking() -> None:
    assert refined(ThreadEvidence(others_cpu_ns=100 * MS), 10) == [
        (State.RUNNING, "", 10),
        (State.UNKNOWN, "GIL or blocked", 40),
    ]
    assert refined(ThreadEvidence(others_cpu_ns=None), 50) == [(State.RUNNING, "", 50)]


def test_samples_tell_the_gil_and_the_rest_is_blocking() -> None:
    wanted = [StateInterval(10 * MS, 30 * MS, State.READY, "GIL")]
    known = ThreadEvidence(wanted=wanted, sampled_until=100 * MS, others_cpu_ns=None)
    assert refined(known, 10) == [
        (State.READY, "GIL", 20),
        (State.RUNNING, "", 10),
        (State.BLOCKING, "a call", 20),
    ]


def test_an_idle_loop_that_could_go_on_was_ready_and_in_no_step() -> None:
    """It waited for events until there was one, and then for a core: neither is its step."""
    wanted = [
        StateInterval(10 * MS, 18 * MS, State.READY, "core"),
        StateInterval(30 * MS, 40 * MS, State.READY, "GIL"),
    ]
    clocks = StepClocks({1: ThreadEvidence(wanted=wanted)})
    holds = [(0, 10 * MS, 7), (40 * MS, 50 * MS, 7)]
    states = StepStates({}, {1: 60 * MS}, clocks).of_loop(1, holds, 0, 60 * MS)
    assert [(one.state, one.reason, one.length_ns // MS) for one in states] == [
        (State.RUNNING, "", 10),
        (State.READY, "core", 8),
        (State.WAITING, "events", 12),
        (State.READY, "GIL", 10),
        (State.RUNNING, "", 10),
        (State.WAITING, "events", 10),
    ]
    loop = Track(1, "loop", "event loop", None, "work", 0, 60 * MS, tuple(states), native_id=1)
    assert list(steps_of(loop)) == [(0, 10 * MS, 7), (40 * MS, 50 * MS, 7)]
    assert State.READY not in {one.state for one in as_thread(states, 0)}  # the samples tell it


def test_waiting_for_a_core_is_not_blocking() -> None:
    assert refined(ThreadEvidence(others_cpu_ns=0), 30, core=20) == [
        (State.RUNNING, "", 30),
        (State.READY, "core", 20),
    ]


def test_a_long_call_in_no_table_is_named() -> None:
    call = BlockedCall(20 * MS, 50 * MS, "", "psycopg2.extensions.cursor.execute", "", 4)
    assert refined(ThreadEvidence([call], others_cpu_ns=0), 20) == [
        (State.RUNNING, "", 10),
        (State.BLOCKING, "psycopg2.extensions.cursor.execute", 30),
        (State.RUNNING, "", 10),
    ]


def test_wanting_the_gil_is_not_called_blocking() -> None:
    stop, began = threading.Event(), threading.Event()

    def computes() -> None:
        began.set()
        while not stop.is_set():
            pass

    async def shares() -> None:
        """Computes until it was kept from that for long enough, however the machine shares its cores."""
        begin, cpu_begin = time.monotonic_ns(), time.thread_time_ns()
        while time.monotonic_ns() - begin - (time.thread_time_ns() - cpu_begin) < 20 * MS:
            computed[0] = time.thread_time_ns() - cpu_begin

    async def main() -> None:
        thread = threading.Thread(target=computes)
        thread.start()
        began.wait()
        await asyncio.create_task(shares())
        stop.set()
        thread.join()

    computed = [0]
    found = spent(traced(main), "shares")
    assert found[State.RUNNING] >= computed[0] - MS
    assert found[State.BLOCKING] < 5 * MS
    assert found[State.UNKNOWN] + found[State.READY] >= 14 * MS  # the GIL or blocked; or it wanted a core
