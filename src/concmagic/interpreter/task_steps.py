"""What stands in for asyncio's own functions while a cell is recorded.

The functions made here run for every step of every task: they do as little as they can. Building the
Handle and queueing it ourselves is cheaper than calling the original `call_soon`; where the loop is in
debug mode, or closed, the original does it all. None of them ever raises an error of its own.
"""

from __future__ import annotations

import functools
import os
from asyncio import base_events, current_task, events, futures
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FrameType, MethodType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.loop_handles import SLEEP_TIMER
from concmagic.interpreter.observer_protocol import Hook, Identity, Watching
from concmagic.interpreter.reading import code_of
from concmagic.interpreter.support import Capability, missing
from concmagic.interpreter.thrown_steps import throws_into

# How a task's own callbacks are called: C tasks use one type for their steps and a builtin method
# for wake-ups, tasks written in Python two bound methods.
_STEP_TYPE = "TaskStepMethWrapper"
WAKEUP = "task_wakeup"
SLEEP_IS_OVER = getattr(futures, SLEEP_TIMER, None)
STEP_IN_PYTHON, _WAKEUP_IN_PYTHON = "__step", "__wakeup"


class _NoSuchCallback:
    """Stands for the step's type where the interpreter has none of its own."""


@functools.cache  # to look through all classes would cost a forked child three milliseconds
def step_type() -> type:
    """The type of the callback that is a C task's step; no module offers it by name."""
    return next((kind for kind in object.__subclasses__() if kind.__name__ == _STEP_TYPE), _NoSuchCallback)


def stepping_task(callback: Any) -> Any:
    """The task that this callback is a step or a wake-up of; None for any other callback.

    For all but a C task's step, which the hooks know by its type.
    """
    kind = type(callback)
    if kind is BuiltinFunctionType:
        return callback.__self__ if callback.__name__ == WAKEUP else None
    if kind is MethodType and callback.__name__ in (STEP_IN_PYTHON, _WAKEUP_IN_PYTHON):
        return callback.__self__ if hasattr(callback.__self__, "get_coro") else None
    return None


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


def hide_hook(made: Any) -> None:
    """In debug mode asyncio remembers where a handle or task was made: that is not in here."""
    trace = getattr(made, "_source_traceback", None)
    if trace:
        del trace[-1]


def is_asyncios(function: Hook | None) -> bool:
    """Whether this is asyncio's own, and nobody else stands in for it already."""
    code = getattr(function, "__code__", None)
    return code is not None and os.path.dirname(code.co_filename) == os.path.dirname(events.__file__)


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


def is_step(callback: Any) -> bool:
    """Whether a bound method is a Python-written task's step, not its wake-up."""
    return bool(callback.__name__ == STEP_IN_PYTHON)


# Where the hooks are put: the class that has it, its name there, and what makes the stand-in.
HANDLE_HOOKS: tuple[tuple[type, str, Callable[[Watching, Hook], Hook]], ...] = (
    (events.Handle, "_run", run_hook),
)


def probe() -> Capability:
    """Whether the steps of tasks can be told from other callbacks, and asyncio's own functions are there."""
    from concmagic.interpreter import loop_handles

    return missing(
        TaskStepMethWrapper=step_type() is not _NoSuchCallback,
        _run=_RUN,
        create_task=_CREATE,
        sleep=loop_handles.is_known(),
        _set_result_unless_cancelled=SLEEP_IS_OVER,
        Handle=loop_handles.HANDLES_ARE_KNOWN,
        TimerHandle=loop_handles.TIMERS_ARE_KNOWN,
    )
