"""A `for` header: its target, and the expression that the items come from."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from concmagic import sentences
from concmagic.cell import Cell
from concmagic.errors import OptionError
from concmagic.options import Options


@dataclass(frozen=True, slots=True)
class Header:
    """`for target in iterable`, compiled to run once in the notebook's namespace."""

    target: ast.expr
    iterable: CodeType
    is_async: bool  # `async for`

    @property
    def awaits(self) -> bool:
        """Whether the iterable's expression itself awaits."""
        return bool(self.iterable.co_flags & inspect.CO_COROUTINE)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that an item is bound to, in order."""
        return tuple(node.id for node in _leaves(self.target) if isinstance(node, ast.Name))


def compile_header(cell: Cell, options: Options, shell: Any) -> Header:
    """Read and compile the header. Raises OptionError that says what would be right."""
    loop = _parse(options.header)
    for leaf in _leaves(loop.target):
        if not isinstance(leaf, ast.Name):
            raise OptionError(sentences.target_is_no_name(ast.unparse(leaf)))
    try:
        with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
            code = shell.compile(ast.Expression(loop.iter), cell.file, "eval")
    except SyntaxError as error:
        raise OptionError(sentences.bad_header(options.header, error.msg)) from None
    header = Header(loop.target, code, isinstance(loop, ast.AsyncFor))
    if header.awaits and options.model != "asyncio":
        raise OptionError(sentences.await_in_header(options.header))
    return header


def _parse(text: str) -> ast.For | ast.AsyncFor:
    try:
        parsed = ast.parse(f"{text}:\n pass").body
    except SyntaxError as error:
        if _is_whole_loop(text):
            raise OptionError(sentences.body_in_header(text)) from None
        raise OptionError(sentences.bad_header(text, error.msg)) from None
    loop = parsed[0]
    if len(parsed) != 1 or not isinstance(loop, (ast.For, ast.AsyncFor)):
        raise OptionError(sentences.bad_header(text, "invalid syntax"))
    return loop


def _is_whole_loop(text: str) -> bool:
    """Whether the body stands on the magic's line, too."""
    try:
        return isinstance(ast.parse(text).body[0], (ast.For, ast.AsyncFor))
    except SyntaxError:
        return False


def _leaves(target: ast.expr) -> Iterator[ast.expr]:
    """What the tuples of a target are made of."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            yield from _leaves(element)
    elif isinstance(target, ast.Starred):
        yield from _leaves(target.value)
    else:
        yield target
