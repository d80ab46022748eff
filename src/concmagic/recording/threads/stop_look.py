"""Where each thread stands just before the cell is stopped, and whether anything else could still act.

A cell that hung is stopped from outside: by a click or by its `--timeout`. What waits without a timeout at
that moment can only be woken by somebody else; whether anybody is left is read off these rows.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from types import CodeType, FrameType

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import FREE_THREADED
from concmagic.interpreter.endless_waits import awaited_future, has_timer, is_endless, is_subshells
from concmagic.interpreter.frames_and_threads import started, thread_frames
from concmagic.problems import Problem
from concmagic.recording import answers, interrupts_kept_back, own_threads
from concmagic.recording.threads.thread_jobs import worker_of
from concmagic.records.handed_over import StoodAtStop, StopLog


class StopLook:
    """Looks once, from `start` to `stop`, if the cell is stopped; also keeps what coroutines were sent."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._seen: StopLog | None = None
        self._native_before: frozenset[int] = frozenset()

    def start(self) -> None:
        """Wait for the moment. On a build without a GIL frames of threads that run are not safe to read."""
        answers.forget()
        self._native_before = _native_threads()
        if not FREE_THREADED:
            interrupts_kept_back.call_before_end(self._look, self._failed)

    def stop(self) -> StopLog | None:
        """What was seen; None if the cell was not stopped."""
        interrupts_kept_back.forget_look(self._look)
        answers.forget()
        return self._seen

    def _look(self, interrupted: FrameType | None) -> None:
        at_ns = monotonic_ns()
        frames = {threading.get_ident(): interrupted, **thread_frames()}
        known: dict[tuple[CodeType, int], bool] = {}
        rows = tuple(
            _stood(ident, frame, known)
            for ident, frame in frames.items()
            if frame is not None and not own_threads.is_ours(ident)
        )
        native = tuple(
            one for one in _native_threads() - self._native_before if not own_threads.contains(one)
        )
        self._seen = StopLog(at_ns, rows, native, sum(map(is_subshells, started.values())) + has_timer())

    def _failed(self, error: Exception) -> None:
        self.problems.append(Problem.of("look_at_locks_failed", error))


def _stood(ident: int, frame: FrameType, known: dict[tuple[CodeType, int], bool]) -> StoodAtStop:
    whom = answers.joined_by(frame)
    if not whom and (future := awaited_future(frame)) is not None:
        whom = worker_of(future)
    return StoodAtStop(ident, is_endless(frame, known), whom)


def _native_threads() -> frozenset[int]:
    """The threads of this process as the system numbers them; none where it does not tell."""
    with suppress(OSError):
        return frozenset(map(int, os.listdir("/proc/self/task")))
    return frozenset()
