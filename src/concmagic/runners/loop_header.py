"""A `for` header: its target, the expression that the items come from, and what items are called.

Lanes and the notes of exceptions call them by a shortened repr.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from concmagic import sentences
from concmagic.cell import Cell, Shell
from concmagic.errors import OptionError
from concmagic.options import Options
from concmagic.recording.labels import cut, shorten, value_label

_MOST_CHARACTERS = 60


def item_label(names: tuple[str, ...], item: Any) -> str:
    """Write an item: "url='a.org'", "n=3", "a=1, b=2"; never raises."""
    try:
        return shorten(_label(names, item), _MOST_CHARACTERS)
    except Exception:  # a hostile object must not cost the item its run
        return f"{', '.join(names)}={type(item).__name__}(…)"


def length_of(items: Any) -> int | None:
    """How many items there are, where that can be known without reading them."""
    if not hasattr(type(items), "__len__"):
        return None
    try:
        return len(items)
    except Exception:  # some sized objects are not, such as a tensor without dimensions
        return None


def _label(names: tuple[str, ...], item: Any) -> str:
    if len(names) == 1:
        return f"{names[0]}={value_text(item)}"
    if type(item) in (tuple, list) and len(item) == len(names):
        return ", ".join(f"{name}={value_text(value)}" for name, value in zip(names, item, strict=True))
    return value_text(item)


def value_text(value: Any) -> str:
    """A shortened repr in one line. Containers that Python does not know itself are named by their type."""
    plain = value_label(value)
    if not plain.endswith("(…)") or hasattr(type(value), "__len__"):
        return plain
    if getattr(type(value), "__repr__", None) is object.__repr__:
        return plain
    return shorten(" ".join(cut(repr(value)).split()), _MOST_CHARACTERS)


_BEGIN = ".begin"  # no name of the user's can be this


@dataclass(frozen=True, slots=True)
class Source:
    """Where the items come from: an iterator, and how many there are where that is known."""

    items: Any
    length: int | None


@dataclass(frozen=True, slots=True)
class Header:
    """`for target in iterable`, compiled to run once in the notebook's namespace."""

    target: ast.expr
    iterable: CodeType  # calls `_BEGIN` on the iterable, so that one which is none fails on the header's line
    is_async: bool  # `async for`
    line: int  # where it stands

    @property
    def awaits(self) -> bool:
        """Whether the iterable's expression itself awaits."""
        return bool(self.iterable.co_flags & inspect.CO_COROUTINE)

    def begin(self, shell: Shell) -> Source:
        """Evaluate the iterable in the notebook's namespace."""
        bound = self._helpers()
        source: Source = eval(self.iterable, shell.user_ns, bound)
        _bind(bound, shell)
        return source

    async def begin_async(self, shell: Shell) -> Source:
        """Evaluate the iterable where its expression may await, or is an asynchronous one."""
        if not self.awaits:
            return self.begin(shell)
        bound = self._helpers()
        source: Source = await eval(self.iterable, shell.user_ns, bound)
        _bind(bound, shell)
        return source

    def _helpers(self) -> dict[str, Any]:
        return {_BEGIN: _begin_async if self.is_async else _begin}

    @property
    def names(self) -> tuple[str, ...]:
        """The names that an item is bound to, in order."""
        return tuple(node.id for node in _leaves(self.target) if isinstance(node, ast.Name))


def compile_header(cell: Cell, options: Options, shell: Shell) -> Header:
    """Read and compile the header. Raises OptionError that says what would be right."""
    loop, line = _parse(options.header), cell.first_line - 1
    for leaf in _leaves(loop.target):
        if not isinstance(leaf, ast.Name):
            raise OptionError(sentences.target_is_no_name(ast.unparse(leaf)))
    try:
        with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
            code = shell.compile(_beginning(loop, line), cell.file, "eval")
    except SyntaxError as error:
        raise OptionError(sentences.bad_header(options.header, error.msg)) from None
    header = Header(loop.target, code, isinstance(loop, ast.AsyncFor), line)
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


def _beginning(loop: ast.For | ast.AsyncFor, line: int) -> ast.Expression:
    call = ast.Call(ast.Name(_BEGIN, ast.Load()), [loop.iter], [])
    expression = ast.fix_missing_locations(ast.Expression(ast.copy_location(call, loop.iter)))
    ast.increment_lineno(expression, line - 1)
    return expression


def _begin(iterable: Any) -> Source:
    return Source(iter(iterable), length_of(iterable))


def _begin_async(iterable: Any) -> Source:
    return Source(aiter(iterable), None)


def _bind(bound: dict[str, Any], shell: Shell) -> None:
    """What `:=` in the header has bound belongs to the notebook."""
    del bound[_BEGIN]
    shell.user_ns.update(bound)


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
