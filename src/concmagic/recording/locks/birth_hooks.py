"""Where locks are made, on Pythons whose monitor cannot tell: what makes them notes who has called it.

Nothing stands in for what a cell may import and keep, or send to a child by its name: only for methods of
classes, and for the private name by which `threading.RLock` makes one. Who makes a bare Lock is not known.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from concmagic.recording.locks.births import Births
from concmagic.recording.locks.callers import made_of_locks
from concmagic.recording.patches import Patches
from concmagic.recording.tasks.origin import place_of


class BirthHooks:
    """Stands in for the makers from `start` to `stop`."""

    def __init__(self, births: Births) -> None:
        self._births = births
        self._patches = Patches()

    def start(self) -> None:
        """Put the stand-ins in place."""
        maker = getattr(threading, "_CRLock", None)
        if maker is not None:
            self._patches.set(threading, "_CRLock", self._function(maker))
        for kind in (*made_of_locks(), threading.BoundedSemaphore):
            if "__init__" in vars(kind):
                self._patches.set(kind, "__init__", self._method(vars(kind)["__init__"]))

    def stop(self) -> None:
        """Put everything back."""
        self._patches.restore()

    def _function(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def make(*args: Any, **options: Any) -> Any:
            try:
                made = original(*args, **options)
            except BaseException as error:
                _hide(error)
                raise
            caller = sys._getframe(1)
            if caller.f_code is getattr(threading.RLock, "__code__", None) and caller.f_back is not None:
                self._note(made, caller.f_back)
            return made

        return make

    def _method(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def __init__(made: Any, *args: Any, **options: Any) -> None:
            try:
                original(made, *args, **options)
            except BaseException as error:
                _hide(error)
                raise
            self._note(made, sys._getframe(1))

        return __init__

    def _note(self, made: Any, frame: FrameType) -> None:
        at: FrameType | None = frame
        while at is not None and place_of(at.f_code.co_filename) == "user":
            if at.f_code.co_name != "__init__":
                self._births.made(made, (at.f_code, at.f_lasti))
                return
            at = at.f_back  # a class of the user's own: what makes one is told


def _hide(error: BaseException) -> None:
    """The frame of the stand-in is none of the user's."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
