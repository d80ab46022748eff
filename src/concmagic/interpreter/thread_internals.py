"""What `threading` keeps to itself: who is alive, what a thread runs, how it begins and ends."""

from __future__ import annotations

import _thread
import threading
from operator import methodcaller
from types import CodeType
from typing import Any

from concmagic.interpreter.reading import borrowed, code_of
from concmagic.interpreter.support import Capability, missing

BOOTSTRAP, DELETE = "_bootstrap", "_delete"  # of threading.Thread: its first and its last own function
MAKE_RLOCK = "_CRLock"  # of threading: what `threading.RLock` calls
# Of locks, as a Condition uses them: let go whatever its depth, and take with that depth again.
RELEASE_SAVE, ACQUIRE_RESTORE = "_release_save", "_acquire_restore"
_EXCEPTHOOK = "_invoke_excepthook"

started: dict[int, threading.Thread] = borrowed(threading, "_active", {}, at_import=True)
Handle: Any = getattr(_thread, "_ThreadHandle", None)  # from 3.13 on; before, `join` takes a lock
Local: Any = getattr(_thread, "_local", threading.local)
is_owned = methodcaller("_is_owned")  # of an RLock: by the calling thread
_JOIN = code_of(threading.Thread, "join")
_RLOCK = getattr(threading.RLock, "__code__", None)  # a function, which calls what makes one


def thread_of(ident: int) -> threading.Thread | None:
    """The thread of this ident. `current_thread()` would give one that is unknown an entry."""
    return started.get(ident)


def is_stand_in(thread: threading.Thread) -> bool:
    """Whether `threading` made it for a thread that it did not start."""
    return isinstance(thread, borrowed(threading, "_DummyThread", ()))


def target_of(thread: Any) -> Any:
    """What a thread was given to run; None once it has ended, or if it was given nothing."""
    return getattr(thread, "_target", None)


def arguments_of(thread: threading.Thread) -> tuple[Any, ...]:
    """What a thread gives to its target."""
    return getattr(thread, "_args", ())


def is_join(code: CodeType) -> bool:
    """Whether it is the code of `Thread.join`."""
    return code is _JOIN


def is_rlock_maker(code: CodeType) -> bool:
    """Whether it is the code of `threading.RLock`."""
    return code is _RLOCK


def makes_rlocks() -> bool:
    """Whether there is a name by which `threading.RLock` makes one."""
    return getattr(threading, MAKE_RLOCK, None) is not None


def excepthook_of(thread: threading.Thread) -> Any:
    """What a thread calls when its target raises; None, told, if it has no such thing."""
    return borrowed(thread, _EXCEPTHOOK)


def set_excepthook(thread: threading.Thread, hook: Any) -> None:
    """Let a thread call this when its target raises."""
    setattr(thread, _EXCEPTHOOK, hook)


def has_excepthook(thread: threading.Thread, hook: Any) -> bool:
    """Whether it is still this that a thread would call."""
    return vars(thread).get(_EXCEPTHOOK) is hook


def probe() -> Capability:
    """Whether a thread that has not been started, and the one that asks, read as they should."""
    thread, lock = threading.Thread(target=probe, args=(1,), daemon=True), threading.RLock()
    with lock:
        owned = bool(is_owned(lock))
    return missing(
        _active=threading.main_thread() in started.values(),
        _target=target_of(thread) is probe,
        _args=arguments_of(thread) == (1,),
        _is_owned=owned and not is_owned(lock),
        _bootstrap=callable(getattr(thread, BOOTSTRAP, None)),
        _delete=callable(getattr(thread, DELETE, None)),
        _invoke_excepthook=callable(excepthook_of(thread)),
        join=_JOIN,
    )
