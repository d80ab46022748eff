"""Makes asyncio's handles field by field, where they hold what is known here.

Their own `__init__` asks the loop for its debug mode, a call that costs as much as all the rest.
"""

from __future__ import annotations

from asyncio import events
from contextvars import copy_context
from typing import Any

from concmagic.interpreter.reading import borrowed
from concmagic.interpreter.watching import Hook

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


class SeenHandle:
    """A callback on its way through a foreign loop; everything else about it is the callback's own."""

    __slots__ = ("__weakref__", "_args", "_callback", "_loop", "_run")
    timer = False

    def __init__(self, run: Hook, loop: Any, callback: Any) -> None:
        self._run, self._loop, self._callback = run, loop, callback
        self._args: tuple[Any, ...] = ()

    def __call__(self, *args: Any) -> Any:
        self._args = args
        return self._run(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._callback, name)

    def __repr__(self) -> str:
        return repr(self._callback)


class SeenTimer(SeenHandle):
    """The same for one that a timer runs."""

    __slots__ = ()
    timer = True


def call_handle(handle: Any) -> Any:
    """Do what a handle is for; the part of `Handle._run`."""
    return handle._callback(*handle._args)
