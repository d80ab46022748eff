"""What a cell forgot: coroutines that were never awaited, exceptions that nobody asked for.

Python itself notices both, when the object is collected, and says so to the user. These hooks only listen:
the words, the place and the number of the user's warnings stay what they are.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.code_owner import owner_of
from concmagic.interpreter import task_steps
from concmagic.interpreter.asyncio_fields import will_warn
from concmagic.recording.tasks.task_groups import ENDED, FIRST
from concmagic.recording.tasks.whose_task import code_of
from concmagic.records.recording import RawCode

if TYPE_CHECKING:
    from concmagic.interpreter.hook_parts import Hook
    from concmagic.recording.tasks.observer import Observer
    from concmagic.recording.tasks.task_table import TaskEntry

_MOST_KEPT = 10_000  # coroutines that were not awaited: a loop may forget a million


def unawaited_hook(observer: Observer, original: Hook) -> Hook:
    """The stand-in for what the interpreter calls to warn of a coroutine that was never awaited.

    A function around it would shift the place that is warned of.
    """

    def warn(message: Any, category: Any = None, stacklevel: int = 1, source: Any = None) -> None:
        if observer.active:
            _note_unawaited(observer, source)
        warnings.warn(message, category, stacklevel=stacklevel + 1, source=source)

    replaced: Hook = task_steps.with_other_warn(original, warn)
    return replaced


def exception_handler_hook(observer: Observer, original: Hook) -> Hook:
    """The stand-in for `BaseEventLoop.call_exception_handler`: hears of exceptions that nobody asked for."""

    @functools.wraps(original)
    def call_exception_handler(self: Any, context: dict[str, Any]) -> Any:
        if observer.active:
            _note_unretrieved(observer, context)
        return original(self, context)

    return call_exception_handler


def look_at_end(entry: TaskEntry, task: Any) -> None:
    """Note whether a task's exception has been asked for; looking counts as nothing."""
    entry.unretrieved = will_warn(task)


def _note_unawaited(observer: Observer, coroutine: Any) -> None:
    try:
        code = code_of(coroutine)
        if code is not None and owner_of(code.co_filename) == "user" and len(observer.unawaited) < _MOST_KEPT:
            name = getattr(coroutine, "__qualname__", code.co_qualname)
            observer.unawaited.append(RawCode(name, code.co_filename, code.co_firstlineno))
    except Exception as error:
        observer.fail(error)


def _note_unretrieved(observer: Observer, context: dict[str, Any]) -> None:
    try:
        if "task" in context:
            _note_destroyed(observer, context["task"])
        future = context.get("future")
        if future is None or not task_steps.is_never_retrieved(context):
            return
        # The task is being collected: its number is no longer known, its identity is still its own.
        crowd, number = observer.table.crowd, observer.table.numbers.get(id(future), 0)
        if number >= FIRST:
            crowd.forgotten(number)
            return
        for entry in reversed([*observer.table.tasks.values()]):
            if entry.ref is not None and entry.ref.identity == id(future):
                entry.unretrieved = True
                return
    except Exception as error:
        observer.fail(error)


def _note_destroyed(observer: Observer, task: Any) -> None:
    """A member of a group is collected while it waits; of what is told by itself a weak reference tells."""
    number = observer.table.numbers.get(id(task), 0)
    if number >= FIRST and not task.done():
        del observer.table.numbers[id(task)]
        outcome = observer.table.crowd.destroyed()
        observer.stream.buffer.extend((monotonic_ns(), -ENDED - outcome, number))
