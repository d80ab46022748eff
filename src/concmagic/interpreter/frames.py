"""The calling frame, also where `sys._getframe` is missing or something else; frames of ours hidden."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType, FunctionType
from typing import Any


class _Here(Exception):
    """Raised to learn from its traceback where it was raised."""


def by_traceback(depth: int = 0, /) -> FrameType:
    """The same as `sys._getframe`, by what Python tells of every exception."""
    try:
        raise _Here
    except _Here as error:
        frame = error.__traceback__.tb_frame.f_back if error.__traceback__ is not None else None
    for _ in range(depth):
        frame = frame.f_back if frame is not None else None
    if frame is None:
        raise ValueError("call stack is not deep enough")
    return frame


def _chosen() -> Callable[..., FrameType]:
    """Python's own function where it answers the frame that calls it, as a wrapper around it would not."""
    found: Callable[..., FrameType] | None = getattr(sys, "_getframe", None)
    try:
        is_right = found is not None and found(0).f_code is _chosen.__code__
    except Exception:
        is_right = False
    return found if found is not None and is_right else by_traceback


getframe = _chosen()


def hide_frame(error: BaseException, frames: int = 1) -> None:
    """Take the calling frame out of what an error tells, or more of the outermost; then raise it bare.

    For wrappers that do more than those below: a bare `raise` adds no entry again.
    """
    trace = error.__traceback__
    for _ in range(frames):
        if trace is not None:
            trace = trace.tb_next
    error.__traceback__ = trace


def standing_at(frame: FrameType, function: Callable[[], Any]) -> Callable[[], Any]:
    """The function, called from the line where `frame` stands: C code that warns tells its caller's."""
    name = getattr(function, "__name__", "call")
    code = _CALL.__code__.replace(
        co_filename=frame.f_code.co_filename, co_firstlineno=frame.f_lineno, co_name=name, co_qualname=name
    )
    return partial(FunctionType(code, frame.f_globals), function)


_CALL: Callable[[Callable[[], Any]], Any] = lambda function: function()  # on one line, the first  # noqa: E731
