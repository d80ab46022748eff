"""How Python imports a module that is not there yet: by one function, which finds it, loads it and runs it.

C calls it by its name, and so does `importlib`; for what a module imports in turn it is called again, inside.
Its frames are left out of tracebacks, and a warning that a module gives looks past them. So they are for what
stands in for it.
"""

from __future__ import annotations

import importlib
import sys
from types import FunctionType, ModuleType
from typing import Any

from concmagic.interpreter.borrowing import Capability, missing

FIND_AND_LOAD = "_find_and_load"  # of importlib's bootstrap


def bootstrap() -> ModuleType | None:
    """The module that has it; None if there is none."""
    return sys.modules.get("importlib._bootstrap")


def as_importlibs(function: Any, original: Any) -> Any:
    """The function, with frames that are taken for those of the original."""
    own, its = function.__code__, getattr(original, "__code__", None)
    if its is None:
        return function
    code = own.replace(co_filename=its.co_filename, co_name=its.co_name, co_qualname=its.co_qualname)
    return FunctionType(code, function.__globals__, its.co_name, function.__defaults__, function.__closure__)


def probe() -> Capability:
    """Whether a module that is there comes through it."""
    module = bootstrap()
    load = getattr(module, FIND_AND_LOAD, None)
    return missing(_find_and_load=load is not None and load("sys", importlib.import_module) is not None)
