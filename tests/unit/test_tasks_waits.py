"""Why a task waited and who woke it, for each way that asyncio has."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import pathlib
import socket
import sys
import threading
import types
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from async_programs import turns
from recorded_tasks import causes, line_of, more, named, reasons, record

Program = Callable[[], Coroutine[Any, Any, Any]]


def lock() -> tuple[Program, Callable[[], None]]:
    thing = asyncio.Lock()

    async def waiter() -> None:
        async with thing:
            pass

    def free() -> None:
        thing.release()

    with contextlib.suppress(StopIteration):
        thing.acquire().send(None)  # a free lock is taken at once
    return waiter, free


def semaphore() -> tuple[Program, Callable[[], None]]:
    thing = asyncio.Semaphore(0)
    return thing.acquire, thing.release


def event() -> tuple[Program, Callable[[], None]]:
    thing = asyncio.Event()
    return thing.wait, thing.set


def queue_get() -> tuple[Program, Callable[[], None]]:
    thing: asyncio.Queue[int] = asyncio.Queue()
    return thing.get, lambda: thing.put_nowait(1)


def queue_put() -> tuple[Program, Callable[[], None]]:
    thing: asyncio.Queue[int] = asyncio.Queue(1)
    thing.put_nowait(1)
    return lambda: thing.put(2), lambda: thing.get_nowait() and None


def queue_join() -> tuple[Program, Callable[[], None]]:
    thing: asyncio.Queue[int] = asyncio.Queue()
    thing.put_nowait(1)
    return thing.join, thing.task_done


def bare_future() -> tuple[Program, Callable[[], None]]:
    thing = asyncio.get_running_loop().create_future()

    async def waiter() -> None:
        await thing

    return waiter, lambda: thing.set_result(None)


def shielded() -> tuple[Program, Callable[[], None]]:
    thing = asyncio.get_running_loop().create_future()

    async def waiter() -> None:
        await asyncio.shield(thing)

    return waiter, lambda: thing.set_result(None)


def old_generator() -> tuple[Program, Callable[[], None]]:
    thing = asyncio.Event()

    @types.coroutine
    def old():  # type: ignore[no-untyped-def]
        yield from thing.wait().__await__()

    async def waiter() -> None:
        await old()

    return waiter, thing.set


def async_generator() -> tuple[Program, Callable[[], None]]:
    thing = asyncio.Event()

    async def items() -> AsyncIterator[int]:
        await thing.wait()
        yield 1

    async def waiter() -> None:
        async for _ in items():
            pass

    return waiter, thing.set


def async_next() -> tuple[Program, Callable[[], None]]:
    thing = asyncio.Event()

    async def items() -> AsyncIterator[int]:
        await thing.wait()
        yield 1

    async def waiter() -> None:
        await anext(items(), None)

    return waiter, thing.set


def within_timeout() -> tuple[Program, Callable[[], None]]:
    thing = asyncio.Event()

    async def waiter() -> None:
        async with asyncio.timeout(1_000):
            await thing.wait()

    return waiter, thing.set


CASES = [
    (lock, "Lock", ""),
    (semaphore, "Semaphore", ""),
    (event, "Event", ""),
    (queue_get, "Queue.get", ""),
    (queue_put, "Queue.put", "full"),
    (queue_join, "Queue.join", ""),
    (bare_future, "future", ""),
    (old_generator, "Event", ""),
    (async_generator, "Event", ""),
    (async_next, "Event", ""),
    (within_timeout, "Event", ""),
]


@pytest.mark.parametrize(("make", "reason", "detail"), CASES, ids=[case[0].__name__ for case in CASES])
def test_what_another_task_ends(make: Callable[[], Any], reason: str, detail: str) -> None:
    async def main() -> None:
        program, free = make()
        await turns(1)
        waiter = asyncio.create_task(program(), name="waiter")
        await turns(5)
        free()
        await waiter

    log = record(main)
    waiter = named(log, "waiter")
    assert reasons(waiter) == [(reason, detail)]
    assert causes(waiter) == ["task"]
    assert waiter.wakes[0].task == named(log, "main").number
    assert len(waiter.steps) == 2


def test_a_shielded_future_and_the_callback_that_hands_it_on() -> None:
    async def main() -> None:
        program, free = shielded()
        waiter = asyncio.create_task(program(), name="waiter")
        await turns(2)
        free()
        await waiter

    waiter = named(record(main), "waiter")
    assert reasons(waiter) == [("future", "")]
    assert causes(waiter) == ["callback"]
    assert waiter.wakes[0].detail == "shield.<locals>._inner_done_callback"


def test_a_condition_is_waited_for_and_then_its_lock() -> None:
    async def main() -> None:
        condition = asyncio.Condition()

        async def waits() -> None:
            async with condition:
                await condition.wait()

        task = asyncio.create_task(waits())
        await turns(1)
        async with condition:
            condition.notify_all()
            await turns(3)
        await task

    log = record(main)
    assert reasons(named(log, "waits")) == [("Condition", ""), ("Lock", "")]
    assert [wake.task for wake in named(log, "waits").wakes] == [named(log, "main").number] * 2


def test_a_barrier_is_a_barrier() -> None:
    async def main() -> None:
        barrier = asyncio.Barrier(2)

        async def first() -> None:
            await barrier.wait()

        task = asyncio.create_task(first())
        await turns(1)
        await barrier.wait()
        await task

    assert reasons(named(record(main), "first"))[0] == ("Barrier", "")


def test_sleep_says_how_long_and_where() -> None:
    async def main() -> None:
        await asyncio.sleep(0.002)
        await asyncio.sleep(0)

    task = named(record(main), "main")
    assert reasons(task) == [("sleep", "0.002 s"), ("", "")]
    assert causes(task) == ["timer", "self"]
    assert task.wakes[0].detail == ""
    assert task.wakes[0].wait is not None
    assert (task.wakes[0].wait.file, task.wakes[0].wait.line) == (__file__, line_of(main, "0.002"))


def test_the_users_own_await_is_the_innermost_that_is_not_asyncios() -> None:
    async def inner() -> None:
        await asyncio.wait_for(asyncio.sleep(0.001), 1_000)

    async def outer() -> None:
        await inner()

    wake = named(record(outer), "outer").wakes[0]
    assert wake.wait is not None
    assert (wake.wait.file, wake.wait.line) == (__file__, line_of(inner, "wait_for"))


def test_gather_task_and_group_end_by_the_last_of_theirs() -> None:
    async def quick() -> None:
        await turns(1)

    async def slow() -> None:
        await turns(3)

    async def main() -> None:
        await asyncio.gather(quick(), asyncio.create_task(slow(), name="slow 1"))
        await asyncio.create_task(slow(), name="slow 2")
        await asyncio.create_task(quick())
        async with asyncio.TaskGroup() as group:
            group.create_task(quick())
            group.create_task(slow(), name="slow 3")
        await asyncio.wait([asyncio.create_task(slow(), name="slow 4")])

    log = record(main)
    task = named(log, "main")
    assert [reason for reason, _ in reasons(task)] == ["gather", "task", "task", "TaskGroup", "wait"]
    details = [detail for _, detail in reasons(task)]
    assert details[:2] == ["of 2", "slow 2"]
    assert details[2].endswith("quick")
    assert details[4] == "of 1"
    assert causes(task) == ["task"] * 5
    wakers = [log.tasks[(wake.task or 0) - 1].name for wake in task.wakes]
    assert wakers == ["slow 1", "slow 2", "", "slow 3", "slow 4"]


def test_as_completed() -> None:
    async def main() -> None:
        for each in asyncio.as_completed([turns(2)]):
            await each

    assert reasons(named(record(main), "main")) == [("as_completed", "")]


def test_a_future_that_is_done_already_costs_a_turn_only() -> None:
    class Done:
        def __await__(self):  # type: ignore[no-untyped-def]
            future = asyncio.get_running_loop().create_future()
            future.set_result(None)
            future._asyncio_future_blocking = True
            yield future

    async def main() -> None:
        await Done()
        await asyncio.sleep(0)
        await Done()

    assert causes(named(record(main), "main")) == ["self", "self", "self"]


def test_a_timeout_cancels() -> None:
    async def main() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()

    wake = named(record(main), "main").wakes[0]
    assert (wake.cause, wake.detail, wake.wait and wake.wait.reason) == ("timer", "timeout", "Event")


def test_wait_for_in_the_words_of_this_python() -> None:
    async def main() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)

    wake = named(record(main), "main").wakes[0]
    assert (wake.cause, wake.detail) == ("timer", "timeout")
    assert wake.wait is not None
    # Before 3.12 the event is awaited by a task of its own.
    expected = ("wait_for", "0.001 s") if sys.version_info < (3, 12) else ("Event", "")
    assert (wake.wait.reason, more(wake.wait)) == expected


def test_timers_and_callbacks_of_the_users() -> None:
    async def main() -> None:
        event = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.call_later(0, event.set)
        await event.wait()
        event.clear()
        loop.call_soon(event.set)
        await event.wait()

    task = named(record(main), "main")
    assert [(wake.cause, wake.detail) for wake in task.wakes] == [
        ("timer", "Event.set"),
        ("callback", "Event.set"),
    ]


def test_executor_jobs_and_the_threads_that_ended_them() -> None:
    natives = []

    def job(go_on: threading.Event) -> None:
        natives.append(threading.get_native_id())
        go_on.wait()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for start in (asyncio.to_thread, lambda *job: loop.run_in_executor(None, *job)):
            go_on = threading.Event()
            loop.call_later(0, go_on.set)  # not before the task waits for the job
            await start(job, go_on)

    task = named(record(main), "main")
    assert reasons(task) == [("executor job", ""), ("executor job", "")]
    assert causes(task) == ["thread", "thread"]
    assert [wake.thread for wake in task.wakes] == natives


def test_a_thread_that_wakes_a_task_itself() -> None:
    natives = []

    async def main() -> None:
        event, loop = asyncio.Event(), asyncio.get_running_loop()

        def body() -> None:
            natives.append(threading.get_native_id())
            loop.call_soon_threadsafe(event.set)

        thread = threading.Thread(target=body)
        waiting = asyncio.create_task(event.wait(), name="waiting")
        await asyncio.sleep(0)
        thread.start()
        await waiting
        thread.join()

    task = named(record(main), "waiting")
    assert (causes(task), reasons(task)) == (["thread"], [("Event", "")])
    assert task.wakes[0].thread == natives[0]


def test_a_coroutine_sent_by_another_thread_is_the_users_task() -> None:
    async def sent() -> int:
        await asyncio.sleep(0)
        return 1

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(sent(), loop).result())

    task = named(record(main), "sent")
    assert (task.origin, task.parent, task.outcome, len(task.steps)) == ("user", None, "returned", 2)


def test_sockets() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            reader = asyncio.create_task(loop.sock_recv(ours, 10), name="reader")
            await turns(2)
            theirs.send(b"x")
            assert await reader == b"x"

    task = named(record(main), "reader")
    assert (causes(task), reasons(task)) == (["io"], [("sock_recv", "")])


def test_a_reader_of_the_users_is_io() -> None:
    async def main() -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            loop.add_reader(ours, event.set)
            theirs.send(b"x")
            await event.wait()
            loop.remove_reader(ours)

    task = named(record(main), "main")
    assert [(wake.cause, wake.detail) for wake in task.wakes] == [("io", "Event.set")]


def test_streams_over_loopback() -> None:
    address: list[str] = []

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            address.append(f"{host}:{port}")
            reader, writer = await asyncio.open_connection(host, port)
            waiting = asyncio.create_task(reader.readline(), name="client")
            await turns(2)
            writer.write(b"hello\n")
            assert await waiting == b"hello\n"
            writer.close()
            await writer.wait_closed()

    log = record(main)
    client, server = named(log, "client"), named(log, "serve")
    assert causes(client) == ["io"]
    assert reasons(client) == [("stream read", address[0])]
    assert (server.origin, server.outcome) == ("user", "returned")
    assert reasons(server)[0][0] == "stream read"
    assert ("connect", address[0]) in reasons(named(log, "main"))


def test_a_subprocess() -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
        assert await child.wait() == 0

    task = named(record(main), "main")
    program = pathlib.Path(sys.executable).name
    assert set(reasons(task)) <= {("subprocess", "start"), ("subprocess", program)}
    assert reasons(task)[-1] == ("subprocess", program)
    assert causes(task)[-1] in ("thread", "io", "callback")


def test_a_task_woken_by_one_that_it_cancelled() -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.Event().wait(), name="victim")
        await turns(2)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    log = record(main)
    main_task, victim = named(log, "main"), named(log, "victim")
    assert (victim.wakes[0].cause, victim.wakes[0].task, victim.wakes[0].detail) == ("task", 1, "cancelled")
    assert (main_task.wakes[-1].cause, main_task.wakes[-1].task) == ("task", victim.number)
    assert victim.outcome == "cancelled"


def test_an_executor_job_that_is_over_at_once() -> None:
    class Over(concurrent.futures.Executor):
        def submit(self, job, /, *args, **options):  # type: ignore[no-untyped-def]
            future: concurrent.futures.Future[Any] = concurrent.futures.Future()
            future.set_result(job(*args, **options))
            return future

    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(Over(), int)

    task = named(record(main), "main")
    if sys.version_info >= (3, 14):  # such a future is done before it is awaited: nothing waits
        assert (len(task.steps), task.wakes) == (1, ())
        return
    wake = task.wakes[0]
    assert (wake.cause, wake.thread, wake.wait and wake.wait.reason) == ("thread", None, "executor job")
