"""What the notebook is run and packed by: of IPython what runs a cell, of cloudpickle what packs its code.

Also what is told by the text of an error only. cloudpickle is imported by whoever packs.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable
from types import CodeType, FunctionType
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


def probe_cells() -> Capability:
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


_engine: Any = None  # of cloudpickle, which most children do without


def pack_with(engine: Any) -> None:
    """From now on the notebook's code is packed with this module of cloudpickle's."""
    global _engine
    _engine = engine


def extra_reducers() -> Any:
    """What multiprocessing can send beside what pickle can, by type."""
    from multiprocessing.reduction import ForkingPickler

    return ForkingPickler._extra_reducers  # type: ignore[attr-defined]


def reduced_code(code: CodeType) -> tuple[Any, tuple[Any, ...]]:
    """What makes a code object again, and of what."""
    make, arguments = _engine._code_reduce(code)
    return make, arguments


def global_names(code: CodeType) -> Iterable[str]:
    """The globals that a function reads, those of the functions inside it too."""
    names: Iterable[str] = _engine._extract_code_globals(code)
    return names


def closure_of(function: FunctionType) -> dict[str, Any]:
    """The variables of the functions around that a function reads, but for those that have no value yet."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    values = ((name, _engine._get_cell_contents(cell)) for name, cell in cells)
    return {name: held for name, held in values if held is not _engine._empty_cell_value}


def known_class(token: str) -> Any:
    """The class that this process has under cloudpickle's number, if any."""
    return _engine._DYNAMIC_CLASS_TRACKER_BY_ID.get(token)


def set_class_state(made: type, state: Any) -> None:
    """Give a class its attributes."""
    _engine._class_setstate(made, state)


def set_function_state(function: FunctionType, state: Any) -> None:
    """Give a function its attributes and its globals."""
    _engine._function_setstate(function, state)


def probe_pickling() -> Capability:
    """Whether a function, its names and its variables come out of cloudpickle as they are."""
    from cloudpickle import cloudpickle

    pack_with(cloudpickle)
    held, unset = 1, 2

    def probed() -> tuple[Any, ...]:
        return held, CodeType

    code = probed.__code__
    make, arguments = reduced_code(code)
    del unset
    return missing(
        _code_reduce=make(*arguments).co_code == code.co_code,
        _extract_code_globals=[*global_names(code)] == ["CodeType"],
        _get_cell_contents=type(probed) is FunctionType and closure_of(probed) == {"held": 1},
        _DYNAMIC_CLASS_TRACKER_BY_ID=known_class("no such number") is None,
        _class_setstate=callable(getattr(_engine, "_class_setstate", None)),
        _function_setstate=callable(getattr(_engine, "_function_setstate", None)),
        _extra_reducers=extra_reducers(),
    )
