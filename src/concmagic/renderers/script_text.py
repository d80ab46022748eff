"""The scripts of the picture as the one text that stands in every output.

They share one scope, as in the check of their types (`make types-js`). Comments and blanks are left out,
which leaves three fifths of the text; tests/js/shipped.test.js compares it with the sources, token by token.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

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
    "timeline_view.js",
)
# Strings, templates (none within another) and regular expressions (all are arguments) stay as they are.
_KEPT = r'("[^"\\\n]*(?:\\.[^"\\\n]*)*"|`[^`\\]*(?:\\.[^`\\]*)*`|\(/(?![/*])(?:[^/\\\n]|\\.)+/)'
_COMMENT = re.compile(rf"{_KEPT}|/\*.*?\*/|//[^\n]*", re.DOTALL)
# A blank may go unless it is between two words, two plus or two minus signs.
_BLANK = re.compile(
    rf"{_KEPT}|  *(?:(?<![\w$+-] )|(?![\w$+-])|(?<=[\w$] )(?=[+-])|(?<=[+-] )(?=[\w$])"
    r"|(?<=\+ )(?=-)|(?<=- )(?=\+))"
)


def resource(name: str) -> str:
    """The text of a file beside the scripts."""
    return (resources.files("concmagic.renderers") / "html_resources" / name).read_text(encoding="utf-8")


def joined() -> str:
    """The sources, one after the other."""
    return "\n".join(map(resource, SCRIPTS))


@cache
def shipped() -> str:
    """The sources without comments, indentation and blanks between signs; line ends stay."""
    lines = _COMMENT.sub(r"\1", joined()).splitlines()
    return _BLANK.sub(r"\1", "\n".join(line.strip() for line in lines if line.strip()))
