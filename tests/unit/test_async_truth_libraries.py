"""What is told of tasks that asyncio, uvloop, aiohttp and anyio start and await in their own ways."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web
from async_truth import flows, order, traced, track, waits
from recorded_tasks import line_of

from concmagic.trace.model import State


async def turns(how_many: int) -> None:
    """Let the other tasks run until they stand still."""
    for _ in range(how_many):
        await asyncio.sleep(0)


def names(trace: Any) -> set[str]:
    return {one.name for one in trace.tracks if one.kind == "task"}


def test_the_tasks_that_communicate_starts_are_asyncios_own() -> None:
    async def main() -> None:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass", stdin=pipe, stdout=pipe)
        await child.communicate(b"x")

    assert names(traced(main)) == {"main"}


def test_a_connection_of_aiohttps_tells_host_and_port() -> None:
    ports: list[int] = []

    async def main() -> None:
        async def hello(_request: web.Request) -> web.Response:
            return web.Response(text="hello")

        application = web.Application()
        application.router.add_get("/", hello)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])

        async def fetch() -> None:
            async with session.get(f"http://127.0.0.1:{ports[0]}/") as response:
                assert await response.text() == "hello"

        async with aiohttp.ClientSession() as session:
            await asyncio.create_task(fetch())
        await runner.cleanup()

    said = [one for one in waits(traced(main), "fetch") if one.startswith(("connect", "sock_connect"))]
    assert said
    assert {one.rpartition(" ")[2] for one in said} == {f"127.0.0.1:{ports[0]}"}


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

    def test_a_future_of_uvloops_is_told_by_the_call_that_returned_it() -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)

                async def reads() -> None:
                    await loop.sock_recv(ours, 10)

                task = asyncio.create_task(reads())
                await turns(2)
                theirs.send(b"x")
                await task

        assert waits(traced(main, uvloop.run), "reads") == ["future loop.sock_recv()"]
