"""The tasks that a cell makes on the loop that runs it: which they are, and how they are cancelled once.

A CancelledError goes from a task to the one that awaits it. Where an interrupt has raised one, whoever it
reaches must not be cancelled as well: that would cut what it awaits in its `finally`.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from concmagic.code_owner import KERNEL, is_of
from concmagic.interpreter import asyncio_internals
from concmagic.runners.interrupt_raised_again import GRACE_S


class CellTasks:
    """Which tasks of a loop belong to the cell: made since now, and not by the kernel for its messages.

    To cancel one of those would end the kernel.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._before = asyncio.all_tasks(loop)

    def pending(self) -> set[asyncio.Task[Any]]:
        """Those that have not ended."""
        return {task for task in asyncio.all_tasks(self.loop) if task in self}

    def __contains__(self, task: object) -> bool:
        return isinstance(task, asyncio.Future) and task not in self._before and not _is_kernels(task)

    async def cancel_and_wait(self) -> None:
        """Cancel them, give them a moment to end, and leave those that do not."""
        waiting = self.pending()
        for task in waiting:
            cancel(task)
        if waiting:
            _, waiting = await asyncio.wait(waiting, timeout=GRACE_S)
        for task in waiting:
            cancel(task)

    def cancel(self) -> None:
        """Cancel them; they end when the loop runs next."""
        for task in self.pending():
            cancel(task)


class Reached:
    """The tasks that an interrupt's CancelledError has come to: where it was raised, and who awaits that."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._awaited: dict[asyncio.Task[Any], Any] = {}

    def raised_in(self, task: asyncio.Task[Any], others: set[asyncio.Task[Any]]) -> None:
        """Note where it is about to be raised; all the others are suspended, and tell what they await."""
        self._tasks.add(task)
        instead = {id(future): each for each in others for future in _called_instead(each)}
        for each in others:
            awaited = asyncio_internals.awaited(each)
            self._awaited[each] = instead.get(id(awaited), awaited)

    def __contains__(self, task: asyncio.Task[Any]) -> bool:
        return task in self._tasks or _is_cancelled(self._awaited.get(task))

    def pending(self) -> set[asyncio.Task[Any]]:
        """Those that have not ended."""
        return {task for task in {*self._tasks, *self._awaited} if task in self and not task.done()}


def _is_cancelled(future: Any) -> bool:
    """Whether who awaits it gets a CancelledError; `gather` has one as its error."""
    if future is None or not future.done():
        return False
    return future.cancelled() or isinstance(asyncio_internals.error_of(future), asyncio.CancelledError)


def _called_instead(task: asyncio.Task[Any]) -> list[Any]:
    """What `wait_for` of Python 3.11 awaits in place of a task, which calls it done by a partial."""
    calls = (callback for callback, _ in asyncio_internals.callbacks(task))
    given = [call.args for call in calls if isinstance(call, functools.partial)]
    return [future for arguments in given for future in arguments if asyncio.isfuture(future)]


def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task, also one of a circle that await each other: asyncio would go round it for ever."""
    try:
        task.cancel()
    except RecursionError:
        _wake_cancelled(task)


def _wake_cancelled(task: asyncio.Task[Any]) -> None:
    """Wake a task as if what it awaits had been cancelled, and leave that alone."""
    awaited: Any = asyncio_internals.awaited(task)
    for callback, context in asyncio_internals.callbacks(awaited):
        if getattr(callback, "__self__", None) is task:
            awaited.remove_done_callback(callback)
            instead = task.get_loop().create_future()
            instead.cancel()
            task.get_loop().call_soon(callback, instead, context=context)


def _is_kernels(task: asyncio.Future[Any]) -> bool:
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
    return code is not None and is_of(KERNEL, code.co_filename)
