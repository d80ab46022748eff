"""A report into a file: the suffix says how; and what all renderers have in common."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from concmagic import sentences
from concmagic.errors import OptionError
from concmagic.report import Report


class Renderer(Protocol):
    """Options go to the constructor; `render` is the same for all."""

    def render(self, report: Report) -> str:
        """Turn a report into a text of this renderer's format."""
        ...


def write(report: Report, path: Path) -> Path:
    """Write a report; the suffix says how: .html .svg .txt .json .json.gz.

    Raises OptionError for another suffix, OSError if the file cannot be written.
    """
    suffix = next((known for known in SUFFIXES if path.name.lower().endswith(known)), None)
    if suffix is None:
        raise OptionError(sentences.no_such_suffix(path.name, list(SUFFIXES)))
    text = SUFFIXES[suffix]().render(report)
    if suffix == ".txt":
        text += "\n"  # as a notebook adds one where it shows it
    data = text.encode("utf-8", "replace")
    path.write_bytes(gzip.compress(data, mtime=0) if suffix.endswith(".gz") else data)
    return path


def _html() -> Renderer:
    from concmagic.renderers.html import HtmlRenderer

    return HtmlRenderer(page=True)


def _svg() -> Renderer:
    from concmagic.renderers.svg import SvgRenderer

    return SvgRenderer()


def _text() -> Renderer:
    from concmagic.renderers.text import TextRenderer

    return TextRenderer()


def _json() -> Renderer:
    from concmagic.renderers.perfetto import PerfettoRenderer

    return PerfettoRenderer()


SUFFIXES: dict[str, Callable[[], Renderer]] = {
    ".html": _html,
    ".svg": _svg,
    ".txt": _text,
    ".json.gz": _json,
    ".json": _json,
}
