"""The tracer leaves out a file of the task hooks and all that is called from there: never the user's code."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from concmagic.importing.decode_calls import decode
from concmagic.recording.calls.call_recorder import CallRecorder
from concmagic.recording.tasks.task_recorder import TaskRecorder

Main = Callable[[], Coroutine[Any, Any, None]]
TIMES = 5


class OwnLoop(asyncio.SelectorEventLoop):
    """A loop with its own ideas of time and of timers."""

    def time(self) -> float:
        return own_clock(super().time())

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        own_timer()
        return super().call_at(when, callback, *args, context=context)


def own_clock(now: float) -> float:
    return now


def own_timer() -> None:
    pass


def called_back(*_: Any) -> None:
    pass


def computed() -> None:
    pass


def calls_of(main: Main, loop: asyncio.AbstractEventLoop, debug: bool) -> Counter[str]:
    """How often each function was called, as recorded with the task hooks in place."""
    tasks, calls = TaskRecorder(), CallRecorder("calls")
    loop.set_debug(debug)
    tasks.start()
    calls.start()
    try:
        loop.run_until_complete(main())
    finally:
        raw = calls.stop()
        tasks.stop()
        loop.close()
    assert raw is not None
    found = decode(raw)
    return Counter(found.functions[number].name for number in found.function.tolist())


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("make_loop", [asyncio.SelectorEventLoop, OwnLoop])
def test_callbacks_and_steps_are_recorded(
    make_loop: Callable[[], asyncio.AbstractEventLoop], debug: bool
) -> None:
    async def step() -> None:
        computed()
        await asyncio.sleep(0)
        computed()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(TIMES):
            done = loop.create_future()
            done.add_done_callback(called_back)
            loop.call_soon(called_back)
            loop.call_later(0, called_back)
            loop.call_at(loop.time(), called_back)
            sender = threading.Thread(target=loop.call_soon_threadsafe, args=(called_back,))
            sender.start()
            sender.join()
            loop.call_later(0, done.set_result, None)
            await done
            await asyncio.create_task(step())
        await asyncio.sleep(0.001)

    found = calls_of(main, make_loop(), debug)
    assert found["called_back"] == 5 * TIMES
    assert found["computed"] == 2 * TIMES
    if make_loop is OwnLoop:
        assert found["own_timer"] == found["OwnLoop.call_at"] == 3 * TIMES + 1
        assert found["own_clock"] == found["OwnLoop.time"] > 3 * TIMES


if sys.version_info >= (3, 12):

    @pytest.mark.parametrize("debug", [False, True])
    def test_eager_steps_are_recorded(debug: bool) -> None:
        async def child() -> None:
            computed()
            await asyncio.sleep(0)
            computed()

        async def main() -> None:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            await asyncio.gather(*(child() for _ in range(TIMES)))

        assert calls_of(main, asyncio.new_event_loop(), debug)["computed"] == 2 * TIMES
