"""What packing the notebook's code needs, and cloudpickle and multiprocessing keep to themselves."""

from __future__ import annotations

from collections.abc import Iterable
from multiprocessing.reduction import ForkingPickler
from types import CodeType, FunctionType
from typing import Any

from cloudpickle import cloudpickle as engine

from concmagic.interpreter.support import Capability, missing


def extra_reducers() -> Any:
    """What multiprocessing can send beside what pickle can, by type."""
    return ForkingPickler._extra_reducers  # type: ignore[attr-defined]


def reduced_code(code: CodeType) -> tuple[Any, tuple[Any, ...]]:
    """What makes a code object again, and of what."""
    make, arguments = engine._code_reduce(code)
    return make, arguments


def global_names(code: CodeType) -> Iterable[str]:
    """The globals that a function reads, those of the functions inside it too."""
    names: Iterable[str] = engine._extract_code_globals(code)
    return names


def closure_of(function: FunctionType) -> dict[str, Any]:
    """The variables of the functions around that a function reads, but for those that have no value yet."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    values = ((name, engine._get_cell_contents(cell)) for name, cell in cells)
    return {name: held for name, held in values if held is not engine._empty_cell_value}


def known_class(token: str) -> Any:
    """The class that this process has under cloudpickle's number, if any."""
    return engine._DYNAMIC_CLASS_TRACKER_BY_ID.get(token)


def set_class_state(made: type, state: Any) -> None:
    """Give a class its attributes."""
    engine._class_setstate(made, state)


def set_function_state(function: FunctionType, state: Any) -> None:
    """Give a function its attributes and its globals."""
    engine._function_setstate(function, state)


def probe() -> Capability:
    """Whether a function, its names and its variables come out of cloudpickle as they are."""
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
        _class_setstate=callable(getattr(engine, "_class_setstate", None)),
        _function_setstate=callable(getattr(engine, "_function_setstate", None)),
        _extra_reducers=extra_reducers(),
    )
