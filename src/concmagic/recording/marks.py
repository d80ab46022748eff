"""`concmagic.mark(label)`: a moment or a stretch that the user points out on the timeline."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from concmagic.clock import monotonic_ns
from concmagic.problems import Problem
from concmagic.recording.labels import cut

if TYPE_CHECKING:
    from concmagic.records.handed_over import MarkRecord


_MOST_MARKS = 100_000  # a mark in a hot loop must not cost the memory
_AT_ONCE = 100  # nor shall each be written to a file by itself, but for the first ones
_PASS_ON_NS = 50_000_000

# Which mark, its label, from when to when (None: it has not ended), in which thread.
Row = tuple[int, str, int, int | None, int]

_current: MarkRecorder | None = None


def mark(label: str) -> Mark:
    """Mark this moment on the timeline, or with `with mark("load"):` the stretch of the block.

    Outside a traced cell it does nothing.
    """
    recorder = _current
    return _NOWHERE if recorder is None else Mark(recorder, label)


class _Point:
    """One mark: a moment until a `with` statement enters it."""

    __slots__ = ("end_ns", "entered", "label", "native_id", "number", "start_ns")

    def __init__(self, label: str, number: int) -> None:
        self.label = label
        self.number = number
        self.native_id = threading.get_native_id()
        self.entered = False
        self.start_ns = monotonic_ns()
        self.end_ns = self.start_ns


class Mark:
    """What `mark` returns, for a `with` statement; it may be entered more than once."""

    __slots__ = ("_entered", "_label", "_point", "_recorder")

    def __init__(self, recorder: MarkRecorder | None, label: object) -> None:
        self._recorder = recorder
        self._label = _text(label) if recorder is not None else ""
        self._point = recorder.note(self._label) if recorder is not None else None
        self._entered: list[_Point | None] = []

    def __enter__(self) -> Mark:
        if self._recorder is not None:
            point = self._point
            if point is None or point.entered:
                point = self._recorder.note(self._label)
            if point is not None:
                point.entered = True
                self._recorder.changed(point)
            self._entered.append(point)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        point = self._entered.pop() if self._entered else None
        if point is not None:
            point.end_ns = monotonic_ns()
            point.entered = False
            self._point = None
            if self._recorder is not None:
                self._recorder.changed(point)


_NOWHERE = Mark(None, "")


class MarkRecorder:
    """Collects the marks of this process from `start` to `stop`."""

    def __init__(self) -> None:
        self._points: list[_Point] = []
        self._changed: deque[_Point] = deque()
        self._passed_on_ns = 0
        # In a child, which may be killed: what of the marks has changed is told as it runs.
        self.taker: Callable[[Sequence[Row]], None] | None = None
        self.problems: list[Problem] = []

    def start(self) -> None:
        """Begin to collect; a recorder that a fork left behind is replaced."""
        global _current
        _current = self

    def stop(self) -> tuple[MarkRecord, ...]:
        """Hand the marks over; a stretch that is still open ends now."""
        from concmagic.records.handed_over import MarkRecord  # its class is made late: a child waits

        global _current
        now_ns = monotonic_ns()
        if _current is self:
            _current = None
        points, self._points = self._points, []
        pid = os.getpid()
        return tuple(
            MarkRecord(
                label=point.label,
                start_ns=point.start_ns,
                end_ns=now_ns if point.entered else point.end_ns,
                pid=pid,
                native_id=point.native_id,
            )
            for point in points
        )

    def note(self, label: str) -> _Point | None:
        """Add a mark at this moment; None when there are too many."""
        if len(self._points) >= _MOST_MARKS:
            if not self.problems:
                self.problems.append(Problem.of("marks_left_out", _MOST_MARKS))
            return None
        point = _Point(label, len(self._points))
        self._points.append(point)
        self.changed(point)
        return point

    def changed(self, point: _Point) -> None:
        """Pass it on, at once or with others a moment later."""
        if self.taker is not None:
            self._changed.append(point)
            is_due = monotonic_ns() - self._passed_on_ns >= _PASS_ON_NS
            if is_due or point.number < _AT_ONCE:
                self.pass_on()

    def pass_on(self) -> None:
        """Tell what has changed since the last time."""
        self._passed_on_ns = monotonic_ns()
        rows: list[Row] = []
        while self._changed:
            point = self._changed.popleft()
            end_ns = None if point.entered else point.end_ns
            rows.append((point.number, point.label, point.start_ns, end_ns, point.native_id))
        if rows and self.taker is not None:
            self.taker(rows)


def _text(label: object) -> str:
    try:
        return cut(label)
    except Exception:  # a label that cannot be written is still a mark
        return "mark"
