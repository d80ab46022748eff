"""What is ours must not cost what is the user's: it fails by itself, and leaves no frame in a traceback.

`guarded` runs what is ours beside the cell, and tells somebody of a failure. `watched` and `unseen` make what
stands in for a function of others: a traceback that is printed is what it would be without us.
`paused_collection` is for when so much is made that all lives on that looking for garbage costs time.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from concmagic.interpreter.frames_and_threads import hide_frame
from concmagic.problems import Problem
from concmagic.recording.time_budget import Meter, TimeBudget

T = TypeVar("T")


def guarded(action: Callable[[], T], failed: Callable[[BaseException], object]) -> T | None:
    """What `action` answers; None if it fails, and then `failed` is told why.

    SystemExit and the like count as failures: a module of the user's that stands in the place of one that
    ours imports may end by them. An interrupt is the user's, and comes through.
    """
    try:
        return action()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        failed(error)
        return None


_failed: dict[str, str] = {}  # by the name of what was called: the first error in noting it
_losses: dict[Problem, None] = {}  # each once


def problems() -> list[Problem]:
    """What could not be noted since this was asked last."""
    told = [Problem.of("call_not_noted", name, error) for name, error in _failed.items()]
    told += _losses
    _failed.clear()
    _losses.clear()
    return told


def note_loss(loss: Problem) -> None:
    """Keep it for `problems`, where what failed runs in the user's thread and has nobody to tell."""
    _losses[loss] = None


def noter(function: Any) -> Callable[[BaseException], None]:
    """What keeps for `problems` that a call of this function could not be noted."""

    def note(error: BaseException) -> None:
        _failed.setdefault(getattr(function, "__qualname__", repr(function)), type(error).__name__)

    return note


_AROUND = 8.0  # what a wrapper takes beside its two parts, in calls of a function, as measured
_meter = Meter(TimeBudget())


def charge(budget: TimeBudget) -> None:
    """From now on what `watched` does before and after each call is paid for by this budget."""
    global _meter
    _meter = Meter(budget, _AROUND)


class Gate:
    """Whether what is watched through it goes on as if it were not."""

    __slots__ = ("closed",)

    def __init__(self) -> None:
        self.closed = False


def watched(
    original: Any,
    after: Callable[..., None],
    before: Callable[[], Any] | None = None,
    gate: Gate | None = None,
) -> Any:
    """A function that does what `original` does, and then calls `after(told, result, *arguments)`.

    `told` is what `before()` answered. What `after` raises is never the caller's: it is kept for `problems`.
    While the gate is closed neither is called.
    """

    note = noter(original)

    @functools.wraps(original)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        if gate is not None and gate.closed:
            return _plainly(original, arguments, options)
        meter = _meter
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        try:
            told = None if before is None else guarded(before, note)
        except BaseException as error:  # an interrupt
            error.__traceback__ = None
            raise
        if timed:
            timed -= meter.begin()
        try:
            result = original(*arguments, **options)
        except BaseException as error:
            hide_frame(error)
            raise
        if timed:
            timed += meter.begin()
        try:
            after(told, result, *arguments, **options)
        except Exception as error:
            note(error)
        except BaseException as error:
            # An interrupt: frames of ours would also keep the caller's data for as long as it is looked at.
            error.__traceback__ = None
            raise
        if timed:
            meter.end(timed)
        return result

    return wrapper


def _plainly(original: Any, arguments: Any, options: Any) -> Any:
    try:
        return original(*arguments, **options)
    except BaseException as error:
        hide_frame(error, frames=2)
        raise


def unseen(function: Callable[..., Any]) -> Any:
    """A replacement of ours that calls the original: neither it nor this wrapper stands in a traceback."""

    def wrapper(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except BaseException as error:
            hide_frame(error, frames=2)
            raise

    return wrapper


@contextmanager
def paused_collection() -> Iterator[None]:
    """While many small objects are made that all live on, looking for garbage finds none.

    It takes 5 % of the time in a full kernel and a fifth in a fresh one.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
