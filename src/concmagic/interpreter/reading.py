"""Reads names that we borrow: private ones of Python and of libraries, and functions that we replace.

A name may be missing, in another Python or because somebody took it away, or stand for something else than
what Python has there. That costs what we would have seen by it, and is told; `borrowed.py` lists all such
names, and what each is read for.
"""

from __future__ import annotations

import os
import sys
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from concmagic.problems import Problem

ABSENT: Any = object()
_WRAPPED_IN = ("__func__", "__wrapped__", "func")  # a method's, a wrapper's, a partial's own function
_DEEPEST = 8

Loss = tuple[str, str, str]  # owner, name, why

_lost: dict[Loss, bool] = {}  # → whether it was told
_at_import: set[Loss] = set()  # of modules that are loaded: for as long as this process lives


def borrowed(owner: Any, name: str, neutral: Any = None, at_import: bool = False) -> Any:
    """The owner's attribute of this name; `neutral` where it has none, which is told."""
    found = getattr(owner, name, ABSENT)
    if found is ABSENT:
        lose(owner, name, "missing", at_import)
        return neutral
    return found


def code_of(owner: Any, name: str, at_import: bool = True) -> CodeType | None:
    """The code of Python's own function of this name, also behind what stands in for it; None, told, if none.

    Frames are compared with it, and none is None.
    """
    found = getattr(owner, name, ABSENT)
    function, folder = found, _folder_of(owner, name)
    for _ in range(_DEEPEST):
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType) and code.co_name == name and _folder(code.co_filename) == folder:
            return code
        function = next(
            (inner for word in _WRAPPED_IN if (inner := _own(function, word)) is not ABSENT), ABSENT
        )
        if function is ABSENT:
            break
    lose(owner, name, "missing" if found is ABSENT else "not Python's own", at_import)
    return None


def _own(function: Any, word: str) -> Any:
    try:
        return getattr(function, word, ABSENT)
    except Exception:  # somebody's own object
        return ABSENT


def _folder_of(owner: Any, name: str) -> str:
    """Where the module's, or the class's that defines it, own file lies."""
    if not isinstance(owner, ModuleType):
        definer = next((kind for kind in owner.__mro__ if name in vars(kind)), owner)
        owner = sys.modules.get(definer.__module__)
    return _folder(getattr(owner, "__file__", None) or "")


def _folder(file: str) -> str:
    return file.rpartition(os.sep)[0]


def running_loop() -> Any:
    """The loop that runs in this thread; None if none does, or if asyncio does not tell."""
    events = sys.modules.get("asyncio.events")
    return None if events is None else borrowed(events, "_get_running_loop", _nobody)()


def _nobody() -> None:
    return None


def raw(owner: Any, name: str) -> Any:
    """The attribute as the module, or the class or a base of it, holds it: no method is bound.

    What every object has does not count: it does nothing of what is looked for.
    """
    for space in (each for each in getattr(owner, "__mro__", (owner,)) if each is not object):
        found = vars(space).get(name, ABSENT)
        if found is not ABSENT:
            return found
    return ABSENT


def why_not_replaceable(owner: Any, name: str, is_static: bool = False) -> str:
    """Why nothing may stand in for this function; "" if something may.

    What is no function of a class is not called with the instance, and what stands in for it would be, unless
    it is meant for one that is not (`is_static`).
    """
    found = raw(owner, name)
    if found is ABSENT:
        return "missing"
    if isinstance(owner, type) and not is_static:
        fits = hasattr(type(found), "__get__") and not isinstance(found, BuiltinFunctionType)
    else:
        fits = callable(getattr(owner, name))
    return "" if fits else "no function"


def replaceable(owner: Any, name: str, is_static: bool = False) -> Any:
    """The function that something of ours may stand in for; None, told, if there is none."""
    why = why_not_replaceable(owner, name, is_static)
    if why:
        lose(owner, name, why)
        return None
    return getattr(owner, name)


def is_pythons(function: Any) -> bool:
    """Whether it is a function written in Python, and no stand-in."""
    return type(function) is FunctionType


def lose(owner: Any, name: str, why: str, at_import: bool = False) -> None:
    """Note that a name cannot be read."""
    loss = dotted(owner), name, why
    _lost.setdefault(loss, False)
    if at_import:
        _at_import.add(loss)


def dotted(owner: Any) -> str:
    """The name of a module or class, or of an object's class, as the table has it."""
    if isinstance(owner, ModuleType):
        return owner.__name__
    kind = owner if isinstance(owner, type) else type(owner)
    return f"{kind.__module__}.{kind.__qualname__}"


def losses() -> list[Problem]:
    """What has been lost since this was asked last, and by modules that are loaded."""
    new = [loss for loss, told in _lost.items() if not told or loss in _at_import]
    if not new:
        return []
    from concmagic.interpreter.borrowed import row_of

    for loss in new:
        _lost[loss] = True
    rows = [(loss, row_of(loss[0], loss[1])) for loss in new]
    told = [
        Problem.of("borrowed_lost", *loss, "what is seen by it" if row is None else row.serves)
        for loss, row in rows
        if row is None or row.serves  # else nothing is missing
    ]
    return list(dict.fromkeys(told))


def forget_told() -> None:
    """In a forked child: its parent tells what was lost before the fork."""
    _lost.clear()
    _at_import.clear()
