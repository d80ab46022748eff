"""Report → text, SVG, HTML, Trace Event Format; `write` puts a report into a file, as its suffix says.

Runs after the cell, or wherever a saved trace is read.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Protocol

from concmagic import sentences
from concmagic.errors import OptionError
from concmagic.options import SUFFIXES, Suffix
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
    text = _renderer(suffix).render(report)
    if suffix == ".txt":
        text += "\n"  # as a notebook adds one where it shows it
    data = text.encode("utf-8", "replace")
    path.write_bytes(gzip.compress(data, mtime=0) if suffix.endswith(".gz") else data)
    return path


def _renderer(suffix: Suffix) -> Renderer:
    match suffix:
        case ".html":
            from concmagic.renderers.html import HtmlRenderer

            return HtmlRenderer(page=True)
        case ".svg":
            from concmagic.renderers.svg import SvgRenderer

            return SvgRenderer()
        case ".txt":
            from concmagic.renderers.text import TextRenderer

            return TextRenderer()
        case ".json" | ".json.gz":
            from concmagic.renderers.perfetto import PerfettoRenderer

            return PerfettoRenderer()
