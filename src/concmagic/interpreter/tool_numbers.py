"""Who asks for a number of `sys.monitoring` that is ours for the length of a cell gets it.

There are six, and most tools know one only: without this the user's line that takes it would fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from concmagic.interpreter.capability import Capability, unless
from concmagic.interpreter.frames import hide_frame
from concmagic.interpreter.patches import Patches

StepBack = Callable[[str], None]  # is told who takes the number; "" is that it was freed

_ours: dict[int, StepBack] = {}
_patches = Patches()


def when_asked(number: int, step_back: StepBack) -> None:
    """From now on: do this as soon as somebody asks for the number, and before he gets it."""
    if not _ours:
        monitoring: Any = vars(sys)["monitoring"]
        for name in ("use_tool_id", "free_tool_id"):
            _patches.set(monitoring, name, _asking_first(getattr(monitoring, name)))
    _ours[number] = step_back


def forget(number: int) -> None:
    """It is ours no longer. Again is harmless."""
    _ours.pop(number, None)
    if not _ours:
        _patches.restore()


def _asking_first(original: Any) -> Any:
    def wrapper(*arguments: Any) -> Any:
        number, *name = arguments or (None,)
        step_back = _ours.get(number) if type(number) is int else None
        if step_back is not None:
            _step_back(step_back, name[0] if name and isinstance(name[0], str) else "")
        try:
            return original(*arguments)
        except BaseException as error:
            hide_frame(error)
            raise

    wrapper.__name__ = wrapper.__qualname__ = original.__name__
    return wrapper


def _step_back(step_back: StepBack, name: str) -> None:
    try:
        step_back(name)
    except Exception:  # then the number is not free, and the user's line says so
        return


def probe() -> Capability:
    """Whether `sys.monitoring` tells of one call of a known function, at a number that is free."""
    monitoring: Any = vars(sys).get("monitoring")
    free = (
        None if monitoring is None else next((n for n in (5, 4, 3) if monitoring.get_tool(n) is None), None)
    )
    if monitoring is None or free is None:
        return unless("there is no `sys.monitoring`" if monitoring is None else "all its numbers are taken")
    seen: list[Any] = []
    code, event = _probed.__code__, monitoring.events.PY_START
    monitoring.use_tool_id(free, "concmagic probe")
    try:
        monitoring.register_callback(free, event, lambda code, offset: seen.append(code))
        monitoring.set_local_events(free, code, event)
        _probed()
        monitoring.set_local_events(free, code, 0)
        monitoring.register_callback(free, event, None)
    finally:
        monitoring.free_tool_id(free)
    return unless("" if seen == [code] else "a call of a known function was not told once")


def _probed() -> None: ...
