"""What asyncio users use, recorded: results stay right, every task has its steps, nothing stays installed."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import sys
import threading
from asyncio import base_events, events
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import anyio
import anyio.to_thread
import pytest
from aiohttp import web
from recorded_tasks import causes, check, named, reasons

from concmagic.interpreter.borrowing import on_import
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import TaskLog

if sys.platform != "win32":
    import uvloop


def recorded(program: Callable[[], Any]) -> tuple[Any, TaskLog]:
    """A sync program's result and what was recorded of it; afterwards asyncio is as it was."""
    places: list[tuple[Any, str]] = [
        (events.Handle, "_run"),
        *((base_events.BaseEventLoop, name) for name in ("call_soon", "call_soon_threadsafe", "create_task")),
    ]
    before = [owner.__dict__[name] for owner, name in places], [*sys.meta_path]
    recorder = TaskRecorder()
    recorder.start()
    try:
        result = program()
    finally:
        log = recorder.stop()
    assert ([owner.__dict__[name] for owner, name in places], [*sys.meta_path]) == before
    assert log.problems == ()
    check(log)
    return result, log


def recorded_run(main: Callable[[], Any], **options: Any) -> tuple[Any, TaskLog]:
    return recorded(lambda: asyncio.run(main(), **options))


async def leaf(value: int) -> int:
    await asyncio.sleep(0)
    return value


def test_task_group_and_timeout() -> None:
    async def main() -> list[int]:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            tasks = [group.create_task(leaf(n), name=f"leaf-{n}") for n in range(3)]
        return [task.result() for task in tasks]

    result, log = recorded_run(main)
    assert result == [0, 1, 2]
    parent = named(log, "main").number
    assert [named(log, f"leaf-{n}").parent for n in range(3)] == [parent] * 3


def test_a_runner_used_twice_is_one_loop() -> None:
    def program() -> list[int]:
        with asyncio.Runner() as runner:
            return [runner.run(leaf(1)), runner.run(leaf(2))]

    result, log = recorded(program)
    assert result == [1, 2]
    assert len({task.loop for task in log.tasks if task.coroutine == "leaf"}) == 1


def test_run_twice_and_in_a_thread_are_three_loops() -> None:
    def program() -> list[int]:
        results = [asyncio.run(leaf(1)), asyncio.run(leaf(2))]
        thread = threading.Thread(target=lambda: results.append(asyncio.run(leaf(3))))
        thread.start()
        thread.join()
        return results

    result, log = recorded(program)
    assert result == [1, 2, 3]
    leaves = [task for task in log.tasks if task.coroutine == "leaf"]
    assert len({task.loop for task in leaves}) == 3
    of_threads = {loop.number: loop.native_id for loop in log.loops}
    assert len({of_threads[task.loop] for task in leaves}) == 2


def test_loops_of_several_threads_that_run_at_once() -> None:
    barrier = threading.Barrier(3)

    async def main() -> None:
        await asyncio.gather(leaf(1), leaf(2))
        barrier.wait()  # each loop holds its thread here until all do
        await leaf(3)

    def program() -> None:
        threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    _, log = recorded(program)
    assert len({loop.native_id for loop in log.loops}) == len(log.loops) == 3
    assert sorted(task.coroutine for task in log.tasks if task.origin == "user") == sorted(
        ["test_loops_of_several_threads_that_run_at_once.<locals>.main"] * 3 + ["leaf"] * 6
    )


@pytest.mark.parametrize("debug", [False, True])
def test_a_task_factory_of_the_users_is_kept_and_called(debug: bool) -> None:
    made: list[str] = []

    class Own(asyncio.Task[Any]):
        pass

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        made.append(coroutine.__qualname__)
        return Own(coroutine, loop=loop, **options)

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        task = loop.create_task(leaf(1))
        await task
        return isinstance(task, Own) and loop.get_task_factory() is factory

    result, log = recorded_run(main, debug=debug)
    assert result is True
    assert "leaf" in made
    assert named(log, "leaf").outcome == "returned"
    assert len(named(log, "leaf").steps) == 2


def test_eager_tasks_begin_within_their_creator() -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    order: list[str] = []

    async def child() -> str:
        order.append("child")
        return "done"

    async def main() -> str:
        asyncio.get_running_loop().set_task_factory(factory)
        task = asyncio.create_task(child(), name="child")
        order.append("main")
        return await task

    result, log = recorded_run(main)
    assert result == "done"
    assert order == (["main", "child"] if factory is None else ["child", "main"])
    task = named(log, "child")
    assert (task.outcome, len(task.steps), task.parent) == ("returned", 1, named(log, "main").number)


def test_debug_mode() -> None:
    async def main() -> int:
        return sum(await asyncio.gather(leaf(1), leaf(2)))

    result, log = recorded_run(main, debug=True)
    assert result == 3
    assert [len(task.steps) for task in log.tasks if task.coroutine == "leaf"] == [2, 2]


def test_async_generators() -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    async def main() -> list[int]:
        async for number in numbers():
            if number == 1:
                break  # the loop closes the generator
        return [number async for number in numbers()]

    result, log = recorded_run(main)
    assert result == [0, 1, 2]
    assert named(log, "main").outcome == "returned"


def test_a_subprocess() -> None:
    async def main() -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print(6 * 7)", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return out.strip()

    result, log = recorded_run(main)
    assert result == b"42"
    assert "subprocess" in {reason for reason, _ in reasons(named(log, "main"))}


async def echo_three_times() -> list[bytes]:
    """A server on loopback and three clients of it, by streams."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def client(number: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"%d\n" % number)
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(client(n), name=f"client-{n}") for n in range(3)]
        return [each.result() for each in clients]


def test_streams_against_a_local_server() -> None:
    result, log = recorded_run(echo_three_times)
    assert result == [b"0\n", b"1\n", b"2\n"]
    for number in range(3):
        assert "stream read" in {reason for reason, _ in reasons(named(log, f"client-{number}"))}


async def fetch_three_times() -> list[str]:
    """An aiohttp server on loopback, and three requests to it."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=f"hello {request.query['n']}")

    application = web.Application()
    application.router.add_get("/", hello)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"

    async def fetch(session: aiohttp.ClientSession, number: int) -> str:
        async with session.get(url, params={"n": str(number)}) as response:
            return await response.text()

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(session, n), name=f"fetch-{n}") for n in range(3)]
    await runner.cleanup()
    return [task.result() for task in tasks]


def test_aiohttp_client_and_server() -> None:
    result, log = recorded_run(fetch_three_times)
    assert result == ["hello 0", "hello 1", "hello 2"]
    assert [named(log, f"fetch-{n}").outcome for n in range(3)] == ["returned"] * 3


def test_anyio() -> None:
    seen: list[int] = []

    async def child(number: int) -> None:
        await anyio.sleep(0)
        seen.append(await anyio.to_thread.run_sync(lambda: number))

    async def main() -> list[int]:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(child, number, name=f"child-{number}")
        with anyio.move_on_after(0) as scope:
            await anyio.sleep(60)
        assert scope.cancelled_caught
        return sorted(seen)

    result, log = recorded(lambda: anyio.run(main))
    assert result == [0, 1, 2]
    assert [named(log, f"child-{n}").outcome for n in range(3)] == ["returned"] * 3


def test_context_variables() -> None:
    variable = contextvars.ContextVar("variable", default="outer")

    async def child(value: str) -> str:
        variable.set(value)
        await asyncio.sleep(0)
        return variable.get()

    async def main() -> list[str]:
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        given = asyncio.create_task(asyncio.sleep(0, "slept"), context=context)
        found: list[str] = []
        asyncio.get_running_loop().call_soon(lambda: found.append(variable.get()), context=context)
        inner = await asyncio.gather(child("a"), child("b"))
        return [*inner, variable.get(), await given, *found]

    result, _ = recorded_run(main)
    assert result == ["a", "b", "outer", "slept", "given"]


def run_from_another_thread(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> int:
    loop = make_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        return asyncio.run_coroutine_threadsafe(leaf(5), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_run_coroutine_threadsafe() -> None:
    result, log = recorded(lambda: run_from_another_thread(asyncio.new_event_loop))
    assert result == 5
    (loop,) = log.loops
    assert (len(named(log, "leaf").steps), loop.native_id != threading.get_native_id()) == (2, True)


if sys.platform != "win32":

    async def sleeps_and_waits() -> str:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        loop.call_soon(event.set)
        await event.wait()
        await asyncio.sleep(0.001)
        released = threading.Event()
        loop.call_soon(released.set)  # not before this task waits for the job
        assert await asyncio.to_thread(released.wait, 60)
        return type(loop).__module__

    def of_uvloop() -> set[str]:
        return {name for name in vars(uvloop.Loop) if not name.startswith("__")}

    @pytest.mark.parametrize("debug", [False, True])
    def test_uvloop(debug: bool) -> None:
        result, log = recorded(lambda: uvloop.run(sleeps_and_waits(), debug=debug))
        assert result == "uvloop"
        task = main_of(log)
        assert task.outcome == "returned"
        assert reasons(task) == [("Event", ""), ("sleep", "0.001 s"), ("executor job", "")]
        assert causes(task) == ["callback", "timer", "thread"]
        assert log.loops[0].native_id == threading.get_native_id()
        assert of_uvloop() == set()

    def main_of(log: TaskLog) -> Any:
        """`uvloop.run` puts a coroutine of its own around the user's."""
        return next(task for task in log.tasks if task.coroutine == "run.<locals>.wrapper")

    def test_streams_on_uvloop() -> None:
        result, log = recorded(lambda: uvloop.run(echo_three_times()))
        assert result == [b"0\n", b"1\n", b"2\n"]
        assert [named(log, f"client-{n}").outcome for n in range(3)] == ["returned"] * 3

    def test_run_coroutine_threadsafe_on_uvloop() -> None:
        result, log = recorded(lambda: run_from_another_thread(uvloop.new_event_loop))
        assert result == 5
        assert (len(named(log, "leaf").steps), named(log, "leaf").outcome) == (2, "returned")

    def test_uvloop_reports_errors_of_callbacks_as_ever() -> None:
        async def main() -> list[str]:
            loop = asyncio.get_running_loop()
            said: list[str] = []
            loop.set_exception_handler(lambda _loop, context: said.append(str(context["exception"])))
            loop.call_soon(int, "no number")
            await asyncio.sleep(0)
            return said

        plain = uvloop.run(main(), debug=True)
        result, _ = recorded(lambda: uvloop.run(main(), debug=True))
        assert result == plain
        assert "no number" in result[0]

    @pytest.fixture
    def uvloop_not_imported() -> Iterator[None]:
        """As in a notebook whose first import of it is in the traced cell."""
        kept = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == "uvloop"}
        # Its C part cannot be loaded twice: only the package around it is made anew.
        sys.modules.update({name: module for name, module in kept.items() if name != "uvloop"})
        yield
        sys.modules.update(kept)

    def test_uvloop_imported_while_recording(uvloop_not_imported: None) -> None:
        def program() -> str:
            return importlib.import_module("uvloop").run(sleeps_and_waits())  # type: ignore[no-any-return]

        also: list[Any] = []
        with on_import("uvloop", also.append):  # the runner of a cell waits for it, too
            result, log = recorded(program)
        assert result == "uvloop"
        assert causes(main_of(log)) == ["callback", "timer", "thread"]
        assert also == [sys.modules["uvloop"]]
        assert "exec_module" not in vars(also[0].__spec__.loader)
