"""What is told of tasks that asyncio, uvloop, aiohttp and anyio start and await in their own ways."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web
from async_programs import RUNS, SIZE, exchange, turns
from async_truth import flows, order, traced, track, waits
from recorded_tasks import line_of

from concmagic.model.trace import State


def names(trace: Any) -> set[str]:
    return {one.name for one in trace.tracks if one.kind == "task"}


def test_the_tasks_that_communicate_starts_are_asyncios_own() -> None:
    async def main() -> None:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass", stdin=pipe, stdout=pipe)
        await child.communicate(b"x")

    assert names(traced(main)) == {"main"}


@pytest.mark.parametrize("run", RUNS)
def test_a_connection_of_aiohttps_tells_host_and_port(run: Callable[[Any], Any]) -> None:
    """The waits of its readers and writers are for futures of its own."""
    ports: list[int] = []

    async def main() -> None:
        async def hello(request: web.Request) -> web.Response:
            asked.set()
            await gate.wait()
            assert len(await request.read()) == SIZE
            return web.Response(text="hello")

        gate, asked = asyncio.Event(), asyncio.Event()
        application = web.Application(client_max_size=2 * SIZE)
        application.router.add_post("/", hello)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(SIZE >> 20):
                yield bytes(1 << 20)

        async def fetch() -> None:
            async with session.post(f"http://127.0.0.1:{ports[0]}/", data=chunks()) as response:
                assert await response.text() == "hello"

        async with aiohttp.ClientSession() as session:
            task = asyncio.create_task(fetch())
            await asked.wait()
            await turns(10)
            gate.set()
            await task
        await runner.cleanup()

    trace = traced(main, run)
    server = f"127.0.0.1:{ports[0]}"
    fetch = waits(trace, "fetch")
    assert {f"connect {server}", f"stream read {server}"} <= set(fetch)
    of_tasks = ("task ", "eager start ")  # the body is written by a task of its own
    assert {one.rpartition(" ")[2] for one in fetch if not one.startswith(of_tasks)} == {server}
    assert f"stream drain {server}" in waits(trace, "ClientRequest.write_bytes")
    served = set(waits(trace, "hello"))
    assert {one.partition(":")[0] for one in served} == {"Event gate", "stream read 127.0.0.1"}


def test_a_program_run_by_anyio_is_a_subprocess() -> None:
    async def main() -> None:
        await anyio.run_process([sys.executable, "-c", "pass"])

    assert "subprocess start" in waits(traced(main), "main")


def test_a_thread_of_anyios_is_who_woke_the_task() -> None:
    async def main() -> None:
        go_on = threading.Event()

        async def asks() -> None:
            await anyio.to_thread.run_sync(go_on.wait)

        task = asyncio.create_task(asks())
        asyncio.get_running_loop().call_later(0, go_on.set)  # not before the task waits for the job
        await task

    trace = traced(main)
    (worker,) = [one.name for one in trace.tracks if one.kind == "thread" and one.name != "MainThread"]
    assert ("wake", worker, "asks") in flows(trace)


def test_a_group_of_anyios_is_waited_for_by_its_last_task() -> None:
    """Its tasks are called by their functions, as others are: the module before it is anyio's doing."""

    async def child(turns_taken: int) -> None:
        await turns(turns_taken)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child, 2)
            group.start_soon(child, 4)
            group.start_soon(child, 1, name="mine")

    trace = traced(main)
    assert names(trace) == {"main", "child-1", "child-2", "mine"}
    assert waits(trace, "main")[-1] == "task child-2"
    assert [flow for flow in flows(trace) if flow[0] == "result"][-1] == ("result", "child-2", "main")


def test_a_future_that_the_end_of_a_task_makes_done_is_a_wait_for_that_task() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        async def job() -> None:
            await turns(3)

        async def awaits() -> None:
            await over

        task = asyncio.create_task(job())
        task.add_done_callback(lambda _: over.set_result(None))
        await asyncio.create_task(awaits())

    trace = traced(main)
    assert waits(trace, "awaits") == ["task job"]
    assert ("result", "job", "awaits") in flows(trace)


EAGER = [pytest.param(id="eager")] if sys.version_info >= (3, 12) else []


@pytest.mark.parametrize((), EAGER or [pytest.param(id="no eager tasks before 3.12")])
def test_a_creator_waits_for_the_eager_start_of_its_task() -> None:
    async def child() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        if EAGER:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await asyncio.create_task(child(), name="kid")

    trace = traced(main)
    assert ("spawn", "main", "kid") in flows(trace)
    if not EAGER:
        assert waits(trace, "main") == ["task kid"]
        return
    assert waits(trace, "main")[0] == "eager start of kid"
    (wait,) = [one for one in track(trace, "main").states if one.reason == "eager start"]
    assert wait.line == line_of(main, 'name="kid"')
    assert order(trace, "kid")[0] is State.RUNNING  # it had no time in which it was created and not begun
    assert ("wake", "kid", "main") in flows(trace)


if sys.platform != "win32":
    import uvloop

    def test_what_uvloop_starts_to_end_a_run_is_not_the_users() -> None:
        async def child() -> None:
            await turns(1)

        async def main() -> None:
            await asyncio.create_task(child())

        trace = traced(main, uvloop.run)
        assert "child" in names(trace)
        assert not [name for name in names(trace) if "shutdown" in name]

    def test_what_uvloop_awaits_itself_tells_host_and_port() -> None:
        addresses: dict[str, str] = {}

        async def main() -> None:
            loop = asyncio.get_running_loop()

            async def opens() -> None:
                transport, _ = await loop.create_connection(asyncio.Protocol, *addresses["other"].split(":"))
                transport.close()

            async def asks() -> None:
                await loop.getaddrinfo("localhost", 80)
                await loop.getaddrinfo(b"localhost", 0)

            other = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
            addresses["other"] = "{}:{}".format(*other.sockets[0].getsockname())
            tasks = [asyncio.create_task(each()) for each in (opens, asks)]
            # One that is a task of its own: no coroutine of Python's is around it.
            tasks.append(asyncio.create_task(loop.getaddrinfo("localhost", 443), name="alone"))
            addresses["server"], addresses["client"] = await exchange()
            await asyncio.gather(*tasks)
            other.close()

        trace = traced(main, uvloop.run)
        server, client = addresses["server"], addresses["client"]
        assert set(waits(trace, "connects")) <= {f"sock_connect {server}", f"sock_sendall {server}"}
        assert f"sock_sendall {server}" in waits(trace, "connects")
        accepts = waits(trace, "accepts")
        assert accepts[:2] == [f"sock_accept {server}", "Event gate"]
        assert set(accepts[2:]) <= {f"sock_recv {client}"}
        assert waits(trace, "opens") == [f"connect {addresses['other']}"]
        assert waits(trace, "asks") == ["DNS localhost:80", "DNS localhost"]
        assert waits(trace, "alone") == ["DNS localhost:443"]

    def test_wrong_arguments_to_uvloop_fail_as_ever() -> None:
        async def main() -> None:
            with pytest.raises(TypeError) as caught:
                asyncio.get_running_loop().sock_recv()  # type: ignore[call-arg]
            frames.extend(frame.name for frame in caught.traceback)

        frames: list[str] = []
        traced(main, uvloop.run)
        assert frames[:1] == ["main"]
        assert "function" not in frames
