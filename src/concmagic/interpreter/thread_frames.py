"""Every thread's innermost frame, and the exception that a thread handles.

`sys._current_frames` makes its frames while it holds the lock of the list of threads. Where that sets off
the garbage collector (Python 3.11), and the garbage holds a `threading.local`, whose end takes the same
lock, the whole process stands still for ever. So nothing is collected meanwhile; `sys._current_exceptions`
makes its tuples under that lock, too.
"""

from __future__ import annotations

import gc
import sys
from operator import call
from threading import get_ident
from types import FrameType
from typing import Any

from concmagic.interpreter.capability import Capability, missing
from concmagic.interpreter.reading import borrowed


def thread_frames() -> dict[int, FrameType]:
    """The innermost frame of every thread, by its ident."""
    frames: dict[int, FrameType] = _uncollected(borrowed(sys, "_current_frames", dict))
    return frames


def handled_in(ident: int) -> BaseException | None:
    """The innermost exception that a thread handles."""
    found = _uncollected(borrowed(sys, "_current_exceptions", dict)).get(ident)
    error: BaseException | None = found[1] if isinstance(found, tuple) else found  # a tuple until 3.11
    return error


def _uncollected(ask: Any) -> Any:
    if not gc.isenabled():
        return ask()
    # One step of C for all three: no other thread can set the collector, or need it, in between.
    _, answer, _ = map(call, (gc.disable, ask, gc.enable))
    return answer


def probe() -> Capability:
    """Whether the calling thread's own frame, and the exception that it handles, are found."""
    here = thread_frames().get(get_ident())
    try:
        raise LookupError
    except LookupError as error:
        is_found = handled_in(get_ident()) is error
    found = here is not None and here.f_code.co_filename == __file__
    return missing(_current_frames=found, _current_exceptions=is_found)
