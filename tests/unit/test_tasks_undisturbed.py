"""A recorded program behaves as it would without the recorder, and afterwards nothing is left."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import os
import threading
import warnings
import weakref
from asyncio import base_events, events
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from recorded_tasks import named

from concmagic.problems import Problem
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import TaskLog

Loop = base_events.BaseEventLoop
PLACES = [
    (events.Handle, "_run"),
    (events.TimerHandle, "__lt__"),
    (Loop, "call_soon"),
    (Loop, "call_later"),
    (Loop, "call_soon_threadsafe"),
    (Loop, "create_future"),
    (Loop, "create_task"),
]


def with_and_without(main: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[Any, Any]:
    """What a program returns plainly, and what it returns while it is recorded."""
    plain = asyncio.run(main())
    recorder = TaskRecorder()
    recorder.start()
    try:
        recorded = asyncio.run(main())
    finally:
        log = recorder.stop()
    assert log.problems == ()
    assert log.tasks
    return plain, recorded


def test_everything_is_put_back() -> None:
    before = [owner.__dict__[name] for owner, name in PLACES]
    recorder = TaskRecorder()
    recorder.start()
    during = [owner.__dict__[name] for owner, name in PLACES]
    assert all(now is not then for now, then in zip(during, before, strict=True))
    assert [inspect.signature(f) for f in during] == [inspect.signature(f) for f in before]
    recorder.stop()
    after = [owner.__dict__[name] for owner, name in PLACES]
    assert all(now is then for now, then in zip(after, before, strict=True))
    assert recorder.stop() == TaskLog()


def test_handles_hold_what_they_hold_without_the_recorder() -> None:
    async def main() -> list[tuple[type, dict[str, Any]]]:
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        handles = [
            loop.call_soon(print, 1, 2),
            loop.call_soon(print, context=context),
            loop.call_later(60, print, 1),
            loop.call_later(60.0, print, context=context),
            loop.call_at(60, print),
        ]
        found = []
        for handle in handles:
            kind = type(handle)
            fields = {
                name: getattr(handle, name)
                for one in kind.__mro__
                for name in vars(one)
                if _is_field(one, name)
            }
            assert fields.pop("_loop") is loop
            assert isinstance(fields.pop("_context"), contextvars.Context)
            fields.pop("_when", None)
            found.append((kind, fields))
            handle.cancel()
        return found

    plain, recorded = with_and_without(main)
    assert [names for _, fields in plain for names in fields] and plain == recorded


def _is_field(kind: type, name: str) -> bool:
    return name != "__weakref__" and name in getattr(kind, "__slots__", ())


def test_timers_are_ordered_as_without_the_recorder() -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        early, late = (asyncio.TimerHandle(when, print, (), loop) for when in (1, 2))
        try:
            early < object()  # type: ignore[operator]  # noqa: B015
        except TypeError as error:
            refused = str(error)
        return [early < late, late < early, early < early, early <= late, early > late, refused]

    plain, recorded = with_and_without(main)
    assert plain[:5] == [True, False, False, True, False] and plain == recorded


def test_a_hook_of_somebody_elses_stays_and_is_named() -> None:
    recorder = TaskRecorder()
    original = Loop.call_soon
    recorder.start()
    ours = Loop.call_soon

    def theirs(self: Any, *args: Any, **options: Any) -> Any:
        return ours(self, *args, **options)

    Loop.call_soon = theirs  # type: ignore[method-assign, assignment]
    try:
        log = recorder.stop()
        assert Loop.call_soon is theirs
        asyncio.run(asyncio.sleep(0))  # ours lies underneath and does no harm
    finally:
        Loop.call_soon = original  # type: ignore[method-assign]
    assert log.problems == (Problem.of("hook_replaced", "BaseEventLoop.call_soon"),)


def test_two_recordings_inside_each_other() -> None:
    async def main() -> None:
        await asyncio.sleep(0)

    outer, inner = TaskRecorder(), TaskRecorder()
    outer.start()
    inner.start()
    asyncio.run(main())
    logs = inner.stop(), outer.stop()
    assert [len(named(log, "main").steps) for log in logs] == [2, 2]
    assert [log.problems for log in logs] == [(), ()]


def test_order_of_steps_tasks_and_contexts() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def worker(number: int, order: list[Any], queue: asyncio.Queue[int]) -> None:
        variable.set(number)
        for _ in range(3):
            order.append((number, variable.get(), len(asyncio.all_tasks())))
            task = asyncio.current_task()
            assert task is not None
            order.append(task.get_coro().__qualname__)
            await queue.put(number)
            order.append(await queue.get())

    async def main() -> list[Any]:
        order: list[Any] = []
        queue: asyncio.Queue[int] = asyncio.Queue(2)
        loop = asyncio.get_running_loop()
        loop.call_soon(order.append, "callback")
        await asyncio.gather(*[worker(n, order, queue) for n in range(4)])
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            task = asyncio.current_task()
            assert task is not None
            order.append(task.cancelling())
        order.append(threading.active_count())
        return order

    plain, recorded = with_and_without(main)
    assert recorded == plain


def test_nothing_lives_longer() -> None:
    class Thing:
        pass

    class OwnError(Exception):
        pass

    async def holds(thing: Thing) -> None:
        local = Thing()
        references.append(weakref.ref(local))
        await asyncio.sleep(0)
        del local
        alive.append([reference() is not None for reference in references])
        event = asyncio.Event()
        asyncio.get_running_loop().call_soon(event.set)
        await event.wait()
        raise OwnError(thing)

    async def main() -> list[bool]:
        thing = Thing()
        task = asyncio.create_task(holds(thing))
        await asyncio.wait([task])
        coroutine = task.get_coro()
        assert coroutine is not None
        for each in (task, coroutine, thing, task.exception()):
            references.append(weakref.ref(each))
        del task, coroutine, thing, each
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        return [reference() is not None for reference in references]

    references: list[weakref.ref[Any]] = []
    alive: list[list[bool]] = []
    recorder = TaskRecorder()
    recorder.start()
    left = asyncio.run(main())
    recorder.stop()
    assert left == [False] * 5
    assert alive == [[False]]


def test_a_task_dies_without_the_collector() -> None:
    async def quick() -> None:
        pass

    async def main() -> bool:
        task = asyncio.create_task(quick())
        await task
        reference = weakref.ref(task)
        del task
        await asyncio.sleep(0)
        return reference() is None

    gc.disable()
    try:
        assert with_and_without(main) == (True, True)
    finally:
        gc.enable()


def test_the_recorder_itself_is_gone_after_the_cell() -> None:
    recorder = TaskRecorder()
    recorder.start()
    observer = weakref.ref(recorder._observer)  # type: ignore[arg-type]
    asyncio.run(asyncio.sleep(0))
    recorder.stop()
    gc.collect()
    assert observer() is None


def test_exception_never_retrieved_is_still_said() -> None:
    async def fails() -> None:
        raise ValueError("unseen")

    async def main() -> list[str]:
        said: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _l, context: said.append(context["message"]))
        task = asyncio.create_task(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()
        return said

    plain, recorded = with_and_without(main)
    assert plain == recorded == ["Task exception was never retrieved"]


def test_never_awaited_is_still_said() -> None:
    async def forgotten() -> None:
        pass

    async def main() -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forgotten()
            gc.collect()
            return [str(each.message) for each in caught]

    plain, recorded = with_and_without(main)
    assert plain == recorded
    assert "was never awaited" in plain[0]


def test_an_error_in_a_callback_is_reported_as_ever() -> None:
    def fails() -> None:
        raise ValueError("in a callback")

    async def main() -> list[tuple[str, str]]:
        said: list[tuple[str, str]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _l, c: said.append((c["message"], str(c["exception"]))))
        loop.call_soon(fails)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return said

    plain, recorded = with_and_without(main)
    assert plain == recorded
    assert plain[0][1] == "in a callback"


def test_wrong_calls_fail_as_ever() -> None:
    async def main() -> list[str]:
        said = []
        loop = asyncio.get_running_loop()
        other = asyncio.new_event_loop()
        other.close()
        for wrong in (
            lambda: loop.create_task(1),  # type: ignore[arg-type]
            lambda: loop.call_soon(),  # type: ignore[call-arg]
            lambda: other.call_soon(print),
            lambda: other.call_soon_threadsafe(print),
        ):
            with pytest.raises((TypeError, RuntimeError)) as error:
                wrong()
            said.append(str(error.value))
        return said

    plain, recorded = with_and_without(main)
    assert plain == recorded


def test_an_exceptions_own_str_may_fail() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    async def fails() -> None:
        raise Odd

    async def main() -> None:
        await asyncio.wait([asyncio.create_task(fails())])

    recorder = TaskRecorder()
    recorder.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.run(main())
    log = recorder.stop()
    assert (named(log, "fails").outcome, named(log, "fails").exception) == ("raised Odd", "Odd")
    assert log.problems == ()


def test_an_error_of_our_own_costs_the_recording_only() -> None:
    class Shy:
        def __getattr__(self, name: str) -> str:
            if name == "__qualname__":
                raise RuntimeError("no name")
            raise AttributeError(name)

        def __call__(self) -> None:
            called.append(True)

    async def main() -> str:
        asyncio.get_running_loop().call_soon(Shy())
        await asyncio.create_task(asyncio.sleep(0))
        await asyncio.to_thread(int)
        return "done"

    called: list[bool] = []
    before = [owner.__dict__[name] for owner, name in PLACES]
    recorder = TaskRecorder()
    recorder.start()
    assert asyncio.run(main()) == "done"
    log = recorder.stop()
    assert called == [True]
    assert log.problems == (Problem.of("tasks_lost", "RuntimeError: no name"),)
    assert [owner.__dict__[name] for owner, name in PLACES] == before


def test_a_loop_of_an_odd_kind_costs_the_recording_only() -> None:
    class Odd(asyncio.SelectorEventLoop):
        def __getattribute__(self, name: str) -> Any:
            if name == "_thread_id" and threading.current_thread() is not threading.main_thread():
                raise RuntimeError("not here")
            return super().__getattribute__(name)

    loop = Odd()
    recorder = TaskRecorder()
    recorder.start()
    try:
        assert loop.run_until_complete(loop.run_in_executor(None, int)) == 0
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        log = recorder.stop()
        loop.close()
    assert log.problems == (Problem.of("tasks_lost", "RuntimeError: not here"),)


def test_a_forked_child_can_record_itself() -> None:
    recorder = TaskRecorder()
    recorder.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 3.12 warns of forks while threads run, whoever made them
        pid = os.fork()
    if pid == 0:
        own = TaskRecorder()
        own.start()
        asyncio.run(asyncio.sleep(0))
        log = own.stop()
        restored = Loop.call_soon.__module__ == "asyncio.base_events"
        os._exit(0 if restored and len(named(log, "sleep").steps) == 2 else 1)
    _, status = os.waitpid(pid, 0)
    recorder.stop()
    assert os.waitstatus_to_exitcode(status) == 0
