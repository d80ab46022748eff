"""Run a cell that does not await, in the thread that asks for it."""

from __future__ import annotations

import types
from dataclasses import replace
from typing import Any

from concmagic.cell import Outcome, Program
from concmagic.interpreter.borrowing import running_loop
from concmagic.options import Options
from concmagic.runners import tracebacks
from concmagic.runners.asyncio_run import cancels_main_task, loops_of_the_cell
from concmagic.runners.cell_tasks import CellTasks
from concmagic.runners.interrupt_raised_again import Again, Click, Clicks, may_raise_at
from concmagic.runners.interrupts import Interrupts
from concmagic.runners.kernel_loop import KernelLoop
from concmagic.runners.pending_jobs import PendingJobs


def run_sync(program: Program, options: Options, settings: Any) -> Outcome:
    """Run the cell once. Never raises: what ends the cell is in the outcome."""
    stop = _Stop()
    cell_tasks = _on_the_running_loop() if settings.cancel_left_running else None
    with Interrupts(stop, options.timeout) as interrupts, loops_of_the_cell() as kernel_loop:
        stop.kernel_loop = kernel_loop
        outcome = _contained(program)
    if kernel_loop is not None:
        outcome = replace(outcome, notes=kernel_loop.notes())
    if cell_tasks is not None:
        cell_tasks.cancel()
    if not interrupts.reason:
        return outcome
    if not isinstance(outcome.error, KeyboardInterrupt):
        return replace(outcome, handled=tuple(interrupts.came))
    stop.drop_jobs()
    return replace(outcome, error=interrupts.ended(stop.placed(outcome.error)))


def _on_the_running_loop() -> CellTasks | None:
    """The tasks that the cell makes on the kernel's loop, which runs again when the cell is over."""
    loop = running_loop()
    return None if loop is None else CellTasks(loop)


def _contained(program: Program) -> Outcome:
    try:
        return Outcome(_inside(program))
    except BaseException as error:
        return Outcome(error=error)


def _inside(program: Program) -> Any:
    """While this frame stands the cell runs, and an interrupt may raise."""
    return program.run()


class _Stop(Clicks):
    """What an interrupt does to the cell: KeyboardInterrupt where it stands."""

    def __init__(self) -> None:
        super().__init__()
        self._pending = PendingJobs()
        self._where: types.TracebackType | None = None
        self._first: KeyboardInterrupt | None = None
        self.kernel_loop: KernelLoop | None = None

    def placed(self, error: BaseException) -> BaseException:
        """What the cell ended with; the first stands where it met the cell, wherever it came since."""
        return error.with_traceback(self._where) if error is self._first else error

    def drop_jobs(self) -> None:
        """The cell is over: of its pools' jobs none begins any more."""
        self._pending.cancel()

    def _strike(self, click: Click, frame: types.FrameType | None) -> None:
        frames = _frames_inside(frame)
        if not frames or not may_raise_at(frame, click):  # without frames it has not begun, or is over
            return
        if self.kernel_loop is not None and self.kernel_loop.defers(frame):
            click.is_told = True
            return
        if cancels_main_task(frame):
            click.is_told = True
            return
        error = KeyboardInterrupt()
        click.error = error
        if self._first is None:
            self._first = error
            self._where = tracebacks.of_frames(frames)
        raise error

    def _strike_again(self, click: Click, found: Again, frame: types.FrameType | None) -> None:
        if _frames_inside(frame):
            click.error = found.error
            found.strike()


def _frames_inside(frame: types.FrameType | None) -> list[types.FrameType]:
    """The frames of the cell and what it called, outermost first."""
    frames: list[types.FrameType] = []
    while frame is not None and frame.f_code is not _inside.__code__:
        frames.insert(0, frame)
        frame = frame.f_back
    return frames if frame is not None else []
