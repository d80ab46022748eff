"""When event loops were run, and when their callbacks were due or sent: what a loop without tasks tells."""

from __future__ import annotations

import functools
import threading
from asyncio import events
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from concmagic.clock import monotonic_ns
from concmagic.code_owner import is_users
from concmagic.interpreter.asyncio_internals import own_loop
from concmagic.interpreter.frames_and_threads import getframe, hide_frame
from concmagic.interpreter.hook_parts import Hook
from concmagic.records.recording import Asked, CodeLine, LoopRun

if TYPE_CHECKING:
    from concmagic.recording.tasks.task_table import LoopEntry

_MOST_ASKED = 20_000  # of one cell
_MOST_RUNS = 20_000
_SAME_CLOCK_NS = 1_000_000_000  # a loop's time that is further from the clock's is another
_LATE_NS = 1_000_000  # a timer that is less late was in time


class LoopRuns:
    """The runs of all loops of a cell."""

    def __init__(self, entry_of: Callable[[Any], LoopEntry]) -> None:
        self._entry_of = entry_of
        self._runs: list[tuple[int, CodeLine, list[int]]] = []  # loop, where; begin, and end once it is known
        self._asked: dict[int, list[Asked]] = {}
        self._room = _MOST_ASKED

    def begin(self, loop: Any) -> list[int]:
        """A loop is about to be run in this thread; its end belongs into what is answered."""
        entry = self._entry_of(loop)
        entry.native_id = entry.native_id or threading.get_native_id()
        run = [monotonic_ns()]
        if len(self._runs) < _MOST_RUNS:
            self._runs.append((entry.number, _users_place(getframe(3)), run))
        return run

    def due(self, loop: LoopEntry, handle: Any, sent: tuple[int, int] | None) -> None:
        """A callback is about to be run that another thread sent (who, when), or whose time had come."""
        now = monotonic_ns()
        asked, thread = (_when(handle), 0) if sent is None else (sent[1], sent[0])
        if asked is None or self._room <= 0 or (not thread and now - asked < _LATE_NS):
            return
        self._room -= 1
        self._asked.setdefault(loop.number, []).append(Asked(min(asked, now), now, thread))

    def runs(self, number: int, now_ns: int) -> tuple[LoopRun, ...]:
        """When and where a loop was run."""
        return tuple(
            LoopRun(run[0], run[1] if len(run) > 1 else now_ns, *place[:2])
            for loop, place, run in self._runs
            if loop == number
        )

    def asked(self, number: int) -> tuple[Asked, ...]:
        """When its callbacks were due or sent."""
        return tuple(self._asked.get(number, ()))


class _Observer(Protocol):
    """What the hook needs of it."""

    active: bool
    runs: LoopRuns

    def fail(self, error: Exception) -> None:
        """Give up after an error of our own."""


def _when(handle: Any) -> int | None:
    """The moment that a timer was set to; None where its loop has a time of its own."""
    if not isinstance(handle, events.TimerHandle):
        return None
    loop = own_loop(handle)
    if abs(round(loop.time() * 1e9) - monotonic_ns()) > _SAME_CLOCK_NS:
        return None
    return round(handle.when() * 1e9)


def _users_place(frame: FrameType | None) -> CodeLine:
    """Where the user's code stands that calls this."""
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname
        frame = frame.f_back
    return "", 0, ""


def run_forever_hook(observer: _Observer, original: Hook) -> Hook:
    """The stand-in for a loop's `run_forever`, which `run_until_complete` calls, too."""

    @functools.wraps(original)
    def run_forever(self: Any) -> Any:
        if not observer.active:
            return original(self)
        run = _begun(observer, self)
        try:
            return original(self)
        except BaseException as error:
            hide_frame(error)
            raise
        finally:
            run.append(monotonic_ns())

    return run_forever


def _begun(observer: _Observer, loop: Any) -> list[int]:
    try:
        return observer.runs.begin(loop)
    except Exception as error:
        observer.fail(error)
        return []
