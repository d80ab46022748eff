"""What IPython keeps to itself: the names of its cells, and which of its functions run one."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

from concmagic.interpreter.reading import code_of
from concmagic.interpreter.support import Capability, missing

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
