"""What stands in for asyncio's own functions while a cell is recorded.

The functions made here run for every step of every task: they do as little as they can. Building the
Handle and queueing it ourselves is cheaper than calling the original `call_soon`; where the loop is in
debug mode, or closed, the original does it all. None of them ever raises an error of its own.
"""

from __future__ import annotations

import functools
import warnings
from asyncio import base_events, current_task, events
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, SimpleNamespace
from typing import Any, Final

from concmagic.clock import monotonic_ns
from concmagic.interpreter.borrowing import Capability, borrowed, code_of, missing
from concmagic.interpreter.hook_parts import (
    HANDLES_ARE_KNOWN,
    IS_SLEEP_KNOWN,
    SLEEP_IS_OVER,
    TIMERS_ARE_KNOWN,
    WAKEUP,
    Hook,
    Identity,
    NoSuchCallback,
    Watching,
    hide_hook,
    is_asyncios,
    step_type,
)
from concmagic.interpreter.task_scheduling import throws_into, timer_maker


def run_hook(observer: Watching, original: Hook) -> Hook:
    """The stand-in for `Handle._run`: takes a step's begin and end."""
    numbers, sleeps, buffer = observer.table.numbers, observer.table.sleeps, observer.stream.buffer
    flush, long_ns, unrecorded = observer.stream.flush, observer.long_ns, observer.unrecorded
    identity = Identity()
    clock = iter(monotonic_ns, None)  # its next item is the time now: no call either
    # The clock of one thread is read at a time: what is fresh for its loop is not for another's.
    thread_clock, fresh_until, fresh_loop = observer.clock, 0, None
    step: type = step_type()
    alone = is_asyncios(original)
    timer: Any = events.TimerHandle  # Any: asyncio's types do not tell of a handle's loop

    # Operators and attributes rather than calls: where calls are traced, too, each of those costs double.
    @functools.wraps(original)
    def _run(self: Any) -> Any:
        nonlocal buffer, fresh_until, fresh_loop
        if not observer.active:
            return original(self)
        usual = False
        try:
            callback = self._callback
            kind = callback.__class__
            if kind is step or (kind is BuiltinFunctionType and callback.__name__ == WAKEUP):
                task = callback.__self__
                number = numbers[identity[task]]
                usual = alone
            elif callback is SLEEP_IS_OVER and self.__class__ is timer:
                task, number = None, sleeps[identity[self._loop]]
                usual = alone
            else:
                task, number = observer.other(self)
        except KeyError:  # seen for the first time
            task, number = observer.first(self)
        except Exception as error:
            observer.fail(error)
            return original(self)
        for begin in clock:  # noqa: B007  (the first item, not all of them)
            break
        if begin > fresh_until or self._loop is not fresh_loop:  # mostly every half a millisecond
            flush()
            fresh_until, fresh_loop = thread_clock.read(), self._loop
            begin = monotonic_ns()
        try:
            # Most steps are told apart without a call: a C task's own, that nobody cancelled.
            if unrecorded and (kind is not step or task._must_cancel):  # noqa: SIM102  (cheapest so)
                if task is not None and throws_into(task, self._args):
                    return unrecorded[-1](original, self)
            # The original would do the same: what these callbacks raise it lets through.
            return self._context.run(callback, *self._args) if usual else original(self)
        finally:
            for end in clock:  # noqa: B007
                break
            buffer += (begin, end, number)
            if task is not None and task._state != "PENDING":
                observer.ended(task, number, end)
            if end - begin > long_ns:
                fresh_until, fresh_loop = thread_clock.long(begin, end), self._loop
                flush()

    return _run


def call_later_hook(observer: Watching, original: Hook) -> Hook:
    """The stand-in for `BaseEventLoop.call_later`; the original, where a loop's class has its own ideas."""
    make_timer = timer_maker(observer)
    # Read off the class, which the user may have changed: else a loop's class has its own ideas.
    time, call_at = (borrowed(base_events.BaseEventLoop, name, None) for name in ("time", "call_at"))
    own = vars(base_events.BaseEventLoop)
    alone = all(is_asyncios(one) for one in (original, own.get("time"), own.get("call_at")))
    numbers = (float, int) if TIMERS_ARE_KNOWN and alone else ()

    @functools.wraps(original)
    def call_later(self: Any, delay: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        kind = self.__class__
        usual = kind.time is time and kind.call_at is call_at and delay.__class__ in numbers
        if usual and not self._debug and not self._closed:
            return make_timer(self, delay, callback, args, context)
        handle = original(self, delay, callback, *args, context=context)
        hide_hook(handle)
        return handle

    return call_later


def create_task_hook(observer: Watching, original: Hook) -> Hook:
    """The stand-in for `BaseEventLoop.create_task`: gives the task its number and its parent."""
    numbers, buffer, identity = observer.table.numbers, observer.stream.buffer, Identity()
    groups, next_member = observer.table.crowd.by_key, observer.table.crowd.next
    first_member, created = observer.first_member, -observer.created_mark
    of_group = -first_member  # the part of a member's number that tells its group

    @functools.wraps(original)
    def create_task(self: Any, coro: Any, **options: Any) -> Any:
        nonlocal buffer
        if not observer.active:
            return original(self, coro, **options)
        begin = monotonic_ns()
        task = original(self, coro, **options)
        hide_hook(task)
        if groups and getattr(self, "_task_factory", self) is None and "eager_start" not in options:
            try:  # most tasks of very many: another one of a group
                parent = numbers[identity[current_task(self)]]
                first = groups[identity[coro.cr_code], parent if parent < first_member else parent & of_group]
            except (KeyError, AttributeError):  # the first one, or no coroutine of Python's own
                pass
            else:
                numbers[identity[task]] = number = first + next_member()
                buffer += (begin, created, number)
                return task
        observer.created(task, coro, self, begin, options.get("name") is not None)
        return task

    return create_task


_CREATE = code_of(base_events.BaseEventLoop, "create_task")


def is_create_task(code: CodeType) -> bool:
    """Whether this is the code of asyncio's own `create_task`."""
    return code is _CREATE


# What runs a loop's callbacks: what stands outside of it has not called them.
_RUN = code_of(events.Handle, "_run")
RUN_CODES: tuple[CodeType, ...] = (
    *(() if _RUN is None else (_RUN,)),
    *(code for code in run_hook.__code__.co_consts if isinstance(code, CodeType)),
)


def runs_callbacks(code: CodeType) -> bool:
    """Whether this is the code by which a loop runs a callback: asyncio's own, or what stands in for it."""
    return code.co_name == "_run" and code in RUN_CODES


def runs_step_of_ours(frame: FrameType) -> bool:
    """Whether this frame is that of our stand-in for `Handle._run`."""
    return frame.f_code.co_name == "_run" and frame.f_code.co_filename == __file__


# Where the function is that the interpreter calls when such a coroutine is collected.
WARNER: Final = (warnings, "_warn_unawaited_coroutine")
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


# Where the hooks are put: the class that has it, its name there, and what makes the stand-in.
HANDLE_HOOKS: tuple[tuple[type, str, Callable[[Watching, Hook], Hook]], ...] = (
    (events.Handle, "_run", run_hook),
)


def probe() -> Capability:
    """Whether the steps of tasks can be told from other callbacks, and asyncio's own functions are there."""
    return missing(
        TaskStepMethWrapper=step_type() is not NoSuchCallback,
        _run=_RUN,
        create_task=_CREATE,
        sleep=IS_SLEEP_KNOWN,
        _set_result_unless_cancelled=SLEEP_IS_OVER,
        Handle=HANDLES_ARE_KNOWN,
        TimerHandle=TIMERS_ARE_KNOWN,
    )
