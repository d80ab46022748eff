"""Calls are recorded on after an exception was thrown into nested coroutines and caught there."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Awaitable, Callable

import pytest

from concmagic.recording import profiles
from concmagic.recording.calls.call_recorder import CallRecorder
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import RawCalls, TaskLog

Program = Callable[[], Awaitable[None]]


def afterwards() -> None:
    """What must be among the calls, whatever was thrown before."""


async def times_out() -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()


async def is_cancelled() -> None:
    asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)  # type: ignore[union-attr]
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


async def cancels_itself() -> None:
    asyncio.current_task().cancel()  # type: ignore[union-attr]
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


async def awaits_what_failed() -> None:
    async def fails() -> None:
        raise ValueError("awaited")

    with contextlib.suppress(ValueError):
        await asyncio.create_task(fails())


async def two_deep(program: Program) -> None:
    async def around() -> None:
        await program()

    await around()
    afterwards()
    await asyncio.sleep(0)
    afterwards()


def recorded(program: Program, budget: int = 300_000) -> tuple[RawCalls, TaskLog]:
    async def main() -> None:
        await asyncio.create_task(two_deep(program))

    tasks, calls = TaskRecorder(), CallRecorder("auto", budget)
    tasks.start()
    calls.start()
    try:
        asyncio.run(main())
    finally:
        seen, log = calls.stop(), tasks.stop()
    assert seen is not None
    assert profiles.unrecorded == []
    return seen, log


PROGRAMS = [times_out, is_cancelled, cancels_itself, awaits_what_failed]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_what_is_called_after_a_throw_is_recorded(program: Program) -> None:
    calls, log = recorded(program)
    assert (calls.problems, log.problems) == ((), ())
    assert {"afterwards", "two_deep"} <= {code.name for code in calls.codes.values()}
    (task,) = [task for task in log.tasks if task.coroutine == "two_deep"]
    assert (task.outcome, len(task.steps)) == ("returned", 3)
    # The one that began with the exception; the main task's is none, and from 3.12 all are recorded.
    assert calls.left_out == (1 if sys.version_info < (3, 12) else 0)


def test_a_recording_that_ends_within_such_a_step_leaves_the_next_one_whole() -> None:
    async def uses_the_budget_up() -> None:
        await awaits_what_failed()
        watcher = threading.Thread(target=calls._halt_at_budget)  # in the middle of the step
        watcher.start()
        watcher.join()

    tasks, calls = TaskRecorder(), CallRecorder("auto")
    tasks.start()
    calls.start()
    asyncio.run(two_deep(uses_the_budget_up))
    assert calls.stop() is not None
    tasks.stop()
    assert profiles.unrecorded == []
    assert sys.getprofile() is None
    seen, _ = recorded(times_out)
    assert "afterwards" in {code.name for code in seen.codes.values()}
