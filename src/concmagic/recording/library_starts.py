"""What libraries start for themselves: threads and processes that their code starts, to run their code.

Whether a line of the user's ran there all the same is known after the cell only.
"""

from __future__ import annotations

import functools
import sys
from types import FrameType
from typing import Any

from concmagic.code_owner import owner_of
from concmagic.interpreter.known_functions import original_module

_MOST_FRAMES = 50


def library_of(target: Any, starter: FrameType | None) -> str:
    """The package whose own it is: its code runs, and was started by a library's; "" if it is nobody's."""
    while isinstance(target, functools.partial):
        target = target.func
    if owner_of(_file_of(target)) != "library" or not _is_librarys(starter):
        return ""
    module: Any = getattr(target, "__module__", "")
    return module.partition(".")[0] if isinstance(module, str) else ""


def _file_of(target: Any) -> str:
    if isinstance(target, type):
        return getattr(sys.modules.get(target.__module__), "__file__", "") or ""
    code = getattr(getattr(target, "__func__", target), "__code__", None)
    return str(getattr(code, "co_filename", ""))


def _is_librarys(frame: FrameType | None) -> bool:
    """Whether the code that starts it is a library's: not that of threading or multiprocessing around it."""
    for _ in range(_MOST_FRAMES):
        if frame is None:
            return False
        owner = owner_of(frame.f_code.co_filename)
        module = str(frame.f_globals.get("__name__", ""))
        if owner not in ("ours", "stdlib") and original_module(module) == module:
            return owner == "library"
        frame = frame.f_back
    return False
