"""What the user's source says, looked up after the cell: where a call stands, the name of what is awaited.

The line of a call, which the tracer does not tell, is told only where it is certain: the function calls that
name at one place.
"""

from __future__ import annotations

import ast
import linecache
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from types import CodeType
from typing import Generic, TypeVar, cast

_FIRST_LINE = 2  # the magic's own line is 1
_LONGEST = 40
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Module | _Comprehension
_COMPREHENSIONS: dict[type[ast.AST], str] = {
    ast.ListComp: "<listcomp>",
    ast.SetComp: "<setcomp>",
    ast.DictComp: "<dictcomp>",
    ast.GeneratorExp: "<genexpr>",
}
_Sites = dict[str, list[tuple[int, str]]]

Position = tuple[int, int, int, int]  # line, last line, column, last column
T = TypeVar("T")
_TAKES_METHODS = frozenset(
    ("acquire", "wait", "wait_for", "get", "put", "join", "get_nowait", "put_nowait", "acquire_lock")
)
_WRAPPERS = ("wait_for", "shield")
_MAKERS = ("create_task", "ensure_future")  # what they are methods of is not what is awaited


def syntax_tree(text: str) -> ast.Module | None:
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


class CallLines:
    """Where in which function what is called."""

    def __init__(self, source: str, cell_file: str) -> None:
        self._source = source
        self._cell_file = cell_file
        self._scopes: dict[str, dict[tuple[str, int], _Sites]] = {}

    def find(self, file: str, function: str, line: int, callee: str) -> tuple[int, str]:
        """The line and the text of the only call of `callee` in a function; (0, "") if there is not one.

        `function` and `line` are the function's qualified name and the first line of its code object.
        """
        sites = self._sites(file, function.rpartition(".")[2], line).get(callee.rpartition(".")[2], [])
        if len(sites) > 1:  # asyncio.sleep and time.sleep: the text tells them apart
            sites = [site for site in sites if site[1].startswith(f"{callee}(")]
        return sites[0] if len(sites) == 1 else (0, "")

    def _sites(self, file: str, function: str, line: int) -> _Sites:
        scopes = self._scopes.get(file)
        if scopes is None:
            scopes = self._scopes[file] = self._read(file)
        if function == "<module>":
            return scopes.get(("<module>", 0), {})
        return scopes.get((function, line), {})

    def _read(self, file: str) -> dict[tuple[str, int], _Sites]:
        if file == self._cell_file:
            text, shift = self._source, _FIRST_LINE - 1
        else:
            text, shift = "".join(linecache.getlines(file)), 0
        tree = syntax_tree(text)
        if tree is None:
            return {}  # then no line is known
        return {key: _sites_of(scope, text, shift) for scope, key in _scopes(tree, shift)}


def call_text(source: str, line: int, callee: str) -> str:
    """The text of the only call of `callee` on a line of this cell: "time.sleep(0.3)", or ""."""
    tree = syntax_tree(source)
    if tree is None:
        return ""
    name = callee.rpartition(".")[2]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node) == name]
    texts = {_text(source, node) for node in calls if node.lineno + _FIRST_LINE - 1 == line}
    return texts.pop() if len(texts) == 1 else ""


def called_name(text: str) -> str:
    """What is called in a call's text: "jobs.get" of "jobs.get(timeout=1)", "result" of "f(x).result()"."""
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return ""
    if not isinstance(call, ast.Call):
        return ""
    inner = call.func
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    return ast.unparse(call.func) if isinstance(inner, ast.Name) else _name(call)


def parsed(source: str) -> tuple[ast.Module, int]:
    """The cell's tree, empty if Python cannot read it, and what to add to its lines for the editor's."""
    tree = syntax_tree(source)
    return (ast.Module([], []), 0) if tree is None else (tree, _FIRST_LINE - 1)


def _scopes(tree: ast.Module, shift: int) -> Iterator[tuple[_Scope, tuple[str, int]]]:
    yield tree, ("<module>", 0)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            yield node, (node.name, first + shift)
        elif isinstance(node, ast.Lambda):
            yield node, ("<lambda>", node.lineno + shift)
        elif isinstance(node, _Comprehension):  # a function of its own: before 3.12 all, later generators
            yield node, (_COMPREHENSIONS[type(node)], node.lineno + shift)


def _sites_of(scope: _Scope, text: str, shift: int) -> _Sites:
    sites: _Sites = defaultdict(list)
    for node in _own_nodes(scope):
        if isinstance(node, ast.Call) and (name := _name(node)):
            sites[name].append((node.lineno + shift, _text(text, node)))
        elif isinstance(node, ast.With | ast.AsyncWith):
            for name in ("__exit__", "__enter__", "__aexit__"):
                sites[name].append((node.lineno + shift, ""))
        elif isinstance(node, ast.For):
            sites["result_iterator"].append((node.lineno + shift, ""))
    return dict(sites)


def _own_nodes(scope: _Scope) -> Iterator[ast.AST]:
    """Everything in a scope but what stands in functions inside it."""
    if isinstance(scope, _Comprehension):
        waiting: list[ast.AST] = list(ast.iter_child_nodes(scope))
    else:
        waiting = list(scope.body) if isinstance(scope.body, list) else [scope.body]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def _name(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _text(source: str, node: ast.Call) -> str:
    text = ast.get_source_segment(source, node) or ""
    return text if len(text) <= _LONGEST and "\n" not in text else ""


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
    if not isinstance(value, ast.Call) or _name(value) in (*_WRAPPERS, *_MAKERS):
        return ""
    name = dotted(value.func)
    return f"{name}()" if name else ""


def callee_of(call: ast.Call) -> str:
    """The last name of what is called: "submit" of `pool.submit(f)`; "" where it has none."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
