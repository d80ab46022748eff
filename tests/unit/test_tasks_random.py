"""Programs made at random: they run as without the recorder, and what is recorded fits together."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_tasks import check

from concmagic.recording.tasks.recorder import TaskRecorder

THINGS = 3
ACTIONS = st.one_of(
    st.tuples(st.just("yield"), st.just(0)),
    st.tuples(st.just("sleep"), st.just(0)),
    st.tuples(
        st.sampled_from(["lock", "put", "get", "set", "wait", "cancel", "soon"]), st.integers(0, THINGS - 1)
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


@settings(max_examples=60, deadline=None)
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
