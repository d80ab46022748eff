"""When which thread printed or displayed something into the notebook.

What is replaced is an attribute of the class that writes (`write` of the notebook's streams, `publish` of
what displays): a look at it is noted, and answers what was there. So no frame of ours stands in a
traceback, and what somebody has put on an instance (IPython does, to keep a cell's output) stays there.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import Patches
from concmagic.problems import Problem

Writer = tuple[type, str]  # a class written in Python, and the method that writes
MOST = 100_000  # notes that are kept
TOGETHER_NS = 1_000_000  # a print looks twice: at its text and at its end
PAIRED = "write"  # … and this is what it looks at


class PrintRecorder:
    """Notes who prints from `start` to `stop`."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self.problems: list[Problem] = []
        self._writers = tuple(dict.fromkeys(writers))
        self._patches = Patches()
        self._notes: list[_Note] = []

    def start(self) -> None:
        """Begin to note."""
        for owner, name in self._writers:
            original = vars(owner).get(name)
            if original is not None:
                self._patches.set(owner, name, _Noting(name, original, self._notes))

    def stop(self) -> tuple[tuple[int, int], ...]:
        """Put everything back; pairs of a moment (monotonic ns) and the native id of who printed then."""
        self._patches.restore()
        notes, self._notes = self._notes, []
        return tuple(_apart(notes))


_Note = tuple[int, int, str]  # a moment, a native id, the method


class _Noting:
    """Stands for a method: who looks at it is about to write.

    Because it can be set, it is asked before the instance's own attribute of that name, which it answers.
    """

    def __init__(self, name: str, original: Any, notes: list[_Note]) -> None:
        self.name = name
        self.original = original
        self.notes = notes

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self.original.__get__(instance, owner)
        if len(self.notes) < MOST:
            self.notes.append((monotonic_ns(), threading.get_native_id(), self.name))
        own = vars(instance)
        return own[self.name] if self.name in own else self.original.__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self.name] = value

    def __delete__(self, instance: Any) -> None:
        if self.name not in vars(instance):
            raise AttributeError(self.name)
        del vars(instance)[self.name]


def _apart(notes: Sequence[_Note]) -> list[tuple[int, int]]:
    """Without the second look of each print."""
    first: dict[int, int] = {}  # of pairs whose second look is still to come, by thread
    kept = []
    for at_ns, native_id, name in notes:
        began_ns = first.pop(native_id, None) if name == PAIRED else None
        if began_ns is not None and at_ns - began_ns < TOGETHER_NS:
            continue
        if name == PAIRED:
            first[native_id] = at_ns
        kept.append((at_ns, native_id))
    return kept
