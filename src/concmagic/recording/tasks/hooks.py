"""What stands in for asyncio's own functions while a cell is recorded.

The functions made here run for every step of every task: they do as little as they can. Building the
Handle and queueing it ourselves is cheaper than calling the original `call_soon`; where the loop is in
debug mode, or closed, the original does it all. None of them ever raises an error of its own.
"""

from __future__ import annotations

import functools
import os
from asyncio import current_task, events, futures
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, MethodType
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.reading import code_of
from concmagic.recording.tasks.crowd import CREATED, FIRST
from concmagic.recording.tasks.step_clock import LONG_NS
from concmagic.recording.throws import unrecorded

if TYPE_CHECKING:
    from concmagic.recording.tasks.observer import Observer

Hook = Callable[..., Any]
_OF_GROUP = -FIRST  # the part of a member's number that tells its group

# How a task's own callbacks are called: C tasks use one type for their steps and a builtin method
# for wake-ups, tasks written in Python two bound methods.
_STEP_TYPE = "TaskStepMethWrapper"
WAKEUP = "task_wakeup"
SLEEP_IS_OVER = getattr(futures, "_set_result_unless_cancelled", None)
STEP_IN_PYTHON, _WAKEUP_IN_PYTHON = "__step", "__wakeup"


class Identity:
    """`identity[thing]` is `id(thing)`, but no call: recorded, that would cost more than it does."""

    __getitem__ = staticmethod(id)


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


def run_hook(observer: Observer, original: Hook) -> Hook:
    """The stand-in for `Handle._run`: takes a step's begin and end."""
    from concmagic.recording.tasks.scheduling import throws_into  # which imports from here

    numbers, sleeps, buffer = observer.table.numbers, observer.table.sleeps, observer.stream.buffer
    flush = observer.stream.flush
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
            if end - begin > LONG_NS:
                fresh_until, fresh_loop = thread_clock.long(begin, end), self._loop
                flush()

    return _run


def create_task_hook(observer: Observer, original: Hook) -> Hook:
    """The stand-in for `BaseEventLoop.create_task`: gives the task its number and its parent."""
    numbers, buffer, identity = observer.table.numbers, observer.stream.buffer, Identity()
    groups, next_member = observer.table.crowd.by_key, observer.table.crowd.next

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
                first = groups[identity[coro.cr_code], parent if parent < FIRST else parent & _OF_GROUP]
            except (KeyError, AttributeError):  # the first one, or no coroutine of Python's own
                pass
            else:
                numbers[identity[task]] = number = first + next_member()
                buffer += (begin, -CREATED, number)
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


# What runs a loop's callbacks: what stands outside of it has not called them.
_RUN = code_of(events.Handle, "_run")
RUN_CODES: tuple[CodeType, ...] = (
    *(() if _RUN is None else (_RUN,)),
    *(code for code in run_hook.__code__.co_consts if isinstance(code, CodeType)),
)
