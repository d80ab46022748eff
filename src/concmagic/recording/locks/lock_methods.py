"""The methods of locks, queues and threads that are looked at when they are called, and what each does."""

from __future__ import annotations

from types import FunctionType, MethodDescriptorType, MethodType
from typing import Any

from concmagic.interpreter.frames_and_threads import ACQUIRE_RESTORE, RELEASE_SAVE, Handle
from concmagic.interpreter.lock_internals import Lock, RLock, SimpleQueue

TAKE, LET_GO, LET_GO_ENTIRELY, RESTORE, GET, PUT, JOIN = range(7)
_OF_LOCKS = {
    "acquire": TAKE,
    "acquire_lock": TAKE,
    "__enter__": TAKE,
    ACQUIRE_RESTORE: RESTORE,
    "release": LET_GO,
    "release_lock": LET_GO,
    "__exit__": LET_GO,
    RELEASE_SAVE: LET_GO_ENTIRELY,
}
_OF_HANDLES = {"join": JOIN}
_OF_QUEUES = {"get": GET, "get_nowait": GET, "put": PUT, "put_nowait": PUT}
# A place that calls a function of such a name may call a lock's the next time.
_ALSO_OTHERS = frozenset(_OF_LOCKS)


def unbound() -> dict[Any, int]:
    """The methods as the classes have them → what they do."""
    found: dict[Any, int] = {}
    kinds = [(Lock, _OF_LOCKS), (RLock, _OF_LOCKS), (SimpleQueue, _OF_QUEUES)]
    for kind, names in [*kinds, (Handle, _OF_HANDLES)] if Handle is not None else kinds:
        for name, operation in names.items():
            if type(vars(kind).get(name)) is MethodDescriptorType:
                found[vars(kind)[name]] = operation
    return found


def bound(function: Any) -> tuple[int | None, Any]:
    """What a bound method of a lock, queue or thread does, and whose it is; (None, None) for any other."""
    owner = function.__self__
    kind = type(owner)
    if kind is Lock or issubclass(kind, RLock):
        return _OF_LOCKS.get(function.__name__), owner
    if issubclass(kind, SimpleQueue):
        return _OF_QUEUES.get(function.__name__), owner
    if kind is Handle:
        return _OF_HANDLES.get(function.__name__), owner
    return None, None


def may_be_lock(callable: Any) -> bool:
    """Whether a function of Python's has a name that a lock's method could have here another time."""
    function = callable.__func__ if type(callable) is MethodType else callable
    return type(function) is FunctionType and function.__name__ in _ALSO_OTHERS
