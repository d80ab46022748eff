"""Where locks are made, on Pythons whose monitor cannot tell: what makes them notes who has called it.

Nothing stands in for what a cell may import and keep, or send to a child by its name: only for methods of
classes, and for the private name by which `threading.RLock` makes one. Who makes a bare Lock is not known.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from concmagic.code_owner import owner_of
from concmagic.interpreter.frames import getframe, hide_frame
from concmagic.interpreter.patches import Patches
from concmagic.interpreter.thread_internals import MAKE_RLOCK, is_rlock_maker, makes_rlocks
from concmagic.recording.locks.births import Births
from concmagic.recording.locks.callers import made_of_locks


class BirthHooks:
    """Stands in for the makers from `start` to `stop`."""

    def __init__(self, births: Births) -> None:
        self._births = births
        self._patches = Patches()

    def start(self) -> None:
        """Put the stand-ins in place."""
        if makes_rlocks():
            self._patches.wrap(threading, MAKE_RLOCK, self._noting)
        for kind in (*made_of_locks(), threading.BoundedSemaphore):
            if "__init__" in vars(kind):
                self._patches.wrap(kind, "__init__", self._noting)

    def stop(self) -> None:
        """Put everything back."""
        self._patches.restore()

    def _noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        note = self._note

        @functools.wraps(original)
        def make(*args: Any, **options: Any) -> Any:
            try:
                made = original(*args, **options)
            except BaseException as error:
                hide_frame(error)
                raise
            # An `__init__` answers nothing, and is given what it makes.
            note(args[0] if made is None else made, getframe(1))
            return made

        return make

    def _note(self, made: Any, frame: FrameType | None) -> None:
        if frame is not None and is_rlock_maker(frame.f_code):
            frame = frame.f_back
        while frame is not None and owner_of(frame.f_code.co_filename) == "user":
            if frame.f_code.co_name != "__init__":
                self._births.made(made, (frame.f_code, frame.f_lasti))
                return
            frame = frame.f_back  # a class of the user's own: what makes one is told
