"""Run a cell that awaits as a task of its own, on the loop that is running, and end what it made there.

KeyboardInterrupt in a step would end the kernel's loop. So where a step of the cell holds the loop a signal
raises CancelledError; where the loop is idle it wakes it. Then the cell's own task is cancelled, as a plain
cell's is, and once that is over the others, each once: their `finally` may await as long as it needs. What a
CancelledError was raised in ends first, and hands it on to those that await it. A second signal cancels
again, and what has not ended in a moment is left behind.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from concmagic import sentences
from concmagic.cell import Outcome, Program
from concmagic.interpreter import asyncio_internals
from concmagic.interpreter.asyncio_internals import hide_task, show_task
from concmagic.options import Options
from concmagic.runners import tracebacks
from concmagic.runners.cell_tasks import CellTasks, Reached, cancel
from concmagic.runners.interrupt_raised_again import Again, Click, Clicks, may_raise_at
from concmagic.runners.interrupts import Interrupts
from concmagic.runners.pending_jobs import PendingJobs

OnTask = Callable[["asyncio.Task[Any]"], None]
_ASYNCIO = os.path.dirname(os.path.abspath(asyncio.__file__)) + os.sep
_NOTHING = object()


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


class StopTasks(Clicks):
    """What an interrupt does to a cell that awaits."""

    def __init__(self, cell_tasks: CellTasks) -> None:
        super().__init__()
        self._tasks = cell_tasks
        self._loop = cell_tasks.loop
        self._first: asyncio.Future[None] = self._loop.create_future()
        self._second: asyncio.Future[None] = self._loop.create_future()
        self._pending = PendingJobs()
        self._reached = Reached()
        self._cell: asyncio.Task[Outcome] | None = None

    @property
    def acted(self) -> bool:
        """Whether an interrupt came."""
        return self._last is not None

    async def until_over(self, task: asyncio.Task[Outcome]) -> None:
        """Wait until the cell's task has ended, or a second interrupt lets nobody wait for it."""
        self._cell = task
        await self._any_of(task, self._first)
        if self._first.done() and not task.done():
            await self._end(task)
        self._first.cancel()
        self._second.cancel()

    async def _end(self, task: asyncio.Task[Outcome]) -> None:
        """After the first interrupt: let the cell's task handle it, then the others."""
        while task not in self._reached and (reached := self._reached.pending()) and not self._second.done():
            await self._any_of(*reached, self._second)
        if task not in self._reached:
            cancel(task)
        await self._any_of(task, self._second)
        if task.done() and not _is_cancelled(task):  # the cell has caught it: its tasks are its own
            return
        self._pending.cancel()
        waiting = self._tasks.pending()
        for each in waiting:
            if each not in self._reached and not each.cancelling():  # else it is on its way out
                cancel(each)
        while waiting and not self._second.done():
            await self._any_of(*waiting, self._second)
            waiting = {each for each in waiting if not each.done()}
        if waiting:
            await self._tasks.cancel_and_wait()

    async def _any_of(self, *futures: asyncio.Future[Any]) -> None:
        either = set(futures)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    def where(self, task: asyncio.Task[Outcome], error: BaseException | None) -> BaseException | None:
        """The error of the cell; else an exception whose traceback shows where the cell was ended."""
        if error is not None or task.done():
            return error
        return asyncio.CancelledError().with_traceback(tracebacks.of_frames(_awaiting_frames(task)))

    def _strike(self, click: Click, frame: types.FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._request, click)
        task = asyncio.current_task(self._loop)
        of_cell = task is not None and task in self._tasks
        if of_cell and task is not self._cell and click.is_fresh:
            return  # the loop cancels it in a moment, with the cell; both would cut its clean-up
        if may_raise_at(frame, click) and may_raise_in_step(frame, of_cell):
            if task is not None:
                self._reached.raised_in(task, self._tasks.pending())
            click.error = asyncio.CancelledError()
            raise click.error

    def _strike_again(self, click: Click, found: Again, frame: types.FrameType | None) -> None:
        if isinstance(found.error, asyncio.CancelledError):
            found.strike()

    def _request(self, click: Click) -> None:
        if not click.is_told:
            click.is_told = True
            asked = self._second if self._first.done() else self._first
            if not asked.done():
                asked.set_result(None)


def _is_cancelled(task: asyncio.Task[Outcome]) -> bool:
    return task.cancelled() or isinstance(task.result().error, asyncio.CancelledError)


def may_raise_in_step(frame: types.FrameType | None, of_cell: bool) -> bool:
    """Whether the code that holds the loop is the cell's: its task, or a callback written in the notebook."""
    if frame is None or tracebacks.is_ours(frame) or _is_asyncio(frame):
        return False  # in the loop's own bookkeeping, where it would be lost; the signal comes again
    while frame is not None and not _is_loop(frame):
        if of_cell or frame.f_globals.get("__name__") == "__main__":
            return True
        frame = frame.f_back
    return False


def _is_loop(frame: types.FrameType) -> bool:
    return frame.f_code.co_name in asyncio_internals.LOOP_METHODS[:2] and _is_asyncio(frame)


def _is_asyncio(frame: types.FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_ASYNCIO)


def _awaiting_frames(task: asyncio.Task[Any]) -> list[types.FrameType]:
    """The frames that a suspended task would raise through, outermost first."""
    frames = []
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        frames.append(frame)
        awaited = awaited.cr_await
    return frames
