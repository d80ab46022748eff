"""What IPython keeps to itself: its cells' names, the functions that run them; and what only a text tells."""

from __future__ import annotations

import re
import sys
import warnings
from types import CodeType
from typing import Any

from concmagic.interpreter.borrowing import Capability, code_of, missing

_UNBOUND = re.compile(r"local variable '(\w+)'")
_RENDER = "_render_traceback_"  # an exception that has it renders itself


def cell_numbers(shell: Any) -> dict[str, int]:
    """File name → number of the cells that have run."""
    names: dict[str, int] = getattr(shell.compile, "_filename_map", {})
    return names


def code_that_runs_code(shell: Any) -> CodeType | None:
    """The code of `run_code`, which an awaiting cell is run by; None if it is not IPython's own."""
    return code_of(type(shell), "run_code", at_import=False)


def code_that_runs_cells(shell: Any) -> CodeType | None:
    """The code of what `run_cell` does its work with."""
    return code_of(type(shell), "_run_cell", at_import=False)


def code_that_calls_magics(shell: Any) -> CodeType | None:
    """The code of `run_cell_magic`."""
    return code_of(type(shell), "run_cell_magic", at_import=False)


def calls_magics(code: CodeType) -> bool:
    """Whether it has the name of `run_cell_magic`: of something that somebody has put in its place."""
    return code.co_name == "run_cell_magic"


def code_as_it_is(shell: Any) -> CodeType | None:
    """The code of whatever stands at `run_cell_magic` now."""
    return getattr(type(shell).run_cell_magic, "__code__", None)


def renders_itself(error: BaseException) -> bool:
    """Whether an exception has its own way to be shown."""
    return hasattr(error, _RENDER)


def render_by(error: BaseException, render: Any) -> None:
    """Have an exception shown by this. Raises AttributeError or TypeError if it takes no attributes."""
    setattr(error, _RENDER, render)


def render_as_usual(error: BaseException) -> None:
    """Take that back. Raises AttributeError if somebody has done it."""
    delattr(error, _RENDER)


def unbound_name(error: UnboundLocalError) -> str:
    """The variable that has no value; "" where the text does not tell. `error.name` is None up to 3.14."""
    found = _UNBOUND.search(str(error))
    return "" if found is None else found[1]


def probe() -> Capability:
    """Whether IPython's functions that run cells are its own, and a cell's name is known."""
    module = sys.modules.get("IPython.core.interactiveshell")
    kind = getattr(module, "InteractiveShell", None)
    if kind is None:
        return missing(IPython=None)
    found = {
        name: code_of(kind, name, at_import=False) for name in ("run_code", "_run_cell", "run_cell_magic")
    }
    known = not kind.initialized() or hasattr(kind.instance().compile, "_filename_map")
    return missing(**found, _filename_map=known)


def probe_texts() -> Capability:
    """Whether the text of a known error names its variable, and what warns of coroutines is there."""
    try:
        _unbound()
    except UnboundLocalError as error:
        name = unbound_name(error)
    warner = getattr(warnings, "_warn_unawaited_coroutine", None)
    return missing(UnboundLocalError=name == "probed", _warn_unawaited_coroutine=warner)


def _unbound() -> None:
    probed: int
    print(probed)  # noqa: F821
