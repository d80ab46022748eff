"""The moment before a cell is stopped, when everything still stands where it was stuck."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

Look = Callable[[FrameType | None], None]

_looks: list[Look] = []


def call(look: Look) -> None:
    """Call this when the cell is about to be stopped, with the frame that the stopping thread stands in."""
    _looks.append(look)


def forget(look: Look) -> None:
    """Call it no more."""
    if look in _looks:
        _looks.remove(look)


def look_before_end(frame: FrameType | None) -> None:
    """Let everybody look who wants to; a look that fails costs itself."""
    for look in list(_looks):
        try:
            look(frame)
        except Exception:
            forget(look)
