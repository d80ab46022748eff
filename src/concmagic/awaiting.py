"""Let a traced cell that awaits run on the kernel's own loop.

A cell magic is a plain function and cannot await. But IPython translates a cell before it runs it, and a
function in `input_transformers_post` sees the result, `get_ipython().run_cell_magic(…)`: with `await ` before
it IPython runs the cell as one that awaits, and the magic may answer with a coroutine.
"""

from __future__ import annotations

import ast
import inspect
import re
from itertools import islice
from types import CodeType, FrameType
from typing import Any

from concmagic.cell import Shell
from concmagic.interpreter.frames import getframe
from concmagic.interpreter.notebook_internals import (
    calls_magics,
    code_as_it_is,
    code_that_calls_magics,
    code_that_runs_cells,
    code_that_runs_code,
)
from concmagic.interpreter.reading import running_loop
from concmagic.runners.autoawait_runner import uses_asyncio

_MOST_AROUND = 2  # frames of wrappers around IPython's own function
_HEADER = re.compile(r"(^|\s)(async\s+)?for\s")


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


def _callers(frame: FrameType | None) -> Any:
    while frame is not None:
        yield frame
        frame = frame.f_back
