"""Makes asyncio's handles field by field, where they hold what is known here.

Their own `__init__` asks the loop for its debug mode, a call that costs as much as all the rest.
"""

from __future__ import annotations

from asyncio import events
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from concmagic.interpreter.reading import borrowed

if TYPE_CHECKING:
    from concmagic.recording.tasks.hooks import Hook

_FIELDS = {
    *("_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "__weakref__", "_context")
}
_TIMERS_FIELDS = {*_FIELDS, "_scheduled", "_when"}
_SLOTS = {*borrowed(events.Handle, "__slots__", (), at_import=True)}
HANDLES_ARE_KNOWN = _SLOTS == _FIELDS
TIMERS_ARE_KNOWN = {*borrowed(events.TimerHandle, "__slots__", (), at_import=True)} | _SLOTS == _TIMERS_FIELDS


def handle_maker() -> Hook:
    """What makes a `Handle` field by field, for a loop that is not in debug mode."""
    kind: Any = events.Handle
    if not HANDLES_ARE_KNOWN:
        return events.Handle
    make = object.__new__

    def make_handle(callback: Any, args: tuple[Any, ...], loop: Any, context: Any) -> Any:
        handle = make(kind)
        handle._context = copy_context() if context is None else context
        handle._callback, handle._args, handle._loop = callback, args, loop
        handle._cancelled, handle._repr, handle._source_traceback = False, None, None
        return handle

    return make_handle
