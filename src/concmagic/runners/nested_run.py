"""Run an event loop on inside one of its own callbacks, and leave it as the outer run expects it.

The outer run counts the callbacks of its round before it begins and takes that many from the queue: so at
the end at least those are there that were there at the beginning. The task whose step this is must not be the
current one meanwhile, or no other could take a step.

Steps of the kernel's own tasks wait until the end: the next cell must not begin inside this one, and several
of them share one context, which cannot be entered twice. Its sockets are read, so that nothing spins.

An interrupt is not raised in the loop's bookkeeping, where a callback taken from the queue would be lost,
perhaps one of the kernel's: it is raised between two rounds.
"""

from __future__ import annotations

import asyncio
import functools
import types
from asyncio import events
from collections import deque
from collections.abc import Iterable
from typing import Any

from concmagic.code_owner import is_of
from concmagic.interpreter import asyncio_internals
from concmagic.interpreter.task_steps import RUN_CODES
from concmagic.runners.async_cell import may_raise_in_step

_RUNS_CELLS = ("ipykernel", "IPython")  # not tornado: servers of the user's are made of it


class HiddenTasks:
    """The kernel's own tasks on a loop, kept out of `asyncio.all_tasks()`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._hidden: list[asyncio.Task[Any]] = []

    def hide_all(self) -> None:
        """Hide the kernel's tasks that there are now."""
        for task in asyncio.all_tasks(self._loop):
            if _is_kernels(task):
                self.hide(task)

    def hide(self, task: asyncio.Task[Any]) -> None:
        """Hide one task of the kernel's."""
        asyncio_internals.hide_task(task)
        self._hidden.append(task)

    def show_all(self) -> None:
        """Show those hidden tasks again that have not ended."""
        while self._hidden:
            task = self._hidden.pop()
            if not task.done():
                asyncio_internals.show_task(task)


class NestedRun:
    """One run of a loop inside a callback of its own; `kernel_stops`: the outer run is to end, too."""

    def __init__(self, loop: Any, hidden: HiddenTasks, by_tornado: bool) -> None:
        self._loop = loop
        self._hidden = hidden
        self._interrupted = False
        self.by_tornado = by_tornado  # started by `IOLoop.start`, which ends it by `IOLoop.stop`
        self.kernel_stops = asyncio_internals.is_stopping(loop)

    def run(self) -> None:
        """Run until the loop is stopped, or an exception ends it that ends loops."""
        loop = self._loop
        outer: deque[events.Handle] = asyncio_internals.ready_of(loop)
        expected, task = len(outer), asyncio.current_task(loop)
        if task is not None:
            asyncio_internals.leave_task(loop, task)
        ready = _Ready(outer, self._hidden)
        asyncio_internals.set_ready(loop, ready)
        try:
            self._rounds(ready)
        finally:
            asyncio_internals.set_ready(loop, outer)
            ready.close()
            while len(outer) < expected:
                outer.append(_nothing(loop))
            asyncio_internals.set_stopping(loop, self.kernel_stops)
            if task is not None:
                asyncio_internals.enter_task(loop, task)

    def defers(self, frame: types.FrameType | None) -> bool:
        """Whether an interrupt in this frame is raised later, as it was not met in code of the cell's."""
        if may_raise_in_step(frame, asyncio.current_task(self._loop) is not None) or _is_in_c_function(frame):
            return False
        self._interrupted = True
        asyncio_internals.wake(self._loop)
        return True

    def _rounds(self, ready: _Ready) -> None:
        while True:
            ready.take_over()
            asyncio_internals.run_once(self._loop)
            self.raise_interrupt()
            if asyncio_internals.is_stopping(self._loop):
                return

    def raise_interrupt(self) -> None:
        """Raise what was deferred."""
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt


class _Ready(deque[events.Handle]):
    """The queue of a loop during a nested run: the kernel's tasks wait aside."""

    def __init__(self, outer: deque[events.Handle], hidden: HiddenTasks) -> None:
        super().__init__()
        self._outer = outer
        self._hidden = hidden
        self._aside: deque[events.Handle] = deque()
        self._fresh: list[asyncio.Task[Any]] = []  # made just now: to be hidden
        self._open = True

    def take_over(self) -> None:
        """Take what another thread has put into the outer queue, as it knew no other."""
        while self._outer:
            self.append(self._outer.popleft())

    def close(self) -> None:
        """Give everything back, the kernel's first; what arrives from now on goes there, too."""
        self._open = False
        self._outer.extendleft(reversed(self._aside))
        while self:
            self._outer.append(super().popleft())

    def append(self, handle: events.Handle) -> None:
        """Add a callback; every way in comes here."""
        task: Any = getattr(asyncio_internals.callback_of(handle), "__self__", None)
        if not self._open:
            self._outer.append(handle)
        elif isinstance(task, asyncio.Task) and _is_kernels(task):
            self._aside.append(handle)
            self._fresh.append(task)
        else:
            super().append(handle)

    def extend(self, handles: Iterable[events.Handle]) -> None:
        """Add several."""
        for handle in handles:
            self.append(handle)

    def __iadd__(self, handles: Iterable[events.Handle]) -> _Ready:
        self.extend(handles)
        return self

    def popleft(self) -> events.Handle:
        """Take the next, after what may ask for all tasks must not see the kernel's."""
        while self._fresh:
            self._hidden.hide(self._fresh.pop())
        return super().popleft()


def _is_kernels(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and _is_of_kernel(code.co_filename)


@functools.cache
def _is_of_kernel(file: str) -> bool:
    return is_of(_RUNS_CELLS, file)


def _is_in_c_function(frame: types.FrameType | None) -> bool:
    """Whether the loop itself has called a function written in C, as `call_soon(time.sleep, 1)` has it."""
    if frame is None or frame.f_code not in RUN_CODES:
        return False
    callback: Any = asyncio_internals.running_callback(frame)
    while isinstance(callback, functools.partial):
        callback = callback.func
    return isinstance(callback, types.BuiltinFunctionType) and isinstance(callback.__self__, types.ModuleType)


def _nothing(loop: Any) -> events.Handle:
    handle = events.Handle(int, (), loop)
    handle.cancel()
    return handle
