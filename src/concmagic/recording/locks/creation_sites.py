"""Where locks are made: by the user's own code, or inside of what it makes; the monitor or hooks tell."""

from __future__ import annotations

import _thread
import functools
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from concmagic.code_owner import owner_of
from concmagic.interpreter import value_stack as stack
from concmagic.interpreter.frames import getframe, hide_frame
from concmagic.interpreter.lock_internals import Lock, RLock, SimpleQueue, is_lock
from concmagic.interpreter.patches import Patches
from concmagic.interpreter.thread_internals import MAKE_RLOCK, is_rlock_maker, makes_rlocks
from concmagic.recording.locks.call_chains import Row, made_of_locks
from concmagic.recording.locks.lock_state import Thread

_MOST = 5_000  # that are remembered
Birth = tuple[Row, int]


def makers() -> dict[int, Any]:
    """What makes locks when it is called, by id: the user may have given them other names."""
    locks = (_thread.allocate_lock, Lock, RLock, threading.RLock)
    queues = vars(sys.modules["queue"]) if "queue" in sys.modules else {}  # nothing is imported for it
    kinds = [queues[name] for name in ("LifoQueue", "PriorityQueue") if name in queues]
    made = (*made_of_locks(), threading.BoundedSemaphore, SimpleQueue, *kinds)
    return {id(one): one for one in (*locks, *made)}


class Births:
    """Reads what calls made; keeps none of it alive."""

    def __init__(self) -> None:
        self.after: dict[
            tuple[int, int], tuple[Row, int]
        ] = {}  # (code, next instruction) → call, slot of result
        self._known: dict[tuple[int, int], Row | None] = {}
        self._found: dict[int, tuple[Callable[[], Any], Birth]] = {}
        self._count: Counter[tuple[int, int]] = Counter()

    def call(self, thread: Thread, code: CodeType, offset: int) -> bool:
        """A maker is about to be called. Whether it is the user's code that does, and can be read."""
        key = id(code), offset
        if key not in self._known:
            self._known[key] = self._look(code, offset)
        known = self._known[key]
        if known is not None:  # else it is inside a maker, which has called it
            thread.makes = known
        return known is not None

    def _look(self, code: CodeType, offset: int) -> Row | None:
        result = stack.result_of_call(code, offset) if owner_of(code.co_filename) == "user" else None
        if result is None:
            return None
        following, slot = result
        self.after[id(code), following] = (code, offset), slot
        return code, offset

    def returned(self, thread: Thread, frame: FrameType, call: Row, slot: int) -> None:
        """The instruction after a call begins: what it made lies on the stack, if the call came before."""
        expected, thread.makes = thread.makes, None
        if expected is None or expected[0] is not call[0] or expected[1] != call[1]:
            return
        made = stack.value(frame, slot)
        if is_lock(made) or issubclass(type(made), (*made_of_locks(), SimpleQueue)):
            self.made(made, call)

    def made(self, target: Any, call: Row) -> None:
        """This call has made a lock, or what has locks inside."""
        if len(self._found) < _MOST:
            place = id(call[0]), call[1]  # a code object compares its contents, which takes long
            self._count[place] += 1
            self._found[id(target)] = weakref.ref(target), (call, self._count[place])

    def of(self, target: Any) -> Birth | None:
        """The call that made this, and the how manieth it made."""
        reference, birth = self._found.get(id(target), (None, None))
        return birth if reference is not None and reference() is target else None


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
