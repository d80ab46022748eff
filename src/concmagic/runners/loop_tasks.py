"""Run a loop body as asyncio tasks, one per item, on the loop that is running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from concmagic.recording.tasks import task_recorder as recorded
from concmagic.runners.loop_jobs import Job, LoopRun
from concmagic.runners.tracebacks import explain_unbound

Body = Callable[[Any], Coroutine[Any, Any, Any]]


async def run_in_tasks(
    run: LoopRun, jobs: Iterator[Job] | AsyncIterator[Job], body: Body, limit: int | None, file: str
) -> None:
    """Run every item, at most `limit` in flight; what became of them is in `run`.

    When an item fails the others are cancelled, and when this is cancelled itself, all are; either way it
    ends only when they have.
    """
    group = _Tasks(run, body, limit, file)
    try:
        await group.feed(jobs)
    finally:
        await group.settle()
        if isinstance(jobs, AsyncGenerator):
            await jobs.aclose()


class ItemCoroutine(Coroutine[Any, Any, Any]):
    """The body's coroutine for one item, as asyncio sees it: the job knows when it begins and how it ends.

    A task that lets SystemExit out would end the kernel's loop: that goes no further than the job. This is no
    `async def`, so that whoever looks at the task finds the body's own code and frames, and none of ours.
    """

    def __init__(self, inner: Any, job: Job, tasks: _Tasks) -> None:
        self._inner = inner
        self._job = job
        self._tasks = tasks
        self.__name__ = inner.__name__
        self.__qualname__ = inner.__qualname__

    cr_code = property(lambda self: self._inner.cr_code)
    cr_frame = property(lambda self: self._inner.cr_frame)
    cr_await = property(lambda self: self._inner)
    cr_running = property(lambda self: self._inner.cr_running)
    cr_origin = property(lambda self: self._inner.cr_origin)
    cr_suspended = property(lambda self: self._inner.cr_suspended)

    def send(self, value: Any) -> Any:
        """Resume the body."""
        if self._job.started_ns is None:
            self._begin()
        try:
            return self._inner.send(value)
        except BaseException as error:
            self._end(error)

    def throw(self, error: Any, value: Any = None, traceback: Any = None, /) -> Any:
        """Resume the body with an exception, which is how a task is cancelled."""
        try:
            return self._inner.throw(error)
        except BaseException as raised:
            self._end(raised)

    def close(self) -> None:
        """End the body where it stands."""
        self._inner.close()

    def __await__(self) -> Any:
        return self

    def _begin(self) -> None:
        self._job.begin()
        self._job.task = recorded.number_of()

    def _end(self, error: BaseException) -> None:
        """Note how the body ended: it returned, was cancelled or failed."""
        self._tasks.leaves()
        job = self._job
        if isinstance(error, StopIteration):
            job.end(error.value)
            raise StopIteration
        if isinstance(error, asyncio.CancelledError) and (self._tasks.cancelling or _is_cancelled()):
            job.cancel()
            raise error
        job.end(None, error)
        explain_unbound(error, self._tasks.file)
        self._tasks.failed(job)
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            raise StopIteration
        raise error


class _Tasks:
    """The tasks of one loop."""

    def __init__(self, run: LoopRun, body: Body, limit: int | None, file: str) -> None:
        self._run = run
        self._body = body
        self._limit = limit
        self.file = file
        self._running: set[asyncio.Task[Any]] = set()
        self._feeder = asyncio.current_task()
        self._reading = False  # the feeder waits for the next item of an asynchronous iterable
        self._interrupting = False  # and was cancelled by us, because an item failed
        self._changed: asyncio.Future[None] | None = None
        self.cancelling = False

    async def feed(self, jobs: Iterator[Job] | AsyncIterator[Job]) -> None:
        """Start a task for each item as long as there is room, then wait for all."""
        if isinstance(jobs, AsyncIterator):
            while (job := await self._next(jobs)) is not None:
                self._start(job)
                await self._room()
        else:
            for job in jobs:
                self._start(job)
                await self._room()
        while self._running:
            await self._change()

    def failed(self, job: Job) -> None:
        """Called in a task's last step: after a failure nothing new starts, and what runs is cancelled."""
        self._run.ended(job)
        if self._run.stopped and not self.cancelling:
            self._cancel_all()
            if self._reading and self._feeder is not None:
                self._interrupting = True
                self._feeder.cancel()

    async def settle(self) -> None:
        """Cancel what still runs and wait for its end."""
        self._run.stopped = True
        while self._running:
            if not self.cancelling:
                self._cancel_all()
            await self._change()

    async def _next(self, jobs: AsyncIterator[Job]) -> Job | None:
        self._reading = True
        try:
            return await anext(jobs, None)
        except asyncio.CancelledError:
            # Ours, unless somebody else has cancelled the cell as well.
            if self._interrupting and self._feeder is not None and not self._feeder.uncancel():
                return None
            raise
        finally:
            self._reading = False

    def _start(self, job: Job) -> None:
        coroutine = ItemCoroutine(self._body(job.item), job, self)
        task = asyncio.create_task(coroutine, name=job.label)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def _room(self) -> None:
        while self._limit is not None and len(self._running) >= self._limit:
            await self._change()

    async def _change(self) -> None:
        self._changed = asyncio.get_running_loop().create_future()
        await self._changed

    def leaves(self) -> None:
        """Called in a task's last step: who waits for it is woken now, not by a later turn of the loop."""
        task = asyncio.current_task()
        if task in self._running:
            self._running.discard(task)
            self._tell()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # the job has it: asyncio need not say that nobody asked
        if task in self._running:
            self._running.discard(task)
            self._tell()

    def _tell(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _cancel_all(self) -> None:
        self.cancelling = True
        own = asyncio.current_task()
        for task in self._running:
            if task is not own:
                task.cancel()


def _is_cancelled() -> bool:
    """Whether somebody has cancelled the task that runs, rather than it having awaited one that was."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
