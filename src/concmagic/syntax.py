"""Source as a notebook's user writes it: with lines that only IPython understands."""

from __future__ import annotations

import ast


def parsed(text: str) -> ast.Module | None:
    """The syntax tree of a cell or file, with the lines it has there; None if Python cannot read it."""
    try:
        return ast.parse(_without_magics(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: it is nested too deep
        return None


def _without_magics(text: str) -> str:
    """The text with the lines that only IPython understands made harmless, in place."""
    lines = text.split("\n")
    for index, line in enumerate(lines):
        code = line.lstrip()
        if code[:1] in ("%", "!", "?"):
            lines[index] = line[: len(line) - len(code)] + "pass"
    return "\n".join(lines)
