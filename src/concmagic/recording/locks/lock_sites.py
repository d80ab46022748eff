"""Where in code a lock is waited for, by which calls, and where it was made; and what the user knows it as.

A queue's lock is the queue to the one who waits in `get`: the outermost object of the standard library
between the user's own code and the wait has the name that the user knows.
"""

from __future__ import annotations

import _thread
import functools
import os
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from concmagic.code_owner import owner_of
from concmagic.interpreter import known_functions
from concmagic.interpreter import value_stack as stack
from concmagic.interpreter.borrowing import Patches
from concmagic.interpreter.frames_and_threads import (
    MAKE_RLOCK,
    getframe,
    hide_frame,
    is_rlock_maker,
    makes_rlocks,
)
from concmagic.interpreter.lock_internals import Lock, RLock, SimpleQueue, is_lock
from concmagic.recording.locks.lock_state import Thread
from concmagic.recording.time_budget import Meter, TimeBudget

MOST_CALLS = 16  # of one chain
_MOST_MADE = 5_000  # locks whose making is remembered
_AROUND = 4.0  # what standing in for a maker takes, in calls of a function
_FILES = ("threading.py", "queue.py")
Row = tuple[CodeType, int]  # a function and the instruction in it
CreationSite = tuple[Row, int]  # the call that made it, and its number among those


def made_of_locks() -> tuple[type[Any], ...]:
    """The classes of the standard library that have locks inside; nothing is imported to have them."""
    queues = sys.modules.get("queue")
    mine: tuple[type[Any], ...] = (
        threading.Barrier,
        threading.Condition,
        threading.Event,
        threading.Semaphore,
    )
    return (*mine, queues.Queue) if queues is not None else mine


class Named:
    """A lock, or an object made of locks, with the number and length of waits for it."""

    __slots__ = ("chain", "kind", "made", "ref", "state", "wait_ns", "waits")

    def __init__(self, ref: Callable[[], Any], kind: str, state: Any, chain: int) -> None:
        self.ref = ref
        self.kind = kind
        self.state = state  # of a lock
        self.chain = chain  # through which it was waited for first
        self.waits = self.wait_ns = 0
        self.made: CreationSite | None = None  # if seen


class Chains:
    """Call chains and objects of one recording, each kept once."""

    def __init__(self) -> None:
        self.rows: list[tuple[Row, ...]] = []
        self.objects: list[Named] = []
        self._numbers: dict[tuple[tuple[int, int], ...], int] = {}
        self._by_id: dict[int, int] = {}
        self._files: dict[str, tuple[bool, bool]] = {}

    def of(self, frame: FrameType, offset: int) -> tuple[int, Any]:
        """The number of a frame's chain, and the outermost object made of locks in it, or None."""
        rows: list[Row] = []
        made = None
        at: FrameType | None = frame
        while at is not None and len(rows) < MOST_CALLS:
            code = at.f_code
            rows.append((code, at.f_lasti if rows else offset))
            is_own, has_locks = self._file(code.co_filename)
            if is_own:
                break
            if has_locks and code.co_varnames[:1] == ("self",):
                owner = known_functions.owner(at)
                if issubclass(type(owner), made_of_locks()):
                    made = owner
            at = at.f_back
        return self.number(tuple(rows)), made

    def number(self, rows: tuple[Row, ...]) -> int:
        """The number of a chain."""
        # By the address: code objects are compared by their contents, which takes long.
        key = tuple((id(code), offset) for code, offset in rows)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.rows)
            self.rows.append(rows)
        return number

    def object_of(self, made: Any, lock: Callable[[], Any], state: Any, chain: int) -> int:
        """The number of what is waited for: an object made of locks, else the lock itself.

        `state` is what is known of the lock; `chain` the wait's, -1 if nobody waited.
        """
        target = lock() if made is None else made
        number = self._by_id.get(id(target), -1)
        if target is None or number < 0 or self.objects[number].ref() is not target:
            number = len(self.objects)
            reference: Callable[[], Any] = lock if made is None else weakref.ref(made)
            self.objects.append(Named(reference, kind_of(target), state if made is None else None, chain))
            self._by_id[id(target)] = number
        return number

    def count(self, number: int, length_ns: int) -> None:
        """Add a wait to the totals of an object."""
        self.objects[number].waits += 1
        self.objects[number].wait_ns += length_ns

    def _file(self, file: str) -> tuple[bool, bool]:
        """Whether it is the user's own code, and whether it is where objects made of locks are."""
        known = self._files.get(file)
        if known is None:
            known = owner_of(file) == "user", owner_of(file) == "stdlib" and os.path.basename(file) in _FILES
            self._files[file] = known
        return known


def kind_of(target: Any) -> str:
    """The class of the standard library that this is one of."""
    for kind in type(target).__mro__:
        if kind in made_of_locks():
            return kind.__name__
    return {"lock": "Lock", "NoneType": "Lock"}.get(type(target).__name__, type(target).__name__)


def makers() -> dict[int, Any]:
    """What makes locks when it is called, by id: the user may have given them other names."""
    locks = (_thread.allocate_lock, Lock, RLock, threading.RLock)
    queues = vars(sys.modules["queue"]) if "queue" in sys.modules else {}  # nothing is imported for it
    kinds = [queues[name] for name in ("LifoQueue", "PriorityQueue") if name in queues]
    made = (*made_of_locks(), threading.BoundedSemaphore, SimpleQueue, *kinds)
    return {id(one): one for one in (*locks, *made)}


class CreationSites:
    """Reads what calls made; keeps none of it alive."""

    def __init__(self) -> None:
        # Code and next instruction → the call, and the slot of its result.
        self.after: dict[tuple[int, int], tuple[Row, int]] = {}
        self._known: dict[tuple[int, int], Row | None] = {}
        self._found: dict[int, tuple[Callable[[], Any], CreationSite]] = {}
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
        if len(self._found) < _MOST_MADE:
            place = id(call[0]), call[1]  # a code object compares its contents, which takes long
            self._count[place] += 1
            self._found[id(target)] = weakref.ref(target), (call, self._count[place])

    def of(self, target: Any) -> CreationSite | None:
        """The call that made this object, and how many it had made by then."""
        reference, site = self._found.get(id(target), (None, None))
        return site if reference is not None and reference() is target else None


class CreationHooks:
    """Stands in for the makers from `start` to `stop`, or until the budget is spent."""

    def __init__(self, sites: CreationSites, budget: TimeBudget) -> None:
        self._sites = sites
        self._meter = Meter(budget, _AROUND)
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
        note, meter = self._note, self._meter

        @functools.wraps(original)
        def make(*args: Any, **options: Any) -> Any:
            try:
                made = original(*args, **options)
            except BaseException as error:
                hide_frame(error)
                raise
            meter.left -= 1
            timed = meter.begin() if meter.left <= 0 else 0
            # An `__init__` answers nothing, and is given what it makes.
            note(args[0] if made is None else made, getframe(1))
            if timed and meter.end(timed):
                self.stop()
            return made

        return make

    def _note(self, made: Any, frame: FrameType | None) -> None:
        if frame is not None and is_rlock_maker(frame.f_code):
            frame = frame.f_back
        while frame is not None and owner_of(frame.f_code.co_filename) == "user":
            if frame.f_code.co_name != "__init__":
                self._sites.made(made, (frame.f_code, frame.f_lasti))
                return
            frame = frame.f_back  # a class of the user's own: what makes one is told
