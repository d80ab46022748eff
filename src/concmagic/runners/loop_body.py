"""A cell under a `for` header: one body, compiled as a function of one item, run once per item.

The statements are compiled twice. First as they would stand in a notebook, inside a `for`, which gives
Python's own errors at the editor's lines. Then the same tree as a function's body, so that each item has
names of its own.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import types
import warnings
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, TypeVar

from concmagic import sentences
from concmagic.cell import Cell, Program, Shell, gutter_text, show_in_tracebacks
from concmagic.errors import BodyError
from concmagic.options import Options
from concmagic.recording import cpu_time
from concmagic.runners.loop_header import Header, Source, compile_header
from concmagic.runners.loop_jobs import LoopRun, Results

# What tracebacks call the code of a plain cell; a body is one, not a function the user wrote.
CODE_NAME = "<module>"
_PREFIX = f"{CODE_NAME}.<locals>."
_ITEM = ".item"  # no name of the user's can be this

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_NO_BODY = {
    ast.Return: sentences.RETURN_IN_BODY,
    ast.Yield: sentences.YIELD_IN_BODY,
    ast.YieldFrom: sentences.YIELD_IN_BODY,
}
Node = TypeVar("Node", bound=ast.AST)


def compile_body(cell: Cell, header: Header, options: Options, shell: Shell) -> CodeType:
    """The body as the code of a function of one item; of an `async def` under asyncio.

    Raises SyntaxError as a plain cell does, BodyError for what no loop body can contain.
    """
    text = gutter_text(cell, shell)
    show_in_tracebacks(cell, text)
    tree = shell.transform_ast(shell.compile.ast_parse(text, filename=cell.file))
    _refuse(tree.body, header)
    if options.model == "procs":
        _refuse_ipython(tree)
    _load_magics(tree, shell)
    awaits = _compile_in_a_loop(tree, header, cell.file, shell)
    if awaits and options.model != "asyncio":
        raise BodyError(sentences.await_in_body(options.model))
    return _compile_function(tree.body, header, options.model == "asyncio", cell.file, shell)


# ---- what cannot be in a body ----------------------------------------------------------------


def _refuse(body: list[ast.stmt], header: Header) -> None:
    for node in _in_scope(body):
        if type(node) in _NO_BODY:
            raise BodyError(sentences.at_line(_NO_BODY[type(node)], node.lineno))  # type: ignore[attr-defined]
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            raise BodyError(sentences.at_line(sentences.STAR_IN_BODY, node.lineno))
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            raise BodyError(sentences.at_line(sentences.FUTURE_IN_BODY, node.lineno))
        if isinstance(node, ast.Global):
            for name in set(node.names).intersection(header.names):
                raise BodyError(sentences.global_of_header(name))
    for statement in _of_the_loop(body, ast.Break):
        raise BodyError(sentences.at_line(sentences.BREAK_IN_BODY, statement.lineno))


def _refuse_ipython(tree: ast.Module) -> None:
    """A line magic or `!shell` has become a call by now; no child process has an IPython."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "get_ipython":
            raise BodyError(sentences.at_line(sentences.MAGIC_IN_BODY, node.lineno))


def _load_magics(tree: ast.Module, shell: Shell) -> None:
    """Have IPython import the body's line magics now: two threads that are the first to use one fail."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        name = node.args[0]
        if node.func.attr == "run_line_magic" and isinstance(name, ast.Constant):
            with contextlib.suppress(Exception):  # the line that needs it says what is wrong with it
                shell.find_line_magic(name.value)


def _in_scope(nodes: list[Any]) -> Iterator[ast.AST]:
    """Every node that runs in the body's own scope."""
    waiting = list(reversed(nodes))
    while waiting:
        node = waiting.pop()
        yield node
        inner = _evaluated_here(node) if isinstance(node, _SCOPES) else list(ast.iter_child_nodes(node))
        waiting.extend(reversed(inner))


def _evaluated_here(scope: Any) -> list[ast.AST]:
    """What of a function or class is evaluated where it is defined."""
    decorators: list[ast.AST] = list(getattr(scope, "decorator_list", ()))
    if isinstance(scope, ast.ClassDef):
        return [*decorators, *scope.bases, *scope.keywords]
    return [*decorators, *scope.args.defaults, *filter(None, scope.args.kw_defaults)]


def _of_the_loop(body: list[ast.stmt], kind: type[Node]) -> Iterator[Node]:
    """The `break` or `continue` statements that mean the header's own loop, not one inside the body."""
    for statement in body:
        if isinstance(statement, kind):
            yield statement
        elif not isinstance(statement, _SCOPES):
            for block in _blocks(statement):
                yield from _of_the_loop(block, kind)


def _blocks(statement: ast.AST) -> Iterator[list[Any]]:
    """The lists of statements in a statement that belong to the loop that it stands in."""
    for field, value in ast.iter_fields(statement):
        if isinstance(statement, _LOOPS) and field == "body":
            continue  # the `else` of an inner loop belongs to the outer one again
        if not isinstance(value, list):
            continue
        if value and isinstance(value[0], ast.stmt):
            yield value
        for part in value:
            if isinstance(part, (ast.ExceptHandler, ast.match_case)):
                yield part.body


# ---- the two compilations --------------------------------------------------------------------


def _compile_in_a_loop(tree: ast.Module, header: Header, file: str, shell: Shell) -> bool:
    """Raise what Python says of the body as it stands; answers whether it awaits."""
    loop = ast.For(header.target, ast.Tuple([], ast.Load()), tree.body or [ast.Pass()], [])
    module = ast.fix_missing_locations(ast.Module([loop], tree.type_ignores))
    with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
        code: CodeType = shell.compile(module, file, "exec")
    return bool(code.co_flags & inspect.CO_COROUTINE)


def _compile_function(
    body: list[ast.stmt], header: Header, is_async: bool, file: str, shell: Shell
) -> CodeType:
    module = ast.parse("async def body(item): pass" if is_async else "def body(item): pass")
    function: Any = module.body[0]
    function.name = CODE_NAME
    function.args.args[0].arg, first = _binding(header)
    function.body = [*first, *_returning(body)]
    function.lineno = function.end_lineno = header.line
    ast.fix_missing_locations(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # they were shown by the first compilation
        compiled = shell.compile(module, file, "exec")
    code = next(each for each in compiled.co_consts if isinstance(each, CodeType))
    return _plainly_named(code)


def _binding(header: Header) -> tuple[str, list[ast.stmt]]:
    """The parameter's name, and the statements that bind an item to a target of several names."""
    if isinstance(header.target, ast.Name):
        return header.target.id, []
    bind = ast.Assign([header.target], ast.Name(_ITEM, ast.Load()), lineno=header.line, col_offset=0)
    forget = ast.Delete([ast.Name(_ITEM, ast.Del())], lineno=header.line, col_offset=0)
    return _ITEM, [bind, forget]


def _returning(body: list[ast.stmt]) -> list[ast.stmt]:
    """The last expression is the item's value, and `continue` ends the item."""
    for statement in _of_the_loop(body, ast.Continue):
        # In place: the same node in the same list, which the check above has finished with.
        statement.__class__ = ast.Return  # type: ignore[assignment]
        statement.value = ast.copy_location(ast.Constant(None), statement)  # type: ignore[attr-defined]
    if body and isinstance(body[-1], ast.Expr):
        last = body[-1]
        return [*body[:-1], ast.copy_location(ast.Return(last.value), last)]
    return body or [ast.Pass()]


def _plainly_named(code: CodeType) -> CodeType:
    """What the body defines is called by the name that it has in a plain cell."""
    constants = tuple(
        _plainly_named(each)
        if isinstance(each, CodeType)
        else each.removeprefix(_PREFIX)
        if isinstance(each, str)
        else each
        for each in code.co_consts
    )
    return code.replace(co_consts=constants, co_qualname=code.co_qualname.removeprefix(_PREFIX))


NAME = "the loop body"  # what messages and tasks call the body's function

_MOST_THREADS = 32


def make_program(cell: Cell, options: Options, shell: Shell) -> Program:
    """Compile header and body; the program's value is the list of the items' values, None if all are.

    Raises OptionError or BodyError with one sentence, SyntaxError as a plain cell does.
    """
    header = compile_header(cell, options, shell)
    code = compile_body(cell, header, options, shell)
    loop = _Loop(cell, options, shell, header, types.FunctionType(code, shell.user_ns, NAME))
    note = "" if options.workers else sentences.workers_note(loop.workers, options.model)
    is_async = options.model == "asyncio"
    return Program(is_async, loop.run_async if is_async else loop.run, loop.records, note)


class _Loop:
    """One header with its body, ready to run."""

    def __init__(self, cell: Cell, options: Options, shell: Shell, header: Header, body: Any) -> None:
        self._cell = cell
        self._options = options
        self._shell = shell
        self._header = header
        body.__qualname__ = NAME
        self._body: Callable[[Any], Any] = body
        self._run = LoopRun(header.names, options.keep_going)
        self.workers = options.workers or _default_workers(options.model)
        self.records = self._run.records

    def run(self) -> Results | None:
        """Run all items, in threads or processes."""
        source = self._header.begin(self._shell)
        workers = self.workers or 1
        try:
            self._run_all(source, workers)
        except KeyboardInterrupt as error:
            # It stood in a wait of ours, of which the user knows nothing.
            raise error.with_traceback(None) from None
        return self._value()

    def _run_all(self, source: Source, workers: int) -> None:
        if self._options.model == "procs":
            from concmagic.runners.loop_processes import run_in_processes

            method = self._options.start_method
            run_in_processes(self._run, source, self._body, workers, self._cell.file, method)
        else:
            from concmagic.runners.loop_threads import run_in_threads

            run_in_threads(self._run, source, self._body, workers, self._cell.file)

    async def run_async(self) -> Results | None:
        """Run all items, as tasks on the loop that is running."""
        from concmagic.runners.loop_tasks import run_in_tasks

        source = await self._header.begin_async(self._shell)
        jobs = self._run.jobs_of_async(source) if self._header.is_async else self._run.jobs_of(source)
        await run_in_tasks(self._run, jobs, self._body, self.workers, self._cell.file)
        return self._value()

    def _value(self) -> Results | None:
        """Bind the values where they are wanted, raise what failed, answer what is worth showing."""
        results = self._run.results()
        if self._options.results_name and (self._options.keep_going or not self._run.has_failed):
            self._cell.namespace[self._options.results_name] = results
        self._run.raise_failure()
        return None if all(value is None for value in results) else results


def _default_workers(model: str) -> int | None:
    if model == "procs":
        return cpu_time.usable_cores()
    return min(_MOST_THREADS, cpu_time.usable_cores() + 4) if model == "threads" else None
