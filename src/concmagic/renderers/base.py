"""What all renderers have in common: one call."""

from __future__ import annotations

from typing import Protocol

from concmagic.report import Report


class Renderer(Protocol):
    """Options go to the constructor; `render` is the same for all."""

    def render(self, report: Report) -> str:
        """Turn a report into a text of this renderer's format."""
        ...
