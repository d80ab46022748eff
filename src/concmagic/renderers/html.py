"""The interactive picture: a static one that a script upgrades where scripts may run.

Nothing of the report is written into markup but through `escape`, nothing into the script but
through `_json`. Every output has an id of its own; a copy of an output upgrades only itself.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import zlib
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from concmagic import sentences
from concmagic.renderers.measure import one_line
from concmagic.renderers.payload import payload
from concmagic.renderers.svg import SvgRenderer
from concmagic.renderers.svg_pen import WIDTH
from concmagic.report import Report

# The scripts share one scope, as in the check of their types (`make types-js`). Comments and blanks are left
# out, which leaves three fifths of the text; tests/js/shipped.test.js compares it with the sources.
SCRIPTS = (
    "timeline_schema.js",
    "timeline_decode.js",
    "timeline_model.js",
    "timeline_paint.js",
    "timeline_head.js",
    "timeline_calls.js",
    "timeline_words.js",
    "timeline_panels.js",
    "timeline_moves.js",
    "timeline_input.js",
    "timeline_theme.js",
    "timeline_view.js",
)
START = "timeline_start.js"  # unpacks the others: an output carries it as it is
# Strings, templates (none within another) and regular expressions (all are arguments) stay as they are.
_KEPT = r'("[^"\\\n]*(?:\\.[^"\\\n]*)*"|`[^`\\]*(?:\\.[^`\\]*)*`|\(/(?![/*])(?:[^/\\\n]|\\.)+/)'
_COMMENT = re.compile(rf"{_KEPT}|/\*.*?\*/|//[^\n]*", re.DOTALL)
# A blank may go unless it is between two words, two plus or two minus signs.
_BLANK = re.compile(
    rf"{_KEPT}|  *(?:(?<![\w$+-] )|(?![\w$+-])|(?<=[\w$] )(?=[+-])|(?<=[+-] )(?=[\w$])"
    r"|(?<=\+ )(?=-)|(?<=- )(?=\+))"
)


class HtmlRenderer:
    """Report → HTML: a fragment for a notebook, or a whole page for a file."""

    def __init__(self, page: bool = False) -> None:
        self._page = page

    def render(self, report: Report) -> str:
        """Draw the report; the result needs no network and no other file."""
        identity = f"concmagic-{secrets.token_hex(8)}"
        picture = _static(report, identity)
        if report.question:
            picture = _closed(report.question, picture)
        fragment = picture + _script(report, identity)
        return _whole_page(report, fragment) if self._page else fragment


def _static(report: Report, identity: str) -> str:
    svg = SvgRenderer().render(report)
    data = base64.b64encode(svg.encode("utf-8", "replace")).decode("ascii")
    style = f"display:block;width:100%;max-width:{WIDTH:.0f}px;height:auto"
    image = f'<img alt="{_attribute(_alt(report))}" src="data:image/svg+xml;base64,{data}" style="{style}">'
    return f'<div id="{identity}" class="concmagic">{image}</div>'


def _alt(report: Report) -> str:
    numbers = [f"{chip.label} {chip.value}, {chip.note}." for chip in report.chips]
    sums = [
        f"{total.label} {sentences.duration(total.length_ns)}" for total in report.legend if total.length_ns
    ]
    return sentences.picture_alt(report.headline, " ".join([*numbers, ", ".join(sums)]))


def _closed(question: str, picture: str) -> str:
    summary = escape(one_line(question))
    style = "cursor:pointer;font-size:18px;font-weight:600;padding:8px 0"
    return f'<details><summary style="{style}">{summary}</summary>{picture}</details>'


def _script(report: Report, identity: str) -> str:
    call = f"concmagicStart({_json(identity)}, {_json(packed(payload(report)))}, {_json(_packed_scripts())});"
    return f"<script>(() => {{\n{_shipped(resource(START))}\n{call}\n}})();</script>"


@cache
def _packed_scripts() -> str:
    """The scripts and the style: packed they take two fifths of the room, and each output carries them."""
    return packed([shipped(), resource("timeline.css")])


def _json(value: Any) -> str:
    """JSON that can stand in a script: no tag can begin in it. ASCII, so no lone surrogate either."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def packed(value: Any) -> str:
    """JSON, compressed to a third: a notebook keeps every picture in its file. Every browser unpacks it."""
    compressed = zlib.compress(json.dumps(value, separators=(",", ":")).encode())
    return base64.b64encode(compressed).decode("ascii")


def _attribute(text: str) -> str:
    return escape(one_line(text), quote=True)


def _whole_page(report: Report, fragment: str) -> str:
    title = escape(one_line(report.headline))
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    view = (
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
    )
    return f'{head}{view}</head><body style="margin:16px">{fragment}</body></html>\n'


def resource(name: str) -> str:
    """The text of a file beside the scripts."""
    return (resources.files("concmagic.renderers") / "html_resources" / name).read_text(encoding="utf-8")


def joined() -> str:
    """The sources, one after the other."""
    return "\n".join(map(resource, SCRIPTS))


@cache
def shipped() -> str:
    """The sources without comments, indentation and blanks between signs; line ends stay."""
    return _shipped(joined())


def _shipped(text: str) -> str:
    lines = _COMMENT.sub(r"\1", text).splitlines()
    return _BLANK.sub(r"\1", "\n".join(line.strip() for line in lines if line.strip()))
