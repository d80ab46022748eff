"""Programs made at random: they run as without the recorder, and what is recorded fits together."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from async_truth import traced_and_recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_tasks import check

from concmagic.importing.tasks.step_states import LOOP_OVERHEAD_NS
from concmagic.model.trace import State, StateInterval, Trace, Track
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import TaskLog

THINGS = 3
ACTIONS = st.one_of(
    st.tuples(st.just("yield"), st.just(0)),
    st.tuples(st.just("sleep"), st.just(0)),
    st.tuples(
        st.sampled_from(
            [
                *("lock", "put", "get", "set", "wait", "cancel", "soon", "gather", "group", "timeout"),
                *("shield", "by hand", "first", "stillborn"),
            ]
        ),
        st.integers(0, THINGS - 1),
    ),
    st.tuples(st.just("thread"), st.just(0)),
)
PROGRAMS = st.lists(st.lists(ACTIONS, max_size=6), min_size=1, max_size=5)


class Stage:
    """What the tasks of one program share, and what they did in which order."""

    def __init__(self) -> None:
        self.locks = [asyncio.Lock() for _ in range(THINGS)]
        self.queues: list[asyncio.Queue[int]] = [asyncio.Queue(1) for _ in range(THINGS)]
        self.events = [asyncio.Event() for _ in range(THINGS)]
        self.tasks: list[asyncio.Task[None]] = []
        self.order: list[tuple[int, int, str]] = []

    async def act(self, action: str, which: int) -> None:
        match action:
            case "yield":
                await asyncio.sleep(0)
            case "sleep":
                await asyncio.sleep(1e-6)
            case "lock":
                async with self.locks[which]:
                    await asyncio.sleep(0)
            case "put":
                await self.queues[which].put(1)
            case "get":
                await self.queues[which].get()
            case "set":
                self.events[which].set()
            case "wait":
                await self.events[which].wait()
            case "cancel":
                self.tasks[which % len(self.tasks)].cancel()
            case "soon":
                asyncio.get_running_loop().call_soon(self.events[which].set)
            case "gather":
                await asyncio.gather(self.events[which].wait(), asyncio.sleep(0))
            case "group":
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.events[which].wait())
                    await asyncio.sleep(0)
            case "timeout":
                async with asyncio.timeout(1_000):
                    await self.events[which].wait()
            case "shield":
                await asyncio.shield(self.events[which].wait())
            case "by hand":
                future: asyncio.Future[None] = asyncio.Future()
                asyncio.get_running_loop().call_soon(lambda: future.done() or future.set_result(None))
                await future
            case "first":
                waiting = [asyncio.create_task(one) for one in (self.events[which].wait(), asyncio.sleep(0))]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            case "stillborn":
                asyncio.create_task(asyncio.sleep(0)).cancel()
            case "thread":
                await asyncio.to_thread(int)

    async def play(self, number: int, actions: list[tuple[str, int]]) -> None:
        for index, (action, which) in enumerate(actions):
            await self.act(action, which)
            self.order.append((number, index, action))

    async def run(self, program: list[list[tuple[str, int]]]) -> None:
        self.tasks = [asyncio.create_task(self.play(n, actions)) for n, actions in enumerate(program)]
        for _ in range(60):  # after which all stand still, or wait for a timer or a thread
            await asyncio.sleep(0)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def timed(program: list[list[tuple[str, int]]]) -> bool:
    """Whether the order of its steps may differ from run to run."""
    return any(action in ("thread", "sleep") for actions in program for action, _ in actions)


async def played(program: list[list[tuple[str, int]]]) -> list[Any]:
    stage = Stage()
    await stage.run(program)
    outcomes = ["cancelled" if task.cancelled() else "returned" for task in stage.tasks]
    return [stage.order, outcomes]


@settings(max_examples=60)
@given(PROGRAMS)
def test_random_programs(program: list[list[tuple[str, int]]]) -> None:
    recorder = TaskRecorder()
    recorder.start()
    try:
        recorded = asyncio.run(played(program))
    finally:
        log = recorder.stop()
    assert log.problems == ()
    check(log)
    workers = [task for task in log.tasks if task.coroutine == "Stage.play"]
    assert [task.outcome for task in workers] == recorded[1]
    assert all(task.parent == 1 for task in workers)
    known = {task.number for task in log.tasks}
    for task in log.tasks:
        for wake in task.wakes:
            assert wake.cause != "unknown", (task, wake)
            assert wake.cause == "self" or (wake.wait is not None and wake.wait.reason), (task, wake)
            assert (wake.task in known) == (wake.cause == "task")
    if not timed(program):
        assert asyncio.run(played(program)) == recorded


@settings(max_examples=60)
@given(PROGRAMS)
def test_what_is_drawn_of_random_programs(program: list[list[tuple[str, int]]]) -> None:
    trace, log, start_ns = traced_and_recorded(lambda: played(program))
    by_id = {track.id: track for track in trace.tracks}
    (loop,) = [track for track in trace.tracks if track.kind == "loop"]
    tasks = [track for track in trace.tracks if track.kind == "task"]
    for track in (*tasks, loop):
        covered(track, trace.wall_ns)
    assert all(one.native_id == loop.native_id for one in tasks)
    assert all(by_id[one.parent or 0].kind in ("loop", "task") for one in tasks)
    one_at_a_time(tasks)
    ready_from_wakes(tasks, log, start_ns)
    results_of_what_has_ended(trace)
    sums_are_the_loops(tasks, loop, log)


def covered(track: Track, wall_ns: int) -> None:
    """States cover the track without gap or overlap."""
    at = track.start_ns
    for one in track.states:
        assert one.start_ns == at and one.end_ns > at, (track.name, one)
        at = one.end_ns
    assert at == (wall_ns if track.end_ns is None else track.end_ns), track.name


def holds(track: Track) -> list[StateInterval]:
    """The stretches in which a task's steps were taken, whatever its thread did in them."""
    return [
        one
        for one in track.states
        if one.state in (State.RUNNING, State.BLOCKING)
        or (one.state is State.READY and one.reason != "loop")
        or (one.state is State.UNKNOWN and one.reason)
    ]


def one_at_a_time(tasks: list[Track]) -> None:
    """At most one task of a loop is in a step."""
    steps = sorted((one.start_ns, one.end_ns) for track in tasks for one in holds(track))
    for (_, end), (begin, _) in pairwise(steps):
        assert end <= begin


def ready_from_wakes(tasks: list[Track], log: TaskLog, start_ns: int) -> None:
    """Whoever was ready had been woken right then; a sleeper also when its time was up."""
    wakes = {wake.at_ns - start_ns for task in log.tasks for wake in task.wakes}
    for track in tasks:
        for before, one in pairwise(track.states):
            if one.state is State.READY and one.reason == "loop":
                due = before.reason == "sleep" and any(one.start_ns < at <= one.end_ns for at in wakes)
                assert one.start_ns in wakes or due, (track.name, one)


def results_of_what_has_ended(trace: Trace) -> None:
    """Nobody gets a result twice in one wait, and none before there is one, or when it is over itself."""
    by_id = {track.id: track for track in trace.tracks}
    for flow in trace.flows:
        if flow.kind == "result" and by_id[flow.source].kind == "task":
            source, target = by_id[flow.source], by_id[flow.target]
            assert source.id != target.id
            assert source.end_ns is not None and flow.source_ns <= source.end_ns
            assert source.states[-1].start_ns <= flow.source_ns <= flow.target_ns
            assert target.end_ns is None or flow.target_ns <= target.end_ns


def sums_are_the_loops(tasks: list[Track], loop: Track, log: TaskLog) -> None:
    """Steps and callbacks make up the time in which the loop was busy, but for its own work between them."""
    shown = sum(one.length_ns for track in tasks for one in holds(track))
    hidden = [step for task in log.tasks if task.origin != "user" for step in task.steps]
    callbacks = [(begin, end) for begin, end, _ in log.loops[0].callbacks]
    held = shown + sum(end - begin for begin, end in (*hidden, *callbacks))
    busy = sum(one.length_ns for one in loop.states if one.state is not State.WAITING)
    steps = sum(len(task.steps) for task in log.tasks) + len(callbacks)
    assert held <= busy <= held + steps * LOOP_OVERHEAD_NS
