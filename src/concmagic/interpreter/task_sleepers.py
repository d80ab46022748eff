"""Notes that a task which slept is woken: most of a loop's wake-ups, so the shortest way there is.

What such a wait is, the book of waits finds out once for every place that sleeps; here it is only looked up.
"""

from __future__ import annotations

from asyncio import tasks
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter.reading import code_of
from concmagic.interpreter.watching import Identity

if TYPE_CHECKING:
    from concmagic.interpreter.watching import Watching

_SLEEP = code_of(tasks, "sleep")


def is_sleep(code: Any) -> bool:
    """Whether this is the code of `asyncio.sleep`; where that cannot be read nothing is."""
    return code is not None and code is _SLEEP


def is_known() -> bool:
    """Whether the code of `asyncio.sleep` was found."""
    return _SLEEP is not None


def sleeper_noter(observer: Watching) -> Callable[[Any, Any], bool]:
    """What notes the wake-up of a task that slept in its own coroutine; False where it is any other.

    Most wake-ups are these. Operators and attributes rather than calls, as in `_run`.
    """
    numbers, buffer, book = observer.table.numbers, observer.stream.buffer, observer.waits
    delays, naps, identity = book.delays, book.naps, Identity()
    clock = iter(monotonic_ns, None)

    def notes_sleeper(task: Any, future: Any) -> bool:
        nonlocal buffer
        try:
            asleep = identity[future]
            delay = delays[asleep]
            coroutine = task._coro
            if coroutine.cr_await.cr_code is not _SLEEP:
                return False
            number = numbers[identity[task]]
            place = identity[coroutine.cr_code], coroutine.cr_frame.f_lasti
            wait = naps[delay, *place, future._state == "CANCELLED"]
            del delays[asleep]
        except (KeyError, AttributeError):  # seen for the first time, or a coroutine of another kind
            return False
        if observer.active:
            for at in clock:  # noqa: B007  (the first item, not all of them)
                break
            buffer += (at, -wait, number)
        return True

    return notes_sleeper
