"""Run a cell that does not await, in the thread that asks for it."""

from __future__ import annotations

import types
from typing import Any

from concmagic.cell import Outcome, Program
from concmagic.options import Options
from concmagic.runners import tracebacks
from concmagic.runners.asyncio_run import loops_of_the_cell
from concmagic.runners.interrupts import Interrupts
from concmagic.runners.pending_jobs import PendingJobs


def run_sync(program: Program, options: Options, settings: Any) -> Outcome:
    """Run the cell once. Never raises: what ends the cell is in the outcome."""
    stop = _Stop()
    with Interrupts(stop, options.timeout) as interrupts, loops_of_the_cell():
        outcome = _contained(program)
    if not stop.raised:
        return outcome
    return Outcome(error=interrupts.ended(stop.first()))


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
        self._outermost: types.FrameType | None = None
        self.raised: list[KeyboardInterrupt] = []

    def __call__(self, frame: types.FrameType | None) -> None:
        outermost = _outermost_inside(frame)
        if outermost is None:
            return
        if not self.raised:
            self._outermost = outermost
            self._pending.cancel()
        self.raised.append(KeyboardInterrupt())
        raise self.raised[-1]

    def first(self) -> KeyboardInterrupt:
        """The first that came up through the whole cell; one handled on its way does not tell where it was."""
        return next((error for error in self.raised if self._is_complete(error)), self.raised[0])

    def _is_complete(self, error: BaseException) -> bool:
        traceback = error.__traceback__
        while traceback is not None:
            if traceback.tb_frame is self._outermost:
                return True
            traceback = traceback.tb_next
        return False


def _outermost_inside(frame: types.FrameType | None) -> types.FrameType | None:
    """The outermost frame of the cell's own; None if it has not begun or is over."""
    outermost = None
    while frame is not None and frame.f_code is not _inside.__code__:
        if not tracebacks.is_ours(frame):
            outermost = frame
        frame = frame.f_back
    return outermost if frame is not None else None
