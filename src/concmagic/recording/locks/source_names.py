"""What the source calls a lock where it is waited for: `with LOCK`, `LOCK.acquire()`, `QUEUE.get()`."""

from __future__ import annotations

import ast
import linecache
from itertools import islice
from types import CodeType
from typing import cast

_Position = tuple[int, int, int, int]
_LONGEST = 40
_TAKES_METHODS = frozenset(
    ("acquire", "wait", "wait_for", "get", "put", "join", "get_nowait", "put_nowait", "acquire_lock")
)


def line_of(code: CodeType, instruction: int) -> int:
    """The line of an instruction; the function's first where it has none."""
    position = next(islice(code.co_positions(), max(instruction, 0) // 2, None), None)
    return (position[0] if position else None) or code.co_firstlineno


class SourceNames:
    """Reads each source once."""

    def __init__(self) -> None:
        self._files: dict[str, dict[_Position, str]] = {}

    def at(self, code: CodeType, instruction: int) -> str:
        """The name of what is waited for at this instruction; "" for anything that is computed."""
        position = next(islice(code.co_positions(), max(instruction, 0) // 2, None), None)
        if position is None or None in position:
            return ""
        line, end_line, column, end_column = position
        names = self._files.get(code.co_filename)
        if names is None:
            names = self._files[code.co_filename] = _read(code.co_filename)
        return names.get((line or 0, end_line or 0, column or 0, end_column or 0), "")


def _read(file: str) -> dict[_Position, str]:
    lines = linecache.getlines(file)
    # Lines that only a notebook understands are no part of the program; the others keep their numbers.
    text = "".join("\n" if line.startswith(("%", "!")) else line for line in lines)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[_Position, str] = {}
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in _TAKES_METHODS:
            found[_position(cast("ast.Call", node))] = _dotted(called.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            names = [_dotted(item.context_expr) for item in node.items]
            found[_position(node)] = names[0] if len(names) == 1 else ""  # up to 3.12 it stands for each
            found |= {_position(one.context_expr): name for one, name in zip(node.items, names, strict=True)}
    return found


def _position(node: ast.expr | ast.stmt) -> _Position:
    return node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0


def _dotted(node: ast.expr) -> str:
    """A plain name with attributes and items, without "self."."""
    inner: ast.expr = node
    while isinstance(inner, (ast.Attribute, ast.Subscript)):
        inner = inner.value
    if not isinstance(inner, ast.Name):
        return ""
    name = ast.unparse(node).removeprefix("self.")
    return name if len(name) <= _LONGEST else ""
