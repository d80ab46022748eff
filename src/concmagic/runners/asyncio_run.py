"""`asyncio.run(main())` in a cell, while the kernel's own loop is the running one.

asyncio forbids a second loop in a thread whose loop is running, and the kernel's always is. So, only while
a loop of the cell's own runs in this thread, the kernel's loop and task are not the running ones. Everything
else of the cell sees them as a plain cell does: `create_task` before `asyncio.run` lands on the kernel's.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import sys
import types
from asyncio import base_events, runners, tasks
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from concmagic.interpreter import borrowing, known_functions
from concmagic.interpreter.asyncio_internals import (
    CHECK_RUNNING,
    LOOP_METHODS,
    RUNNING_LOOP,
    UVLOOPS_ASYNCIO,
    UVLOOPS_IDLE,
    asked_of,
    enter_task,
    leave_task,
    set_running_loop,
    signal_handler,
)
from concmagic.interpreter.borrowing import on_import, running_loop
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.runners.kernel_loop import KernelLoop, kernel_loop_of_the_cell

# Whose frames an idle loop has: `select`, the loop's own methods, ours (""), the runner. uvloop's has none
# but for an empty function that it calls to have Python look at its signals.
_IDLE = (
    "selectors",
    base_events.__name__,
    "asyncio.unix_events",
    "asyncio.windows_events",
    "",
    runners.__name__,
    UVLOOPS_IDLE,
)


@contextmanager
def loops_of_the_cell() -> Iterator[KernelLoop | None]:
    """Allow loops of the cell's own in this thread until the block ends; outside of a loop, do nothing.

    The kernel's own, too, may be run by the cell: the block is given what stands for it.
    """
    kernel_loop = borrowing.running_loop()
    if kernel_loop is None:
        yield None
        return
    with _put_back(kernel_loop), ExitStack() as patches:
        loop_class = base_events.BaseEventLoop
        patches.enter_context(_replaced(loop_class, "run_forever", _stepping_aside(kernel_loop)))
        patches.enter_context(_replaced(loop_class, CHECK_RUNNING, _stepping_aside(kernel_loop)))
        patches.enter_context(_replaced(loop_class, "run_until_complete", _where_it_belongs(kernel_loop)))
        patches.enter_context(_replaced(runners, "events", lambda real: _StandIn(real, kernel_loop)))
        if sys.version_info >= (3, 14):
            patches.enter_context(_replaced(tasks, "events", _events_for_gather(kernel_loop)))
        patches.enter_context(on_import("uvloop", lambda uvloop: _allow_uvloop(uvloop, kernel_loop, patches)))
        patches.enter_context(on_import("anyio", lambda anyio: _allow_anyio(anyio, kernel_loop, patches)))
        yield patches.enter_context(kernel_loop_of_the_cell(kernel_loop))


def _allow_uvloop(uvloop: Any, kernel_loop: asyncio.AbstractEventLoop, patches: ExitStack) -> None:
    """Let uvloop's loops run inside the cell: they share no code with asyncio's."""
    if not hasattr(uvloop, "Loop"):
        return
    patches.enter_context(_replaced(uvloop.Loop, "run_forever", _stepping_aside(kernel_loop)))
    if hasattr(uvloop, UVLOOPS_ASYNCIO):
        patches.enter_context(_replaced(uvloop, UVLOOPS_ASYNCIO, lambda real: _StandIn(real, kernel_loop)))


def _allow_anyio(anyio: Any, kernel_loop: asyncio.AbstractEventLoop, patches: ExitStack) -> None:
    """Its `run` asks by itself whether a loop runs."""
    if hasattr(anyio, "run"):
        patches.enter_context(_replaced(anyio, "run", _stepping_aside(kernel_loop)))


def on_a_loop_of_its_own(run: Callable[[], Any]) -> Any:
    """Run a coroutine function to its end on a new loop; call it inside `loops_of_the_cell`."""

    async def main() -> Any:
        return await run()

    return asyncio.run(main())


def cancels_main_task(frame: types.FrameType | None) -> bool:
    """Let a loop that stands idle under `asyncio.run` do what a script's does about its first interrupt.

    It cancels its main task, and answers the interrupt as that answers: `False` where there is no such loop,
    where it knows already, or where a step holds it, which a script would let run to its end.
    """
    runner = _idle_runner(frame)
    if runner is None:
        return False
    task = known_functions.main_task(runner)
    on_signal = signal_handler(known_functions.owner(runner))
    if on_signal is None or task is None or task.done():
        return False
    on_signal(signal.SIGINT, frame, task)
    return True


def _idle_runner(frame: types.FrameType | None) -> types.FrameType | None:
    """The frame of `Runner.run` whose loop waits for something to do."""
    while frame is not None and _module(frame) in _IDLE:
        if _module(frame) == runners.__name__:
            return frame if known_functions.is_runners_run(frame) else None
        if _module(frame) == base_events.__name__ and frame.f_code.co_name not in LOOP_METHODS:
            return None
        frame = frame.f_back
    return None


def _module(frame: types.FrameType) -> str:
    name = str(frame.f_globals.get("__name__", ""))
    return "" if name.startswith("concmagic.") else name


class _StandIn(types.ModuleType):
    """`asyncio.events` as `asyncio.runners` sees it: the kernel's loop is not running.

    A runner also makes its loop this thread's current one and leaves None there; the kernel's must stay.
    """

    def __init__(self, real: types.ModuleType, kernel_loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(real.__name__)
        self._real = real
        self._kernel_loop = kernel_loop
        setattr(self, RUNNING_LOOP, self._asked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _asked(self) -> asyncio.AbstractEventLoop | None:
        running: asyncio.AbstractEventLoop | None = asked_of(self._real)
        return None if running is self._kernel_loop else running

    def set_event_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        if asked_of(self._real) is not self._kernel_loop:
            self._real.set_event_loop(loop)


def _events_for_gather(kernel_loop: asyncio.AbstractEventLoop) -> Callable[[types.ModuleType], Any]:
    """Make `asyncio.events` as `asyncio.tasks` sees it: for `gather` of another loop's futures none runs.

    It takes the running loop for theirs, as nothing else there does; a runner ends with one, too. All else is
    copied: every `sleep` looks something up here.
    """

    def make(real: types.ModuleType) -> types.ModuleType:
        def asked() -> Any:
            running = asked_of(real)
            if running is not kernel_loop:
                return running
            given = known_functions.gathered(getframe(1))
            elsewhere = any(asyncio.isfuture(each) and each.get_loop() is not running for each in given)
            return None if elsewhere else running

        stand_in = types.ModuleType(real.__name__)
        vars(stand_in).update(vars(real), **{RUNNING_LOOP: asked})
        return stand_in

    return make


def _where_it_belongs(kernel_loop: Any) -> Callable[[Any], Any]:
    """Make `run_until_complete` run the kernel's loop for a task that is the kernel's.

    A script makes another loop the current one, and `ensure_future` or `gather` puts the task there; in a
    notebook they put it on the loop that is running.
    """

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def run_until_complete(self: Any, future: Any) -> Any:
            is_kernels = asyncio.isfuture(future) and future.get_loop() is kernel_loop
            if is_kernels and running_loop() is kernel_loop:
                self = kernel_loop
            return original(self, future)

        return run_until_complete

    return wrap


def _stepping_aside(kernel_loop: asyncio.AbstractEventLoop) -> Callable[[Any], Any]:
    """Make a wrapper for a function that runs a loop: meanwhile the kernel's does not run in this thread."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def function(first: Any, /, *args: Any, **options: Any) -> Any:
            if first is kernel_loop or running_loop() is not kernel_loop:
                return original(first, *args, **options)
            with _aside(kernel_loop):
                return original(first, *args, **options)

        return function

    return wrap


@contextmanager
def _put_back(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """An interrupt may have struck in the middle of the change from one loop to the other."""
    task = asyncio.current_task(loop)
    try:
        yield
    finally:
        if running_loop() is not loop:
            set_running_loop(loop)
        current = asyncio.current_task(loop)
        if current is not task and current is not None:
            leave_task(loop, current)
        if current is not task and task is not None:
            enter_task(loop, task)


@contextmanager
def _aside(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    task = asyncio.current_task(loop)
    if task is not None:
        leave_task(loop, task)
    set_running_loop(None)
    try:
        yield
    finally:
        set_running_loop(loop)
        if task is not None:
            enter_task(loop, task)


@contextmanager
def _replaced(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    original = getattr(owner, name, None) if isinstance(owner, types.ModuleType) else None
    if original is None and (original := borrowing.replaceable(owner, name)) is None:
        yield
        return
    before = vars(owner).get(name, borrowing.ABSENT)
    setattr(owner, name, wrap(original))
    try:
        yield
    finally:
        if before is borrowing.ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
