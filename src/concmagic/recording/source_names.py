"""What the user's source calls what is waited for, a lock or a call: read after the cell, a file once."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from itertools import islice
from types import CodeType
from typing import Generic, TypeVar, cast

from concmagic.call_lines import syntax_tree

Position = tuple[int, int, int, int]  # line, last line, column, last column
T = TypeVar("T")
_LONGEST = 40
_TAKES_METHODS = frozenset(
    ("acquire", "wait", "wait_for", "get", "put", "join", "get_nowait", "put_nowait", "acquire_lock")
)
_WRAPPERS = ("wait_for", "shield")
_MAKERS = ("create_task", "ensure_future")  # what they are methods of is not what is awaited


class Sources(Generic[T]):
    """Finds what `read` makes of a file's syntax tree, by the positions of its nodes."""

    def __init__(self, read: Callable[[ast.Module], dict[Position, T]]) -> None:
        self._read = read
        self._files: dict[str, dict[Position, T]] = {}

    def at(self, code: CodeType, instruction: int) -> T | None:
        """What was read for the node that this instruction belongs to; None if that is nothing."""
        position = _position(code, instruction)
        if position is None or None in position:
            return None
        known = self._files.get(code.co_filename)
        if known is None:
            tree = syntax_tree("".join(linecache.getlines(code.co_filename)))
            known = self._files[code.co_filename] = {} if tree is None else self._read(tree)
        line, end_line, column, end_column = position
        return known.get((line or 0, end_line or 0, column or 0, end_column or 0))


def _position(
    code: CodeType, instruction: int
) -> tuple[int | None, int | None, int | None, int | None] | None:
    return next(islice(code.co_positions(), max(instruction, 0) // 2, None), None)


def position_of(node: ast.expr | ast.stmt) -> Position:
    """Where a node stands, as an instruction of its tells it."""
    return node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0


def dotted(node: ast.expr) -> str:
    """A plain name, attributes or an item of such; without "self.". "" for anything that is computed."""
    inner: ast.expr = node
    while isinstance(inner, (ast.Attribute, ast.Subscript)):
        inner = inner.value
    if not isinstance(inner, ast.Name):
        return ""
    name = ast.unparse(node).removeprefix("self.")
    return name if len(name) <= _LONGEST else ""


def line_of(code: CodeType, instruction: int) -> int:
    """The line of an instruction; the function's first where it has none."""
    position = _position(code, instruction)
    return (position[0] if position else None) or code.co_firstlineno


def lock_names(tree: ast.Module) -> dict[Position, str]:
    """The name of what is waited for, by where; "" for anything that is computed."""
    found: dict[Position, str] = {}
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in _TAKES_METHODS:
            found[position_of(cast("ast.Call", node))] = dotted(called.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            names = [dotted(item.context_expr) for item in node.items]
            found[position_of(node)] = names[0] if len(names) == 1 else ""  # up to 3.12 it stands for each
            found |= {
                position_of(one.context_expr): name for one, name in zip(node.items, names, strict=True)
            }
    return found


class AwaitNames:
    """Finds names in the sources of one cell's code; each source is parsed once, after the cell."""

    def __init__(self) -> None:
        self._sources = Sources(_names)

    def at(self, code: CodeType, instruction: int, called: bool = False) -> str:
        """The name in `await NAME.get()` or `async with NAME` at this instruction; "" if there is none.

        `called` asks for "NAME.get()" where that is what is awaited: a future that a call returned.
        """
        name, call = (self._sources.at(code, instruction) if instruction >= 0 else None) or ("", "")
        return call or name if called else name


def _names(tree: ast.Module) -> dict[Position, tuple[str, str]]:
    found: dict[Position, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Await):
            found[position_of(node)] = _awaited(node.value), _call(node.value)
        elif isinstance(node, ast.AsyncWith):
            names = [dotted(item.context_expr) for item in node.items]
            found[position_of(node)] = (names[0] if len(names) == 1 else "", "")  # 3.11 and 3.12 tell no more
            found.update(
                (position_of(item.context_expr), (name, ""))
                for item, name in zip(node.items, names, strict=True)
            )
    return found


def _awaited(value: ast.expr) -> str:
    """The thing whose method is awaited, or what is awaited itself; within `wait_for(…)` what that awaits."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr in _WRAPPERS and value.args:
            return _awaited(value.args[0])
        return "" if value.func.attr in _MAKERS else dotted(value.func.value)
    return dotted(value)


def _call(value: ast.expr) -> str:
    """The call whose result is awaited, without its arguments; "" where it is none, or only wraps another."""
    if not isinstance(value, ast.Call) or _last_name(value.func) in (*_WRAPPERS, *_MAKERS):
        return ""
    name = dotted(value.func)
    return f"{name}()" if name else ""


def _last_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
