"""Run a cell that awaits: as a task of its own, on the loop that is running."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from concmagic import sentences
from concmagic.cell import Outcome, Program
from concmagic.interpreter.running_loops import hide_task, show_task
from concmagic.options import Options
from concmagic.runners.cell_tasks import CellTasks, StopTasks
from concmagic.runners.interrupts import Interrupts

OnTask = Callable[["asyncio.Task[Any]"], None]


async def run_async(
    program: Program, options: Options, settings: Any, on_task: OnTask | None = None
) -> Outcome:
    """Run the cell once. Never raises: what ends the cell is in the outcome.

    `on_task` is called with the cell's task before it takes its first step.
    """
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    cell_tasks = CellTasks(loop)
    # Not `create_task`: the user's task factory may start tasks at once, or make something else of them.
    task = asyncio.Task(_contained(program), loop=loop, context=context)
    try:
        if on_task is not None:
            on_task(task)
        stop = StopTasks(cell_tasks)
        with _uncounted(asyncio.current_task()), Interrupts(stop, options.timeout) as interrupts:
            outcome = await _outcome(task, stop)
            if settings.cancel_left_running:
                await cell_tasks.cancel_and_wait()
    except BaseException:  # of what is around the cell: it must not begin later, beside or instead of this
        task.cancel()
        raise
    _take_over(context)
    if not interrupts.reason or not stop.acted:
        return outcome
    if task.done() and not isinstance(outcome.error, asyncio.CancelledError):
        return replace(outcome, handled=tuple(interrupts.came))
    return Outcome(error=interrupts.ended(stop.where(task, outcome.error)))


async def _contained(program: Program) -> Outcome:
    """A task that raised SystemExit or KeyboardInterrupt would end the kernel's loop."""
    try:
        return Outcome(await program.run())
    except BaseException as error:
        if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
            error.add_note(sentences.STOP_ITERATION_LEFT)
        return Outcome(error=error)


async def _outcome(task: asyncio.Task[Outcome], stop: StopTasks) -> Outcome:
    try:
        await stop.until_over(task)
        return task.result() if task.done() else Outcome()
    except asyncio.CancelledError as error:  # of the task before its first step, or of the kernel's task
        task.cancel()
        return Outcome(error=error)


@contextmanager
def _uncounted(task: asyncio.Task[Any] | None) -> Iterator[None]:
    """Take the kernel's task for this cell, which a plain cell would run in, out of `asyncio.all_tasks()`."""
    if task is None:
        yield
        return
    hide_task(task)
    try:
        yield
    finally:
        show_task(task)


def _take_over(context: contextvars.Context) -> None:
    """What the cell did to context variables is as visible afterwards as it is after a plain cell."""
    for variable, value in context.items():
        if variable.get(_NOTHING) is not value:
            variable.set(value)


_NOTHING = object()
