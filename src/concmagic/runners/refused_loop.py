"""What to write instead, where a cell asked for a loop to be run and could not be given it.

A cell that awaits is itself a step of the notebook's loop, as are the tasks it makes: there a loop can be run
neither here nor in a plain cell.
"""

from __future__ import annotations

import ast
import linecache
from types import TracebackType

from concmagic import sentences

_REFUSALS = (
    "event loop is already running",
    "event loop while another loop is running",
    "cannot be called from a running event loop",
    "Already running asyncio in this thread",
)
_RUNS = ("run_until_complete", "run_forever", "run_sync", "run")
_LONGEST = 60


def remedy(error: BaseException | None, files: tuple[str, ...]) -> str:
    """Cause and remedy in one sentence, if this error says that a loop is running already; else "".

    `files` are those of the notebook's cells.
    """
    if not isinstance(error, RuntimeError) or not any(one in str(error) for one in _REFUSALS):
        return ""
    place = _last_place(error.__traceback__, files)
    call = None if place is None else _call_at(*place)
    if call is None:
        return sentences.loop_refused("a function that runs an event loop", "")
    argument = ast.unparse(call.args[0]) if call.args else ""
    return sentences.loop_refused(ast.unparse(call.func), argument if len(argument) <= _LONGEST else "…")


def _last_place(traceback: TracebackType | None, files: tuple[str, ...]) -> tuple[str, int] | None:
    """File and line of the innermost code of the notebook's."""
    place = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename in files:
            place = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return place


def _call_at(file: str, line: int) -> ast.Call | None:
    """The call on this line that runs a loop."""
    try:
        tree = compile("".join(linecache.getlines(file)), file, "exec", _AS_IN_CELLS)
    except (SyntaxError, ValueError):
        return None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) in _RUNS]
    return next((one for one in calls if one.lineno <= line <= (one.end_lineno or one.lineno)), None)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


_AS_IN_CELLS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
