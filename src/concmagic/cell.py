"""A cell on its way in, compiled and run once as a plain one, and what became of it on its way out."""

from __future__ import annotations

import ast
import inspect
import linecache
import warnings
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Any

from concmagic.errors import NoTimeoutError

Failed = Callable[[BaseException], object]
Shell = Any  # IPython's InteractiveShell or a subclass; few of the attributes that are used here have types
_ASSIGNMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign)


@dataclass(frozen=True, slots=True)
class Cell:
    """The text under the magic's line, and where it runs."""

    source: str  # as typed, without the magic's line
    namespace: dict[str, Any]
    file: str  # the name that its code objects carry
    first_line: int = 2  # the editor's number of the source's first line: the magic's own line is 1
    notebook: Mapping[str, int] = field(default_factory=dict)  # file names of the notebook's cells → count
    magic_line: str = ""  # as typed: "%%threads -w 8"


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled cell: call `run` once. If `is_async`, it returns an awaitable of the value."""

    is_async: bool
    run: Callable[[], Any | Awaitable[Any]]
    jobs: Callable[[], tuple[Any, ...]] = tuple  # the JobRecords of a `for` header, after the run
    note: str = ""  # a sentence for the picture: "8 workers (no -w: cores + 4)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the cell: a value, or the exception that ended it."""

    value: Any = None
    error: BaseException | None = None
    handled: tuple[tuple[str, int], ...] = ()  # "interrupt" or "timeout" that the cell's code handled, when
    notes: tuple[str, ...] = ()  # sentences of the runner's for the picture

    @property
    def word(self) -> str:
        """How the cell ended, in the words that a track's outcome uses."""
        if self.error is None:
            return "returned"
        if isinstance(self.error, KeyboardInterrupt):
            return "interrupted"
        return f"raised {type(self.error).__name__}"


def compile_cell(cell: Cell, shell: Shell) -> Program:
    """Compile the cell as IPython would have; its value is that of the last expression.

    Raises what a plain cell shows for code that cannot be compiled: SyntaxError and its like.
    """
    text = gutter_text(cell, shell)
    show_in_tracebacks(cell, text)
    tree = shell.transform_ast(shell.compile.ast_parse(text, filename=cell.file))
    codes = _compile(_split(tree, shell.ast_node_interactivity), cell.file, shell)
    is_async = any(_awaits(code) for code, _ in codes)
    return Program(is_async, _runner(codes, shell, is_async))


def gutter_text(cell: Cell, shell: Shell) -> str:
    """The cell with magics and `!shell` lines translated, each line at the number that the editor shows."""
    translated = shell.transform_cell(cell.source)
    blank = len(cell.source) - len(cell.source.lstrip())
    skipped = cell.source[:blank].count("\n")
    # The magic's line as a comment: tracebacks show it, and can still parse the text around a failing line.
    before = "\n" * (cell.first_line - 2) + f"# {cell.magic_line}\n" + "\n" * skipped
    return before + _as_long_as(cell.source.splitlines()[skipped:], translated)


def show_in_tracebacks(cell: Cell, text: str) -> None:
    """Let tracebacks find the lines where the code says they are; IPython entered the magic's line alone."""
    linecache.cache[cell.file] = (len(text), None, [line + "\n" for line in text.splitlines()], cell.file)


def _as_long_as(typed: list[str], translated: str) -> str:
    """Give lines that were folded into one (a magic continued by backslashes) their empty lines back."""
    lines = translated.splitlines()
    if len(lines) >= len(typed):
        return translated
    import difflib  # seldom needed, and nobody else's in a fresh kernel

    longer: list[str] = []
    matcher = difflib.SequenceMatcher(None, typed, lines, autojunk=False)
    for _, typed_from, typed_to, from_, to in matcher.get_opcodes():
        longer += lines[from_:to]
        longer += [""] * max(0, (typed_to - typed_from) - (to - from_))
    return "\n".join(longer) + "\n"


def _split(tree: ast.Module, interactivity: str) -> list[tuple[ast.AST, str]]:
    """Cut the cell into what is only executed, what shows its values as it goes, and the value."""
    nodes = tree.body
    if interactivity == "last_expr_or_assign":
        nodes = nodes + _assigned(nodes)
    value: list[tuple[ast.AST, str]] = []
    if interactivity != "none" and nodes and isinstance(nodes[-1], ast.Expr):
        value = [(ast.Expression(nodes[-1].value), "eval")]
        nodes = nodes[:-1]
    shown = {"all": len(nodes), "last": 0 if value else 1}.get(interactivity, 0)
    split = len(nodes) - shown
    parts: list[tuple[ast.AST, str]] = []
    if nodes[:split]:
        parts.append((ast.Module(nodes[:split], tree.type_ignores), "exec"))
    parts += [(ast.Interactive([node]), "single") for node in nodes[split:]]
    return parts + value


def _assigned(nodes: list[ast.stmt]) -> list[ast.stmt]:
    """The name that the last statement assigns, as an expression; nothing if it assigns none."""
    last = nodes[-1] if nodes else None
    if not isinstance(last, _ASSIGNMENTS):
        return []
    targets = last.targets if isinstance(last, ast.Assign) else [last.target]
    if len(targets) != 1 or not isinstance(targets[0], ast.Name):
        return []
    name = ast.Expr(ast.Name(targets[0].id, ast.Load()))
    return [ast.fix_missing_locations(ast.copy_location(name, last))]


def _compile(parts: list[tuple[ast.AST, str]], file: str, shell: Shell) -> list[tuple[CodeType, str]]:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if shell.autoawait else 0
    with shell.compile.extra_flags(flags):
        codes = []
        for tree, mode in parts:
            code = shell.compile(tree, file, mode)
            if isinstance(tree, ast.Module) and len(tree.body) > 1 and _awaits(code):
                codes += [(code, mode) for code in _statement_by_statement(tree, file, shell)]
            else:
                codes.append((code, mode))
        return codes


def _statement_by_statement(tree: ast.Module, file: str, shell: Shell) -> Iterator[CodeType]:
    """As IPython runs a cell; statements in a row of which none awaits stay together.

    From Python 3.12 on no StopIteration becomes another error where it leaves awaiting code without a
    function, and once an exception was thrown into that code (a timeout, say) it ends the code as its value.
    """
    together: list[ast.stmt] = []

    def compiled(nodes: list[ast.stmt]) -> CodeType:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):  # the whole has given them
            code: CodeType = shell.compile(ast.Module(nodes, tree.type_ignores), file, "exec")
        return code

    for node in tree.body:
        code = compiled([node])
        if not _awaits(code):
            together.append(node)
            continue
        if together:
            yield compiled(together)
            together = []
        yield code
    if together:
        yield compiled(together)


def _awaits(code: CodeType) -> bool:
    return bool(code.co_flags & inspect.CO_COROUTINE)


def _runner(codes: list[tuple[CodeType, str]], shell: Shell, is_async: bool) -> Callable[[], Any]:
    names = shell.user_global_ns, shell.user_ns

    def run() -> Any:
        value = None
        for code, mode in codes:
            answer = eval(code, *names)
            value = answer if mode == "eval" else None
        return value

    async def run_awaiting() -> Any:
        value = None
        for code, mode in codes:
            answer = eval(code, *names)
            if _awaits(code):
                answer = await answer
            value = answer if mode == "eval" else None
        return value

    return run_awaiting if is_async else run


class Kept:
    """A program and its outcome; a runner runs `program`, which keeps the outcome here.

    `at_edge` is called right before and right after the cell's code: what a runner does around it is ours.
    """

    def __init__(self, program: Program, at_edge: Callable[[], object] = lambda: None) -> None:
        self._run = program.run
        self._at_edge = at_edge
        self._has_begun = False
        self._outcome: Outcome | None = None
        self.program = replace(program, run=self._awaited if program.is_async else self._called)

    def outcome(self, runner: Callable[[Program], Outcome], failed: Failed) -> Outcome:
        """What became of the cell: told by the runner or, where that has failed, by the cell's own end.

        Raises NoTimeoutError, by which a runner refuses to run it.
        """
        try:
            return runner(self.program)
        except NoTimeoutError:
            raise
        except BaseException as error:  # not the cell's own, which is an outcome
            if isinstance(error, KeyboardInterrupt):
                return Outcome(error=error)
            failed(error)
        return self._outcome or self._without_runner()

    async def outcome_awaited(
        self, runner: Callable[[Program], Awaitable[Outcome]], failed: Failed
    ) -> Outcome:
        """What became of a cell that awaits; else as `outcome`."""
        try:
            return await runner(self.program)
        except NoTimeoutError:
            raise
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, CancelledError)):  # somebody means to end it
                return Outcome(error=error)
            failed(error)
        if self._outcome is None and not self._has_begun:
            try:
                return Outcome(await self._run())
            except BaseException as error:
                return Outcome(error=error)
        return self._outcome or Outcome()

    def _without_runner(self) -> Outcome:
        if self._has_begun:  # it was cut short by what failed
            return Outcome()
        try:
            return Outcome(self._run())
        except BaseException as error:
            return Outcome(error=error)

    def _called(self) -> Any:
        self._has_begun = True
        self._at_edge()
        try:
            value = self._run()
        except BaseException as error:
            self._outcome = Outcome(error=error)
            raise
        else:
            self._outcome = Outcome(value)
        finally:
            self._at_edge()
        return value

    async def _awaited(self) -> Any:
        self._has_begun = True
        self._at_edge()
        try:
            value = await self._run()
        except BaseException as error:
            self._outcome = Outcome(error=error)
            raise
        else:
            self._outcome = Outcome(value)
        finally:
            self._at_edge()
        return value
