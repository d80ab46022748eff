"""Whose message it is, and what it carries, by who is on the stack when it is sent or received."""

from __future__ import annotations

from types import FrameType

from concmagic.interpreter.known_functions import QUEUES, WORKERS

_OURS = "concmagic.runners.loop_"


def kind_of(caller: FrameType | None) -> str:
    """Whose message it is, by who is on the stack: a queue's, a loop worker's item, ours, or a pipe's."""
    kind = "pipe"
    while caller is not None:
        module = caller.f_globals.get("__name__", "")
        if module in QUEUES:
            kind = "queue"
        elif module.startswith(_OURS):
            return "item" if caller.f_code.co_name == "work" else "ours"
        elif not module.startswith("multiprocessing."):
            break
        caller = caller.f_back
    return kind


def sends_result(caller: FrameType | None) -> bool:
    """Whether a worker of a pool sends what became of a job: by who called whom sends."""
    return is_in(WORKERS, caller.f_back if caller is not None else None, 1)


def is_in(places: set[tuple[str, str]], frame: FrameType | None, most: int) -> bool:
    """Whether one of the innermost `most` frames runs a function of these: module and name."""
    for _ in range(most):
        if frame is None:
            return False
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in places:
            return True
        frame = frame.f_back
    return False
