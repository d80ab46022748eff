"""What stands in for a loop's own `call_soon`, `create_future` and the like while a cell is recorded.

Apart from the other hooks because nothing of the user's is ever called from here: a tracer of calls can
leave this file out and loses nothing, while a loop's callbacks and eager steps run inside the others.
"""

from __future__ import annotations

import functools
import heapq
import sys
from asyncio import events, futures
from contextvars import copy_context
from types import BuiltinFunctionType, MethodType
from typing import TYPE_CHECKING, Any

from concmagic.clock import users_time
from concmagic.interpreter.asyncio_internals import own_loop, selector_of
from concmagic.interpreter.frames_and_threads import getframe, thread_of
from concmagic.interpreter.hook_parts import (
    SLEEP_IS_OVER,
    WAKEUP,
    Hook,
    Identity,
    handle_maker,
    hide_hook,
    is_asyncios,
    sleeper_noter,
    step_type,
)

if TYPE_CHECKING:
    from concmagic.interpreter.hook_parts import Watching

# What makes futures and handles for others; each handle that is cancelled asks, too.
_MAKERS = frozenset(name for name in sys.modules if name.startswith("asyncio.")) | {__name__}
_OWN_PLACES = ("stdlib", "ours")


def thread_of_loop(loop: Any) -> int:
    """The native id of the thread that runs the loop; 0 where that is not told."""
    thread = thread_of(getattr(loop, "_thread_id", None) or 0)
    return 0 if thread is None else thread.native_id or 0


def is_selected(handle: Any) -> bool:
    """Whether the loop runs this handle because a file descriptor is ready."""
    selector = selector_of(own_loop(handle))
    keys = None if selector is None else selector.get_map()
    return keys is not None and any(
        isinstance(key.data, tuple) and any(other is handle for other in key.data) for key in keys.values()
    )


def call_soon_hook(observer: Watching, original: Hook) -> Hook:
    """The stand-in for `BaseEventLoop.call_soon`: notes wake-ups."""
    numbers, step, identity = observer.table.numbers, step_type(), Identity()
    make_handle, notes_sleeper = handle_maker(), sleeper_noter(observer)
    others = not is_asyncios(original)  # somebody's own: it does what it does, and is called

    @functools.wraps(original)
    def call_soon(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if others or self._debug or self._closed:
            handle = original(self, callback, *args, context=context)
            hide_hook(handle)
        else:
            handle = make_handle(callback, args, self, context)
            ready = self._ready
            ready += (handle,)
        kind = callback.__class__
        if kind is step:
            if identity[callback.__self__] not in numbers:
                observer.scheduled(callback.__self__, self, getframe(1))
        elif kind is BuiltinFunctionType:
            if callback.__name__ == WAKEUP and not notes_sleeper(callback.__self__, args[0]):
                observer.woken(callback.__self__, args[0])
        elif kind is MethodType:
            observer.bound(callback, args)
        return handle

    return call_soon


def timer_maker(observer: Watching) -> Hook:
    """What schedules a callback as `BaseEventLoop.call_later` does, and notes how long a sleep is to be.

    It makes the handle field by field: in a third of the time, which pays for a part of what the notes cost.
    """
    delays, make, push, identity = observer.waits.delays, object.__new__, heapq.heappush, Identity()
    timer: Any = events.TimerHandle

    def make_timer(loop: Any, delay: Any, callback: Any, args: tuple[Any, ...], context: Any) -> Any:
        handle = make(timer)
        handle._when = (
            users_time.monotonic() + delay
        )  # the loop compares it with its own time: frozen with it
        handle._callback, handle._args, handle._loop = callback, args, loop
        handle._context = copy_context() if context is None else context
        handle._cancelled, handle._repr, handle._source_traceback = False, None, None
        push(loop._scheduled, handle)
        handle._scheduled = True
        if callback is SLEEP_IS_OVER and observer.active:
            delays[identity[args[0]]] = delay
        return handle

    return make_timer


def earlier_hook(observer: Watching, original: Hook) -> Hook:
    """The stand-in for `TimerHandle.__lt__`, which a loop's heap calls some seven times for every sleep.

    It notes nothing: it is here because comparing timers, where calls are traced, costs more than all hooks.
    """
    timer: Any = events.TimerHandle if is_asyncios(original) else None

    @functools.wraps(original)
    def earlier(self: Any, other: Any) -> Any:
        return self._when < other._when if other.__class__ is timer else original(self, other)

    return earlier


def call_soon_threadsafe_hook(observer: Watching, original: Hook) -> Hook:
    """The stand-in for `BaseEventLoop.call_soon_threadsafe`: notes which thread called.

    The handle is built here because it must be noted before the loop's own thread can run it.
    """
    make_handle, others = events.Handle, not is_asyncios(original)

    @functools.wraps(original)
    def call_soon_threadsafe(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        if others or not observer.active or self._closed:
            return original(self, callback, *args, context=context)
        if self._debug:
            self._check_callback(callback, "call_soon_threadsafe")
        handle = make_handle(callback, args, self, context)
        hide_hook(handle)
        observer.sent(handle, callback, args, self)
        self._ready.append(handle)
        self._write_to_self()
        return handle

    return call_soon_threadsafe


def future_hooks(observer: Watching, loop: Any) -> list[tuple[type, str, Hook]]:
    """The stand-ins for `create_future` and `get_debug` of a class of loops: note where futures are made.

    The first tells those that a loop makes, unless asyncio itself asked it to. Every future asks for the
    debug mode while it is made: so the second tells those made by hand, where the first is not at work.
    """
    places, make_future, frame_of = observer.known_places, futures.Future, getframe
    created, is_making = observer.futures, False
    original_create, original_ask = loop.create_future, loop.get_debug
    alone, alone_asked = is_asyncios(original_create), is_asyncios(original_ask)
    # From 3.12: without a frame object, which every sleep would have to make.
    module_of = getattr(sys, "_getframemodulename", None)

    @functools.wraps(original_create)
    def create_future(self: Any) -> Any:
        nonlocal is_making
        is_making = True
        try:
            future: Any = make_future(loop=self) if alone else original_create(self)
        finally:
            is_making = False
        if module_of is not None and module_of(1) == "asyncio.tasks":
            return future
        if places.get(frame_of(1).f_code.co_filename) != "stdlib" and observer.active:
            created.made(future, frame_of(1))
        return future

    @functools.wraps(original_ask)
    def get_debug(self: Any) -> Any:
        if not is_making:
            if module_of is not None:
                asked_here = module_of(1) not in _MAKERS
            else:
                asked_here = places.get(frame_of(1).f_code.co_filename) not in _OWN_PLACES
            if asked_here and observer.active:
                created.by_hand(self, frame_of(1))
        return self._debug if alone_asked else original_ask(self)

    return [(loop, "create_future", create_future), (loop, "get_debug", get_debug)]


def stop_hook(observer: Watching, original: Hook) -> Hook:
    """The stand-in for a loop's `stop`: what comes after it may happen outside of the loop."""

    @functools.wraps(original)
    def stop(self: Any) -> Any:
        if observer.active:
            observer.stopped(self)
        return original(self)

    return stop


def throws_into(task: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether the next step of a task begins with an exception; `arguments` are its callback's."""
    try:
        if task._must_cancel or not arguments:
            return bool(task._must_cancel)
        future = arguments[0]
        # Not exception(): asking would count as having retrieved it.
        return future._exception is not None or future._state == "CANCELLED"
    except Exception:  # an exception is given itself, or it is a task or future of somebody's own
        return True
