"""Loops that are not built on asyncio's own: uvloop's.

Its handles are written in C and cannot be watched, so what is handed to a loop is wrapped: the wrapper is a
handle to us and a callback to the loop. What uvloop calls from C without a handle (data for a protocol,
the end of a child process) is not seen: a wake-up that came from there has an unknown causer.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from concmagic.interpreter.frames_and_threads import getframe, hide_frame
from concmagic.interpreter.hook_parts import (
    WAKEUP,
    Hook,
    SeenHandle,
    SeenTimer,
    call_handle,
    hide_hook,
    step_type,
)
from concmagic.interpreter.task_scheduling import future_hooks
from concmagic.interpreter.task_steps import create_task_hook, run_hook
from concmagic.recording.tasks.bare_futures import Asked
from concmagic.recording.tasks.loop_runs import run_forever_hook
from concmagic.recording.tasks.wait_reasons import OF_LOOPS

if TYPE_CHECKING:
    from concmagic.recording.tasks.observer import Observer

PACKAGE = "uvloop"


def hooks_for(module: ModuleType, observer: Observer) -> list[tuple[type, str, Hook]]:
    """The class, name and stand-in of each function of the package's loop that is replaced."""
    loop = module.Loop
    run = run_hook(observer, call_handle)
    observer.waits.asked = weakref.WeakKeyDictionary()
    found: list[tuple[type, str, Hook]] = []
    for name, make in (
        ("call_soon", _call_soon),
        ("call_soon_threadsafe", _call_soon_threadsafe),
        ("call_later", _call_later),
    ):
        original = getattr(loop, name)
        found.append((loop, name, functools.wraps(original)(make(observer, original, run))))
    found.append((loop, "run_forever", run_forever_hook(observer, loop.run_forever)))
    found.append((loop, "create_task", create_task_hook(observer, loop.create_task)))
    found += future_hooks(observer, loop)
    for name in OF_LOOPS:
        original = getattr(loop, name, None)
        if original is not None and not isinstance(original, FunctionType):  # else it is not its own
            found.append((loop, name, _awaitable(observer, original, name)))
    return found


def _awaitable(observer: Observer, original: Hook, name: str) -> Hook:
    """A function of the loop that returns what is awaited: it is noted what that was asked for."""

    asked = observer.waits.asked

    @functools.wraps(original)
    def function(*args: Any, **options: Any) -> Any:
        try:
            awaitable = original(*args, **options)
        except BaseException as error:
            hide_frame(error)
            raise
        if observer.active and asked is not None:
            with suppress(TypeError):  # it cannot be referred to weakly
                asked[awaitable] = Asked(name, args, options)
        return awaitable

    return function


def _wrong(loop: Any, callback: Any) -> bool:
    """What uvloop refuses, for it to refuse."""
    return not callable(callback) or (loop.get_debug() and inspect.iscoroutinefunction(callback))


def _call_soon(observer: Observer, original: Hook, run: Hook) -> Hook:
    numbers, step = observer.table.numbers, step_type()

    def call_soon(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if not observer.active or _wrong(self, callback):
            return original(self, callback, *args, context=context)
        handle = original(self, SeenHandle(run, self, callback), *args, context=context)
        hide_hook(handle)
        kind = type(callback)
        if kind is step:
            if id(callback.__self__) not in numbers:
                observer.scheduled(callback.__self__, self, getframe(1))
        elif kind is BuiltinFunctionType:
            if callback.__name__ == WAKEUP:
                observer.woken(callback.__self__, args[0])
        elif kind is MethodType:
            observer.bound(callback, args)
        return handle

    return call_soon


def _call_soon_threadsafe(observer: Observer, original: Hook, run: Hook) -> Hook:
    def call_soon_threadsafe(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if not observer.active or _wrong(self, callback):
            return original(self, callback, *args, context=context)
        seen = SeenHandle(run, self, callback)
        observer.sent(seen, callback, args, self)
        handle = original(self, seen, *args, context=context)
        hide_hook(handle)
        return handle

    return call_soon_threadsafe


def _call_later(observer: Observer, original: Hook, run: Hook) -> Hook:
    """For `call_at`, too, which calls it."""

    def call_later(self: Any, delay: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if not observer.active or _wrong(self, callback):
            return original(self, delay, callback, *args, context=context)
        handle = original(self, delay, SeenTimer(run, self, callback), *args, context=context)
        hide_hook(handle)
        return handle

    return call_later
