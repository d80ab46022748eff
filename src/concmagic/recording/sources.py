"""What the user's source says where an instruction stands: read after the cell, each file once."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from itertools import islice
from types import CodeType
from typing import Generic, TypeVar

from concmagic.call_lines import syntax_tree

Position = tuple[int, int, int, int]  # line, last line, column, last column
T = TypeVar("T")
_LONGEST = 40


class Sources(Generic[T]):
    """Finds what `read` makes of a file's syntax tree, by the positions of its nodes."""

    def __init__(self, read: Callable[[ast.Module], dict[Position, T]]) -> None:
        self._read = read
        self._files: dict[str, dict[Position, T]] = {}

    def at(self, code: CodeType, instruction: int) -> T | None:
        """What was read for the node that this instruction belongs to; None if that is nothing."""
        position = next(islice(code.co_positions(), max(instruction, 0) // 2, None), None)
        if position is None or None in position:
            return None
        known = self._files.get(code.co_filename)
        if known is None:
            tree = syntax_tree("".join(linecache.getlines(code.co_filename)))
            known = self._files[code.co_filename] = {} if tree is None else self._read(tree)
        line, end_line, column, end_column = position
        return known.get((line or 0, end_line or 0, column or 0, end_column or 0))


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
