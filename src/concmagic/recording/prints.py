"""When which thread printed: into the notebook, and in a child, whose prints come in whole lines.

Into the notebook: what is replaced is an attribute of the class that writes (`write` of the notebook's
streams, `publish` of what displays): a look at it is noted, and answers what was there. So no frame of ours
stands in a traceback, and what somebody has put on an instance (IPython does, to keep a cell's output) stays
there.

In a child: `print` writes a text and its newline apart, and many print at once; so each line is one write.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from concmagic.clock import held, monotonic_ns
from concmagic.interpreter.borrowing import Patches
from concmagic.problems import Problem
from concmagic.recording.guards import watched

Writer = tuple[type, str]  # a class written in Python, and the method that writes
MOST = 100_000  # notes that are kept
TOGETHER_NS = 1_000_000  # a print looks twice: at its text and at its end
PAIRED = "write"  # … and this is what it looks at
_PATIENCE_S = 2.0  # for another thread's line: a full pipe may keep it

# Of a child.
_notes: list[tuple[int, int]] = []
_lines: list[_Lines] = []  # of this process's streams, where they send every single write
_unbuffered: list[io.TextIOWrapper] = []  # the others


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


def in_whole_lines() -> None:
    """Let stdout and stderr of this process come out line by line."""
    _unbuffered.clear()
    _notes.clear()
    _lines.clear()  # the parent's, in a forked child of a child
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        with suppress(Exception):  # a stream of the user's own making
            if isinstance(stream, io.TextIOWrapper):
                # Each line in one write, text and newline; also where Python runs unbuffered (-u).
                stream.reconfigure(line_buffering=True, write_through=False)
                write = type(stream).write.__get__(stream)
                stream.write = watched(write, _written)  # type: ignore[method-assign]
                _unbuffered.append(stream)
            elif type(stream).__module__.partition(".")[0] == "ipykernel":
                _lines.append(_Lines(stream))


def note() -> None:
    """A line is printed just now, by this thread."""
    if len(_notes) < MOST:
        _notes.append((monotonic_ns(), threading.get_native_id()))


def noted() -> tuple[tuple[int, int], ...]:
    """When which thread printed a line (monotonic ns, native id), since this was asked last."""
    notes = tuple(_notes)
    del _notes[: len(notes)]
    return notes


def _written(told: None, result: int, text: str) -> None:
    if "\n" in text:
        note()


def flush() -> None:
    """Let out the beginning of a line that has no end."""
    streams: tuple[Any, ...] = (*_lines, *_unbuffered)
    for each in streams:
        with suppress(Exception):  # closed, or a stream of the user's own making
            each.flush()


def _write_to(descriptor: int, text: str) -> None:
    """Write all of it, in one go where the system takes it."""
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(descriptor, data) :]


class _Lines:
    """The kernel's own stream, in a forked child, where each write is a message."""

    def __init__(self, stream: Any) -> None:
        self._write, self._flush = type(stream).write.__get__(stream), type(stream).flush.__get__(stream)
        self._has_written = False  # through the stream, by this process
        self._by_stream = getattr(stream, "watch_fd_thread", None) is None
        if not self._by_stream:
            # The kernel reads the descriptor, too, where lines keep their order: of its messages each has a
            # connection of its own.
            self._write = partial(_write_to, 2 if stream.name == "stderr" else 1)
        self._kept = ""
        self._lock = threading.RLock()
        stream.write, stream.flush = self.write, self.flush

    def write(self, text: str) -> int:
        """Send what is complete, keep the rest."""
        with held(self._lock, _PATIENCE_S):  # without it lines may be glued, but they come
            lines, newline, kept = (self._kept + text).rpartition("\n")
            self._kept = kept
            if newline:
                note()
                self._send(lines + newline)
        return len(text)

    def flush(self) -> None:
        """Send now what this process has written, and nothing that its parent had not sent when it forked."""
        with held(self._lock, _PATIENCE_S):
            kept, self._kept = self._kept, ""
            if kept:
                self._send(kept)
        if self._has_written:
            self._flush()

    def _send(self, text: str) -> None:
        self._has_written = self._has_written or self._by_stream
        self._write(text)
