"""What stands in for a loop's own `call_later`, for the sake of `asyncio.sleep`.

How long a sleep is to be stands in a variable of its own: asking its frame for that takes much longer.
In a file of its own: VizTracer leaves out the calls of `task_scheduling.py`, and this may call a loop's own.
"""

from __future__ import annotations

import functools
from asyncio import base_events
from typing import Any

from concmagic.interpreter.loop_handles import TIMERS_ARE_KNOWN
from concmagic.interpreter.observer_protocol import Hook, Watching
from concmagic.interpreter.reading import borrowed
from concmagic.interpreter.task_scheduling import timer_maker
from concmagic.interpreter.task_steps import hide_hook, is_asyncios


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
