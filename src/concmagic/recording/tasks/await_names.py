"""What the user's code calls the thing it awaits: read from its source, not from its variables.

Asking a frame for its variables would, up to 3.12, keep alive what they stand for.
"""

from __future__ import annotations

import ast
import linecache
from itertools import islice
from types import CodeType

Position = tuple[int, int, int, int]
_LONGEST = 40
_WRAPPERS = ("wait_for", "shield")
_MAKERS = ("create_task", "ensure_future")  # what they are methods of is not what is awaited


class AwaitNames:
    """Finds names in the sources of one cell's code; each source is parsed once, after the cell."""

    def __init__(self) -> None:
        self._files: dict[str, dict[Position, tuple[str, str]]] = {}

    def at(self, code: CodeType, instruction: int, called: bool = False) -> str:
        """The name in `await NAME.get()` or `async with NAME` at this instruction; "" if there is none.

        `called` asks for "NAME.get()" where that is what is awaited: a future that a call returned.
        """
        position = next(islice(code.co_positions(), max(instruction, 0) // 2, None), None)
        if instruction < 0 or position is None or None in position:
            return ""
        line, end_line, column, end_column = position
        known = self._files.get(code.co_filename)
        if known is None:
            known = self._files[code.co_filename] = _names(code.co_filename)
        name, call = known.get((line or 0, end_line or 0, column or 0, end_column or 0), ("", ""))
        return call or name if called else name


def _names(file: str) -> dict[Position, tuple[str, str]]:
    lines = linecache.getlines(file)
    # Lines that only a notebook understands are no part of the program's own; numbers stay as they are.
    text = "".join("\n" if line.startswith(("%", "!")) else line for line in lines)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return {}
    found: dict[Position, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Await):
            found[_position(node)] = _awaited(node.value), _call(node.value)
        elif isinstance(node, ast.AsyncWith):
            names = [_dotted(item.context_expr) for item in node.items]
            found[_position(node)] = (names[0] if len(names) == 1 else "", "")  # 3.11 and 3.12 tell no more
            found.update(
                (_position(item.context_expr), (name, ""))
                for item, name in zip(node.items, names, strict=True)
            )
    return found


def _position(node: ast.expr | ast.stmt) -> Position:
    return node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0


def _awaited(value: ast.expr) -> str:
    """The thing whose method is awaited, or what is awaited itself; within `wait_for(…)` what that awaits."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr in _WRAPPERS and value.args:
            return _awaited(value.args[0])
        return "" if value.func.attr in _MAKERS else _dotted(value.func.value)
    return _dotted(value)


def _call(value: ast.expr) -> str:
    """The call whose result is awaited, without its arguments; "" where it is none, or only wraps another."""
    if not isinstance(value, ast.Call) or _last_name(value.func) in (*_WRAPPERS, *_MAKERS):
        return ""
    name = _dotted(value.func)
    return f"{name}()" if name else ""


def _last_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _dotted(node: ast.expr) -> str:
    """A plain name, attributes or an item of such; without "self.". "" for anything that is computed."""
    inner: ast.expr = node
    while isinstance(inner, (ast.Attribute, ast.Subscript)):
        inner = inner.value
    if not isinstance(inner, ast.Name):
        return ""
    name = ast.unparse(node).removeprefix("self.")
    return name if len(name) <= _LONGEST else ""
