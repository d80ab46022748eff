"""Frames and threads: the calling frame, every thread's innermost one, and what `threading` keeps to itself.

The calling frame is had also where `sys._getframe` is missing or replaced; frames of ours are hidden.

`sys._current_frames` makes its frames while it holds the lock of the list of threads. Where that sets off
the garbage collector (Python 3.11), and the garbage holds a `threading.local`, whose end takes the same
lock, the whole process stands still for ever. So nothing is collected meanwhile; `sys._current_exceptions`
makes its tuples under that lock, too.
"""

from __future__ import annotations

import _thread
import gc
import sys
import threading
from collections.abc import Callable
from functools import partial
from operator import call, methodcaller
from threading import get_ident
from types import CodeType, FrameType, FunctionType
from typing import Any

from concmagic.interpreter.borrowing import Capability, borrowed, code_of, missing


class _Here(Exception):
    """Raised to learn from its traceback where it was raised."""


def by_traceback(depth: int = 0, /) -> FrameType:
    """What `sys._getframe` answers, by the traceback of an exception raised here."""
    try:
        raise _Here
    except _Here as error:
        frame = error.__traceback__.tb_frame.f_back if error.__traceback__ is not None else None
    for _ in range(depth):
        frame = frame.f_back if frame is not None else None
    if frame is None:
        raise ValueError("call stack is not deep enough")
    return frame


def _chosen() -> Callable[..., FrameType]:
    """Python's own function where it answers the frame that calls it, as a wrapper around it would not."""
    found: Callable[..., FrameType] | None = getattr(sys, "_getframe", None)
    try:
        is_right = found is not None and found(0).f_code is _chosen.__code__
    except Exception:
        is_right = False
    return found if found is not None and is_right else by_traceback


getframe = _chosen()


def hide_frame(error: BaseException, frames: int = 1) -> None:
    """Take the calling frame out of what an error tells, or more of the outermost; then raise it bare.

    For wrappers that do more than those below: a bare `raise` adds no entry again.
    """
    trace = error.__traceback__
    for _ in range(frames):
        if trace is not None:
            trace = trace.tb_next
    error.__traceback__ = trace


def standing_at(frame: FrameType, function: Callable[[], Any]) -> Callable[[], Any]:
    """The function, called from the line where `frame` stands: C code that warns tells its caller's."""
    name = getattr(function, "__name__", "call")
    code = _CALL.__code__.replace(
        co_filename=frame.f_code.co_filename, co_firstlineno=frame.f_lineno, co_name=name, co_qualname=name
    )
    return partial(FunctionType(code, frame.f_globals), function)


_CALL: Callable[[Callable[[], Any]], Any] = lambda function: function()  # on one line, the first  # noqa: E731


def thread_frames() -> dict[int, FrameType]:
    """The innermost frames of the other threads, by ident.

    With its own among them the caller's frame would refer to itself, and all of them, with what their
    variables hold, would stay until garbage is collected.
    """
    frames: dict[int, FrameType] = _uncollected(borrowed(sys, "_current_frames", dict))
    frames.pop(get_ident(), None)
    return frames


def handled_in(ident: int) -> BaseException | None:
    """The innermost exception that a thread handles."""
    found = _uncollected(borrowed(sys, "_current_exceptions", dict)).get(ident)
    error: BaseException | None = found[1] if isinstance(found, tuple) else found  # a tuple until 3.11
    return error


def _uncollected(ask: Any) -> Any:
    if not gc.isenabled():
        return ask()
    # One step of C for all three: no other thread can set the collector, or need it, in between.
    _, answer, _ = map(call, (gc.disable, ask, gc.enable))
    return answer


def probe_frames() -> Capability:
    """Whether the calling thread's own frame, and the exception that it handles, are found."""
    here = _uncollected(borrowed(sys, "_current_frames", dict)).pop(get_ident(), None)
    try:
        raise LookupError
    except LookupError as error:
        is_found = handled_in(get_ident()) is error
    found = here is not None and here.f_code.co_filename == __file__
    return missing(_current_frames=found, _current_exceptions=is_found)


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


def probe_threads() -> Capability:
    """Whether a thread that has not been started, and the one that asks, read as they should."""
    thread, lock = threading.Thread(target=probe_threads, args=(1,), daemon=True), threading.RLock()
    with lock:
        owned = bool(is_owned(lock))
    return missing(
        _active=threading.main_thread() in started.values(),
        _target=target_of(thread) is probe_threads,
        _args=arguments_of(thread) == (1,),
        _is_owned=owned and not is_owned(lock),
        _bootstrap=callable(getattr(thread, BOOTSTRAP, None)),
        _delete=callable(getattr(thread, DELETE, None)),
        _invoke_excepthook=callable(excepthook_of(thread)),
        join=_JOIN,
    )
