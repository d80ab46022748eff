"""Whether a child still cleans up after an interrupt. Its parent asks, whose cell is over and ends children.

A plain notebook lets such a child go on, and so do we: it handles KeyboardInterrupt, or a cancellation that
came of it. An interrupt may reach it a little later than its parent: it is looked at for a moment.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import FrameType

from concmagic.clock import monotonic, sleep
from concmagic.interpreter import known_functions
from concmagic.interpreter.frames import handled_in, thread_frames
from concmagic.interpreter.process_start import is_bootstrap
from concmagic.recording.children import handover_files

QUESTION = b"c"
_YES, _NO = ".cleans", ".calm"  # what the child leaves beside the pipe through which it was asked
_LOOK_S = 0.1
_PATIENCE_S = 0.4  # of the parent
_STEP_S = 0.01
_DEEPEST = 20


def answer(path: Path) -> None:
    """In the child, in a thread that is not the one looked at."""
    limit = monotonic() + _LOOK_S
    while not (cleans := _cleans_up()) and monotonic() < limit:
        sleep(_STEP_S)
    path.with_suffix(_YES if cleans else _NO).touch()


def ask(folder: Path) -> set[int]:
    """In the parent: the children that clean up; one that does not answer does not."""
    asked = handover_files.ask_all(folder, QUESTION)
    limit = monotonic() + _PATIENCE_S
    while any(_is_awaited(pid, path) for pid, path in asked.items()) and monotonic() < limit:
        sleep(_STEP_S)
    return {pid for pid, path in asked.items() if path.with_suffix(_YES).exists()}


def _is_awaited(pid: int, path: Path) -> bool:
    from concmagic.recording.children import kill_tree

    has_answered = path.with_suffix(_YES).exists() or path.with_suffix(_NO).exists()
    return not has_answered and kill_tree.runs(pid)


def _cancellations() -> tuple[type[BaseException], ...]:
    asyncio = sys.modules.get("asyncio")  # not imported for this: a child that has none is to stay light
    return () if asyncio is None else (asyncio.CancelledError,)


def _cleans_up() -> bool:
    main = threading.main_thread().ident or 0
    frame = thread_frames().get(main)
    return _is_users(frame) and (_handles_interrupt(handled_in(main)) or _is_cancelled(frame))


def _is_users(frame: FrameType | None) -> bool:
    """Whether code of the user's runs; multiprocessing's own, on its way out, may wait for children for ever.

    Below that lie the frames of the parent, where it was forked.
    """
    from concmagic.code_owner import owner_of

    while frame is not None and not is_bootstrap(frame.f_code):
        file = frame.f_code.co_filename
        if owner_of(file) == "user" and not file.startswith("<"):  # the command that a spawned child is given
            return True
        frame = frame.f_back
    return False


def _is_cancelled(frame: FrameType | None) -> bool:
    """Whether `asyncio.run` has cancelled its main task, which may await in its clean-up: no frame tells."""
    while frame is not None:
        if known_functions.is_runners_run(frame):
            task = known_functions.main_task(frame)
            return task is not None and task.cancelling() > 0
        frame = frame.f_back
    return False


def _handles_interrupt(error: BaseException | None) -> bool:
    for _ in range(_DEEPEST):
        if error is None:
            return False
        if isinstance(error, (KeyboardInterrupt, *_cancellations())):
            return True
        error = error.__context__
    return False
