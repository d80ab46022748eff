"""What Python and asyncio tell in a warning or a text only: what was forgotten, which name has no value."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any, Final

from concmagic.interpreter.support import Capability, missing

# Where the function is that the interpreter calls when such a coroutine is collected.
WARNER: Final = (warnings, "_warn_unawaited_coroutine")
_UNBOUND = re.compile(r"local variable '(\w+)'")
_NEVER_RETRIEVED = "exception was never retrieved"


def with_other_warn(original: Any, warn: Callable[..., None]) -> Any:
    """A copy of a function that calls `warn` for `warnings.warn`; what is not written in Python stays."""
    if not isinstance(original, FunctionType):
        return original
    names = {
        **original.__globals__,
        "warn": warn,
        "_wm": SimpleNamespace(warn=warn),  # from 3.14 it is `_wm.warn`
    }
    code, defaults, closure = original.__code__, original.__defaults__, original.__closure__
    made = FunctionType(code, names, original.__name__, defaults, closure)
    return functools.update_wrapper(made, original)


def is_never_retrieved(context: dict[str, Any]) -> bool:
    """Whether a loop's exception handler is told of an exception that nobody has asked for."""
    return _NEVER_RETRIEVED in str(context.get("message"))


def unbound_name(error: UnboundLocalError) -> str:
    """The variable that has no value; "" where the text does not tell. `error.name` is None up to 3.14."""
    found = _UNBOUND.search(str(error))
    return "" if found is None else found[1]


def probe() -> Capability:
    """Whether the text of a known error names its variable, and what warns of coroutines is there."""
    try:
        _unbound()
    except UnboundLocalError as error:
        name = unbound_name(error)
    return missing(UnboundLocalError=name == "probed", _warn_unawaited_coroutine=hasattr(*WARNER))


def _unbound() -> None:
    probed: int
    print(probed)  # noqa: F821
