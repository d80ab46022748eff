"""The page of the static picture: its measures, and what a section of it is."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH = 980.0
MARGIN = 18.0
ENDS = 208.0  # room at the end of a lane
LEFT = MARGIN + 164.0  # after the lanes' names
RIGHT = WIDTH - MARGIN - ENDS


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the picture: its shapes and where the next one begins."""

    shapes: list[str]
    bottom: float
