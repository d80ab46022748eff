"""The moment before a cell is stopped, when everything still stands where it was stuck."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

Look = Callable[[FrameType | None], None]

_looks: dict[Look, Callable[[Exception], None]] = {}  # and whom to tell if it fails


def call(look: Look, failed: Callable[[Exception], None]) -> None:
    """Call this when the cell is about to be stopped, with the frame that the stopping thread stands in.

    A look that fails costs itself: its error is told to `failed`, and the cell is stopped all the same.
    """
    _looks[look] = failed


def forget(look: Look) -> None:
    """Call it no more."""
    _looks.pop(look, None)


def look_before_end(frame: FrameType | None) -> None:
    """Let everybody look who wants to."""
    for look, failed in list(_looks.items()):
        try:
            look(frame)
        except Exception as error:
            forget(look)
            failed(error)
