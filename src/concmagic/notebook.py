"""A cell under a magic as IPython knows it: its name and lines, who awaits it, errors shown as one sentence.

A cell magic is a plain function and cannot await. But IPython translates a cell before it runs it, and a
function in `input_transformers_post` sees the result, `get_ipython().run_cell_magic(…)`: with `await ` before
it IPython runs the cell as one that awaits, and the magic may answer with a coroutine. So it awaits on the
kernel's own loop.

The function that `%autoawait` names instead, trio's or one of the user's own, gets from IPython a coroutine
that shows the cell's value and its error by itself, so it meets neither. Interrupts are its own meanwhile:
trio delivers them itself where it finds Python's own handler, and only there.
"""

from __future__ import annotations

import ast
import inspect
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from types import CodeType, FrameType
from typing import Any

from concmagic import sentences
from concmagic.cell import Cell, Outcome, Program, Shell
from concmagic.errors import ConcMagicError
from concmagic.interpreter.borrowing import running_loop
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.interpreter.notebook_internals import (
    calls_magics,
    cell_numbers,
    code_as_it_is,
    code_that_calls_magics,
    code_that_runs_cells,
    code_that_runs_code,
)

_MOST_AROUND = 2  # frames of wrappers around IPython's own function
_HEADER = re.compile(r"(^|\s)(async\s+)?for\s")


def cell_of(shell: Shell, magic: str, line: str, body: str) -> Cell:
    """The cell whose magic runs right now."""
    names = cell_numbers(shell)
    file = _file_that_runs(names)
    raw = _raw_text(shell)
    if file is None or not _ends_with(raw, body):  # the magic was called by code: its text is its own
        number = shell.execution_count
        file = shell.compile.cache(f"%%{magic} {line}\n{body}", number)
        raw = ""
    first_line = _line_count(raw) - _line_count(body) + 1 if raw else 2
    return Cell(body, shell.user_ns, file, first_line, dict(names), f"%%{magic} {line}".rstrip())


def _file_that_runs(names: dict[str, int]) -> str | None:
    files = (frame.f_code.co_filename for frame in _callers(getframe()))
    return next((file for file in files if file in names), None)


def is_running_cell(shell: Shell) -> bool:
    """Whether IPython runs a cell, at whose end it will tell us."""
    return getattr(shell.displayhook, "exec_result", None) is not None


def _raw_text(shell: Shell) -> str:
    """The cell as typed, the magic's line included; "" if no cell runs."""
    result = getattr(shell.displayhook, "exec_result", None)
    return str(result.info.raw_cell) if result is not None and result.info is not None else ""


def _ends_with(raw: str, body: str) -> bool:
    """Whether the body is the cell's end; IPython may have taken indentation and empty lines off."""
    typed = [line.strip() for line in raw.rstrip().splitlines()]
    code = [line.strip() for line in body.rstrip().splitlines()]
    return bool(typed) and (not code or typed[-len(code) :] == code)


def _line_count(text: str) -> int:
    return len(text.splitlines())


def or_usage_error(action: Callable[[], Any]) -> Any:
    """What `action` answers; an error of ours becomes a UsageError."""
    try:
        return action()
    except ConcMagicError as error:
        raise usage_error(str(error)) from None


def usage_error(sentence: str) -> Exception:
    """What IPython shows as one sentence."""
    from IPython.core.error import UsageError

    error: Exception = UsageError(sentence)
    return error


class AwaitTransformer:
    """Puts `await ` before our magics where the body awaits at its top level, or its items are tasks."""

    def __init__(self, shell: Shell, magics: tuple[str, ...], with_tasks: tuple[str, ...]) -> None:
        self._shell = shell
        self._magics = magics
        self._with_tasks = with_tasks  # those whose loop bodies are tasks

    def __call__(self, lines: list[str]) -> list[str]:
        # Whatever goes wrong here would fail every cell of the notebook: then the cell stays as it is.
        try:
            return self._translated(lines)
        except Exception:
            return lines

    def _translated(self, lines: list[str]) -> list[str]:
        if not lines or not lines[0].startswith("get_ipython().run_cell_magic("):
            return lines
        text = "".join(lines)
        arguments = _arguments(text)
        if arguments is None or arguments[0] not in self._magics:
            return lines
        name, line, body = arguments
        if not body:  # IPython refuses an empty cell before we could answer `-h`
            text = f"get_ipython().run_cell_magic({name!r}, {line!r}, '\\n')\n"
        elif self._could_await() and (self._has_tasks(name, line) or self._awaits(body)):
            text = "await " + text
        return text.splitlines(keepends=True)

    def _has_tasks(self, name: str, line: str) -> bool:
        """Only where it must be: a StopIteration that leaves a coroutine becomes another error."""
        return name in self._with_tasks and bool(_HEADER.search(line))

    def _awaits(self, body: str) -> bool:
        translated = self._shell.input_transformer_manager.transform_cell(body)
        # The name by which IPython asks the same of a plain cell: it stands in a warning.
        code = compile(translated, "<>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return bool(code.co_flags & inspect.CO_COROUTINE)

    def _could_await(self) -> bool:
        """Not under another magic (`%%time`, `%%capture`), which runs its body without a loop to await on,
        and not where `%autoawait` names another runner, which our own code could not run under."""
        if not self._shell.autoawait or not uses_asyncio(self._shell):
            return False
        callers = {frame.f_code for frame in _callers(getframe())}
        if code_that_runs_code(self._shell) in callers:
            return False
        by_run_cell = code_that_runs_cells(self._shell) in callers
        return not (by_run_cell and running_loop() is not None)


def was_awaited(shell: Shell) -> bool:
    """Called in a magic: whether the cell's code awaits what the magic answers."""
    magic_call = code_that_calls_magics(shell)
    callers = _callers(getframe())
    for frame in callers:
        if frame.f_code is magic_call or (magic_call is None and calls_magics(frame.f_code)):
            as_it_is = code_as_it_is(shell) is frame.f_code
            # What somebody has put around it calls it for the cell.
            nearest = islice(callers, 1 if as_it_is else 1 + _MOST_AROUND)
            return any(_is_awaiting_cell(each.f_code) for each in nearest)
    return False


def _is_awaiting_cell(code: CodeType) -> bool:
    return code.co_name == "<module>" and bool(code.co_flags & inspect.CO_COROUTINE)


def _arguments(text: str) -> tuple[str, str, str] | None:
    """Name, line and body of a `run_cell_magic` call that is the whole cell."""
    tree = ast.parse(text)
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        return None
    call = tree.body[0].value
    if not isinstance(call, ast.Call):
        return None
    values = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    if len(values) != 3:
        return None
    name, line, body = values
    return str(name), str(line), str(body)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def uses_asyncio(shell: Shell) -> bool:
    """Whether cells that await run on asyncio's loop, as they do unless `%autoawait` says otherwise."""
    return bool(shell.loop_runner is shell.loop_runner_map["asyncio"][0])


def on_the_users_runner(program: Program, shell: Shell) -> Program:
    """The program as one that does not await: the shell's runner runs it to its end."""
    note = " ".join(filter(None, (program.note, sentences.ran_by(_runner_name(shell)))))
    return replace(program, is_async=False, run=partial(_run, shell.loop_runner, program), note=note)


def _run(runner: Callable[[Any], Any], program: Program) -> Any:
    outcome = Outcome()

    async def run_cell_async() -> None:  # its name in plain cells, which some runners tell in their errors
        nonlocal outcome
        try:
            outcome = Outcome(await program.run())
        except BaseException as error:
            outcome = Outcome(error=error)

    with _plain_interrupts():
        runner(run_cell_async())
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


@contextmanager
def _plain_interrupts() -> Iterator[None]:
    """Python's own handler of SIGINT, as the kernel has it around a cell."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the cell has set another
            signal.signal(signal.SIGINT, before)


def _runner_name(shell: Shell) -> str:
    runner = shell.loop_runner
    known = (name for name, (function, _) in shell.loop_runner_map.items() if function is runner)
    return next(known, "") or getattr(runner, "__name__", "") or type(runner).__name__
