"""Run a cell that does not await, in the thread that asks for it."""

from __future__ import annotations

import types
from typing import Any

from concmagic.cell import Outcome, Program
from concmagic.interpreter.reading import running_loop
from concmagic.options import Options
from concmagic.runners import tracebacks
from concmagic.runners.asyncio_run import loops_of_the_cell
from concmagic.runners.cell_tasks import CellTasks
from concmagic.runners.interrupts import Interrupts
from concmagic.runners.pending_jobs import PendingJobs


def run_sync(program: Program, options: Options, settings: Any) -> Outcome:
    """Run the cell once. Never raises: what ends the cell is in the outcome."""
    stop = _Stop()
    cell_tasks = _on_the_running_loop() if settings.cancel_left_running else None
    with Interrupts(stop, options.timeout) as interrupts, loops_of_the_cell():
        outcome = _contained(program)
    if cell_tasks is not None:
        cell_tasks.cancel()
    if stop.raised is None:
        return outcome
    return Outcome(error=interrupts.ended(stop.first()))


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


class _Stop:
    """What a signal does to the cell: KeyboardInterrupt where it stands, and no new jobs."""

    def __init__(self) -> None:
        self._pending = PendingJobs()
        self._where: types.TracebackType | None = None
        self.raised: KeyboardInterrupt | None = None

    def __call__(self, frame: types.FrameType | None) -> None:
        frames = _frames_inside(frame)
        if not frames:  # the cell has not begun, or is over
            return
        error = KeyboardInterrupt()
        if self.raised is None:
            self.raised = error
            self._where = tracebacks.of_frames(frames)
            self._pending.cancel()
        raise error

    def first(self) -> BaseException | None:
        """The first, standing where the signal met the cell, however it was handled on its way up."""
        return self.raised and self.raised.with_traceback(self._where)


def _frames_inside(frame: types.FrameType | None) -> list[types.FrameType]:
    """The frames of the cell and what it called, outermost first."""
    frames: list[types.FrameType] = []
    while frame is not None and frame.f_code is not _inside.__code__:
        frames.insert(0, frame)
        frame = frame.f_back
    return frames if frame is not None else []
