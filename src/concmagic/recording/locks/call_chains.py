"""Through which calls a wait was reached, and whose lock it is to the user's code.

A queue's lock is the queue to the one who waits in `get`: the outermost object of the standard library
between the user's own code and the wait has the name that the user knows.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from concmagic.code_owner import owner_of
from concmagic.interpreter import known_functions
from concmagic.interpreter.thread_internals import is_join

MOST_CALLS = 16  # of one chain
_FILES = ("threading.py", "queue.py")
_JOIN_DEPTH = 2  # until 3.12 it waits in a function of its own
Row = tuple[CodeType, int]  # a function and the instruction in it


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
    """Something that waits are counted for."""

    __slots__ = ("chain", "kind", "made", "ref", "state", "wait_ns", "waits")

    def __init__(self, ref: Callable[[], Any], kind: str, state: Any, chain: int) -> None:
        self.ref = ref
        self.kind = kind
        self.state = state  # of a lock
        self.chain = chain  # through which it was waited for first
        self.waits = self.wait_ns = 0
        self.made: tuple[Row, int] | None = None  # the call that made it, and its number among those, if seen


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


def joined_by(frame: FrameType | None) -> int:
    """The native id of the thread whose end a frame waits for; 0 if it waits for none."""
    for _ in range(_JOIN_DEPTH):
        if frame is not None and is_join(frame.f_code):
            return getattr(known_functions.owner(frame), "native_id", None) or 0
        frame = None if frame is None else frame.f_back
    return 0


def kind_of(target: Any) -> str:
    """The class of the standard library that this is one of."""
    for kind in type(target).__mro__:
        if kind in made_of_locks():
            return kind.__name__
    return {"lock": "Lock", "NoneType": "Lock"}.get(type(target).__name__, type(target).__name__)
