"""Where a worker of a pool stands: still in its initializer, or at its jobs."""

from __future__ import annotations

import sys
from types import CodeType, FrameType

from concmagic.interpreter.frames import getframe
from concmagic.interpreter.reading import code_of


def worker_code() -> CodeType | None:
    """What a worker of multiprocessing.Pool runs, if there can be one."""
    module = sys.modules.get("multiprocessing.pool")
    return code_of(module, "worker", at_import=False) if module is not None else None


def is_before_jobs(worker: FrameType) -> bool:
    """Whether a pool's worker is still in its initializer: it has not begun to count its jobs."""
    return "completed" not in worker.f_locals


def leaves_before_jobs() -> bool:
    """Whether the calling code runs in a pool's worker that is still in its initializer."""
    frame: FrameType | None = getframe()
    while frame is not None and frame.f_code is not worker_code():
        frame = frame.f_back
    return frame is not None and is_before_jobs(frame)
