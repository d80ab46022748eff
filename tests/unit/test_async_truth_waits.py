"""What a task waited for, in words: the thing by its name, and who held it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import inspect
import multiprocessing
import socket
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from async_programs import RUNS, SIZE, exchange, turns
from async_truth import flows, traced, track, waits
from recorded_tasks import line_of
from tests.trace_text import said

from concmagic.model.trace import NO_FACTS, State


class Shared:
    """Things that tasks wait for, by attribute."""

    def __init__(self) -> None:
        self.cache = asyncio.Lock()
        self.ready = asyncio.Event()
        self.jobs: asyncio.Queue[int] = asyncio.Queue(1)

    async def wait_ready(self) -> None:
        await self.ready.wait()


def test_a_lock_tells_its_name_and_each_its_last_holder() -> None:
    async def main() -> None:
        cache = asyncio.Lock()

        async def worker() -> None:
            async with cache:
                await turns(3)

        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(worker(), name=f"worker-{number}")

    trace = traced(main)
    assert waits(trace, "worker-1") == ["Lock cache (held by worker-0)"]
    assert waits(trace, "worker-2") == ["Lock cache (held by worker-1)"]
    assert waits(trace, "worker-0") == []


def test_a_lock_that_was_given_back_and_taken_again() -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        async with lock:
            pass

        async def holds() -> None:
            await lock.acquire()
            await turns(3)
            lock.release()

        async def wants() -> None:
            await lock.acquire()
            lock.release()

        first = asyncio.create_task(holds())
        await turns(1)
        await asyncio.gather(first, asyncio.create_task(wants()))

    trace = traced(main)
    assert waits(trace, "wants") == ["Lock lock (held by holds)"]


def test_a_cancelled_waiter_never_held_the_lock() -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        await lock.acquire()

        async def wants() -> None:
            async with lock:
                pass

        gives_up = asyncio.create_task(wants(), name="gives up")
        patient = asyncio.create_task(wants(), name="patient")
        await turns(2)
        gives_up.cancel()
        await turns(2)
        lock.release()
        await patient

    trace = traced(main)
    assert waits(trace, "gives up") == ["Lock lock (held by main)"]
    assert waits(trace, "patient") == ["Lock lock (held by main)"]


def test_a_lock_that_is_still_waited_for_at_the_end_tells_its_holder() -> None:
    async def main() -> None:
        lock = asyncio.Lock()

        async def never() -> None:
            async with lock:
                await asyncio.get_running_loop().create_future()

        async def wants() -> None:
            async with lock:
                pass

        tasks = [asyncio.create_task(never()), asyncio.create_task(wants())]
        await turns(2)
        for task in reversed(tasks):
            task.cancel()
        await turns(2)

    assert waits(traced(main), "wants") == ["Lock lock (held by never)"]


def test_attributes_items_and_what_stands_in_wait_for() -> None:
    async def main() -> None:
        shared, by_name = Shared(), {"a": asyncio.Event()}
        shared.jobs.put_nowait(1)

        async def item() -> None:
            await by_name["a"].wait()

        async def put() -> None:
            await shared.jobs.put(2)

        tasks = [asyncio.create_task(each) for each in (shared.wait_ready(), item(), put())]
        await turns(2)
        shared.ready.set()
        by_name["a"].set()
        shared.jobs.get_nowait()
        await asyncio.gather(*tasks)
        await asyncio.create_task(asyncio.wait_for(shared.jobs.get(), 1_000), name="done at once")

    trace = traced(main)
    assert waits(trace, "Shared.wait_ready") == ["Event ready"]
    assert waits(trace, "item") == ["Event by_name['a']"]
    assert waits(trace, "put") == ["Queue.put shared.jobs (full)"]


class Promise(asyncio.Future[None]):
    """A future of the user's own class."""

    def __init__(self) -> None:
        super().__init__()


@pytest.mark.parametrize("collecting", [True, False], ids=["", "without the collector"])
@pytest.mark.parametrize("run", RUNS)
def test_a_bare_future_tells_where_it_was_made(run: Callable[[Any], Any], collecting: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        by_hand: asyncio.Future[None] = asyncio.Future()
        of_loop: asyncio.Future[None] = asyncio.Future(loop=loop)
        own = Promise()
        futures = {"answer": answer, "by_hand": by_hand, "of_loop": of_loop, "own": own}

        async def asks(name: str) -> None:
            await futures[name]

        tasks = [asyncio.create_task(asks(name), name=name) for name in futures]
        await turns(2)
        for future in futures.values():
            future.set_result(None)
        await asyncio.gather(*tasks)

    if not collecting:
        gc.disable()
    try:
        trace = traced(main, run)
    finally:
        gc.enable()
    here = Path(__file__).name
    made = {
        "answer": line_of(main, "loop.create_future()"),
        "by_hand": line_of(main, "= asyncio.Future()"),
        "of_loop": line_of(main, "asyncio.Future(loop=loop)"),
        "own": line_of(main, "= Promise()"),
    }
    for name, line in made.items():
        assert waits(trace, name) == [f"future futures[name] (made at {here}:{line})"]


def test_who_asks_for_the_debug_mode_makes_no_future() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def asks(what: asyncio.Future[None]) -> None:
            await what

        in_between: concurrent.futures.Future[None] = concurrent.futures.Future()
        tasks = [asyncio.create_task(asks(asyncio.wrap_future(in_between)))]
        assert loop.get_debug() is False
        await turns(2)
        tasks[0].cancel()
        await turns(2)

    assert waits(traced(main), "asks") == ["future what"]


def test_shield_tells_the_task_that_it_shields_however_it_ends() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        answer = asyncio.get_running_loop().create_future()

        async def child() -> None:
            await gate.wait()

        async def awaits(what: asyncio.Future[None]) -> None:
            await asyncio.shield(what)

        async def gathers() -> None:
            await asyncio.shield(asyncio.gather(kid, kid))

        kid = asyncio.create_task(child(), name="kid")
        made = {
            "patient": awaits(kid),
            "gives up": awaits(kid),
            "asks": awaits(answer),
            "gathers": gathers(),
            "to the end": awaits(asyncio.get_running_loop().create_future()),
        }
        tasks = [asyncio.create_task(one, name=name) for name, one in made.items()]
        await turns(3)
        tasks[1].cancel()
        gate.set()
        answer.set_result(None)
        await asyncio.wait(tasks[:-1])

    trace = traced(main)
    assert waits(trace, "patient") == ["task kid (shielded)"]
    assert waits(trace, "gives up") == ["task kid (shielded)"]
    here, made = Path(__file__).name, line_of(main, "answer = ")
    assert waits(trace, "asks") == [f"future what (made at {here}:{made}) (shielded)"]
    assert waits(trace, "gathers") == ["gather of 2 (shielded)"]
    never = line_of(main, '"to the end": ')
    assert waits(trace, "to the end") == [f"future what (made at {here}:{never}) (shielded)"]
    told = [flow for flow in flows(trace) if flow[2] in ("patient", "gives up") and flow[0] != "spawn"]
    assert sorted(told) == [("result", "kid", "patient"), ("wake", "main", "gives up")]


def test_a_shielded_task_that_is_waited_for_to_the_end() -> None:
    async def main() -> None:
        async def never() -> None:
            await asyncio.Event().wait()

        async def awaits() -> None:
            await asyncio.shield(kid)

        kid = asyncio.create_task(never(), name="kid")
        waiting.append(asyncio.create_task(awaits()))
        await turns(3)

    waiting: list[asyncio.Task[None]] = []
    loop = asyncio.new_event_loop()
    trace = traced(main, loop.run_until_complete)  # which cancels nothing, as `run` does
    assert waits(trace, "awaits") == ["task kid (shielded)"]
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.wait(left))
    loop.close()


class Answers(asyncio.Protocol):
    """A protocol as libraries write them: it makes a future done when data comes, or room, or the end."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.answer = loop.create_future()
        self.room = loop.create_future()
        self.over = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connection = transport

    def data_received(self, data: bytes) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def resume_writing(self) -> None:
        self.room.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self.over.set_result(None)


@pytest.mark.parametrize("run", RUNS)
def test_a_future_that_a_protocol_makes_done_tells_the_connection(run: Callable[[Any], Any]) -> None:
    addresses: dict[str, str] = {}

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await gate.wait()
            await reader.readexactly(1 << 25)
            writer.write(b"x")
            await writer.drain()
            await reader.read()
            writer.close()

        async def reads() -> None:
            assert await protocol.answer == b"x"

        async def writes() -> None:
            await protocol.room

        async def ends() -> None:
            await protocol.over

        async def gives_up() -> None:
            await asyncio.get_running_loop().create_future()

        gate = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        addresses["server"] = f"{host}:{port}"
        transport, protocol = await asyncio.get_running_loop().create_connection(Answers, host, port)
        transport.write(bytes(SIZE))
        tasks = [asyncio.create_task(each()) for each in (reads, writes, ends, gives_up)]
        await turns(3)
        gate.set()
        tasks[3].cancel()
        await asyncio.wait(tasks[:2])
        transport.close()
        await asyncio.wait(tasks)
        server.close()

    trace = traced(main, run)
    server = addresses["server"]
    assert waits(trace, "reads") == [f"stream read {server}"]
    assert waits(trace, "writes") == [f"stream drain {server}"]
    assert waits(trace, "ends") == [f"stream close {server}"]
    (gave_up,) = waits(trace, "gives_up")
    assert gave_up.startswith("future")


def test_what_a_task_does_while_data_comes_is_not_the_connections() -> None:
    """A step that is taken within a callback of the loop's is its task's own."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()

        class Begins(asyncio.Protocol):
            def data_received(self, _data: bytes) -> None:
                with contextlib.suppress(StopIteration):
                    sets().send(None)  # as an eager task's first step

        async def sets() -> None:
            answer.set_result(None)

        async def asks() -> None:
            await answer

        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(Begins, sock=ours)
        task = asyncio.create_task(asks())
        await turns(2)
        with theirs:
            theirs.send(b"x")
            await task
            transport.close()

    assert waits(traced(main), "asks") == [
        f"future answer (made at {Path(__file__).name}:{line_of(main, 'answer = ')})"
    ]


def test_a_wait_within_wait_for_tells_how_long_it_may_take() -> None:
    async def main() -> None:
        ready = asyncio.Event()

        async def waiter() -> None:
            await asyncio.wait_for(ready.wait(), 1_000)

        task = asyncio.create_task(waiter())
        await turns(3)
        ready.set()
        await task

    # Before 3.12 the event is awaited by a task of its own.
    expected = "Event ready (timeout 1000 s)" if sys.version_info >= (3, 12) else "wait_for 1000 s"
    assert waits(traced(main), "waiter") == [expected]


def test_a_job_within_wait_for_still_tells_its_pool() -> None:
    async def main() -> None:
        go_on = threading.Event()

        async def asks() -> None:
            await asyncio.wait_for(asyncio.to_thread(go_on.wait), 1_000)

        task = asyncio.create_task(asks())
        await turns(3)  # until it waits for the job
        go_on.set()
        await task

    trace = traced(main)
    asked = "Event.wait" if sys.version_info < (3, 12) else "asks"
    (said,) = waits(trace, asked)
    assert said.startswith("executor job in asyncio")


def test_a_result_that_is_handed_over_is_a_job_only_of_an_executor() -> None:
    """`wrap_future` is what executors use, and what is used between loops."""

    async def main() -> None:
        go_on = threading.Event()

        async def here() -> None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(turns(2), loop))

        async def later() -> None:
            await asyncio.to_thread(go_on.wait)  # not before all stand still

        async def elsewhere() -> None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(later(), other))

        async def by_hand() -> None:
            await asyncio.wrap_future(promised)

        async def by_a_step() -> None:
            await asyncio.wrap_future(set_here)

        async def job() -> None:
            await loop.run_in_executor(None, go_on.wait)

        async def process_job() -> None:
            context = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
                await loop.run_in_executor(pool, int)

        loop, other = asyncio.get_running_loop(), asyncio.new_event_loop()
        each_way = (here, elsewhere, by_hand, by_a_step, job, process_job)
        set_here: concurrent.futures.Future[None] = concurrent.futures.Future()
        promised: concurrent.futures.Future[None] = concurrent.futures.Future()
        threads = [
            threading.Thread(target=other.run_forever, name="other"),
            threading.Thread(target=lambda: go_on.wait() and promised.set_result(None), name="keeps it"),
        ]
        for thread in threads:
            thread.start()
        tasks = [asyncio.create_task(each()) for each in each_way]
        await turns(3)
        go_on.set()
        set_here.set_result(None)
        await asyncio.gather(*tasks)
        other.call_soon_threadsafe(other.stop)
        for thread in threads:
            thread.join()
        other.close()

    trace = traced(main)
    # From 3.14 a result within one loop is handed over at once, by the end of the task itself.
    handed_on = "task turns" if sys.version_info >= (3, 14) else "future asyncio.wrap_future()"
    assert waits(trace, "here") == [handed_on]
    assert waits(trace, "elsewhere") == ["future asyncio.wrap_future()"]
    assert waits(trace, "by_hand") == ["future asyncio.wrap_future()"]
    assert waits(trace, "by_a_step") == ["future asyncio.wrap_future()"]
    assert waits(trace, "job")[0].startswith("executor job in asyncio")
    assert waits(trace, "process_job")[0].startswith("executor job")
    assert {("wake", "other", "elsewhere"), ("wake", "keeps it", "by_hand")} <= set(flows(trace))


def test_streams_tell_host_and_port_of_the_other_end() -> None:
    addresses: dict[str, str] = {}

    async def main() -> None:
        gate = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await gate.wait()
            while await reader.read(1 << 20):
                pass
            writer.close()
            closed.set()

        async def writes() -> None:
            writer.write(bytes(SIZE))
            await writer.drain()

        async def reads() -> None:
            await reader.read()

        closed = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            addresses["server"] = f"{host}:{port}"
            reader, writer = await asyncio.open_connection(host, port)
            host, port = writer.get_extra_info("sockname")
            addresses["client"] = f"{host}:{port}"
            tasks = [asyncio.create_task(writes()), asyncio.create_task(reads())]
            await turns(3)
            gate.set()
            await tasks[0]
            writer.write_eof()
            await closed.wait()
            await tasks[1]
            writer.close()

    trace = traced(main)
    assert waits(trace, "writes") == [f"stream drain {addresses['server']}"]
    assert set(waits(trace, "reads")) == {f"stream read {addresses['server']}"}
    assert set(waits(trace, "serve")) == {"Event gate", f"stream read {addresses['client']}"}
    assert f"connect {addresses['server']}" in waits(trace, "main")


def test_sockets_tell_host_and_port_of_the_other_end() -> None:
    addresses: list[str] = []

    async def main() -> None:
        addresses.extend(await exchange())

    trace = traced(main)
    server, client = addresses
    assert waits(trace, "connects") == [f"sock_connect {server}", f"sock_sendall {server}"]
    accepts = waits(trace, "accepts")
    assert accepts[:2] == [f"sock_accept {server}", "Event gate"]
    assert set(accepts[2:]) <= {f"sock_recv {client}"}


def test_a_subprocess_and_its_pipes_tell_the_program() -> None:
    async def main() -> None:
        reads_a_line = "import sys; print(sys.stdin.readline())"
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", reads_a_line, **pipes)
        assert child.stdin is not None and child.stdout is not None

        async def reads(stream: asyncio.StreamReader) -> None:
            await stream.readline()

        async def ends() -> None:
            await child.wait()

        tasks = [asyncio.create_task(reads(child.stdout)), asyncio.create_task(ends())]
        await turns(3)
        child.stdin.write(b"go on\n")
        await asyncio.gather(*tasks)

    trace = traced(main)
    program = Path(sys.executable).name
    assert set(waits(trace, "reads")) == {f"stream read stdout of {program}"}
    assert waits(trace, "ends") == [f"subprocess {program}"]


def test_a_wait_inside_an_async_generator_is_told_by_its_line_there() -> None:
    async def main() -> None:
        ready = asyncio.Event()

        async def numbers() -> AsyncIterator[int]:
            await ready.wait()
            yield 1

        async def reads() -> None:
            async for _ in numbers():
                pass

        line.append(line_of(numbers, "await ready"))
        task = asyncio.create_task(reads())
        await turns(2)
        ready.set()
        await task

    line: list[int] = []
    trace = traced(main)
    states = track(trace, "reads").states
    assert [(one.reason, said(trace, one), one.line) for one in states if one.state is State.WAITING] == [
        ("Event", "ready", line[0])
    ]


def test_what_is_not_known_is_not_guessed() -> None:
    """A way to wait that stands in no table: some later version's, in asyncio itself."""
    source = "async def waits_somehow(future):\n    await future\n"
    names: dict[str, Any] = {}
    exec(compile(source, str(Path(asyncio.__file__).with_name("new_things.py")), "exec"), names)

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()

        async def waiter() -> None:
            await names["waits_somehow"](future)

        task = asyncio.create_task(waiter())
        await turns(2)
        future.set_result(None)
        await task

    (wait,) = [one for one in track(traced(main), "waiter").states if one.state is State.WAITING]
    assert (wait.reason, wait.facts, wait.line) == ("", NO_FACTS, line_of(main, "waits_somehow"))


def test_what_has_no_name_has_none() -> None:
    async def main() -> None:
        things = [asyncio.Event()]

        def thing() -> asyncio.Event:
            return things[0]

        async def waiter() -> None:
            await thing().wait()

        task = asyncio.create_task(waiter())
        await turns(2)
        things[0].set()
        await task

    assert waits(traced(main), "waiter") == ["Event"]


def test_the_awaited_task_is_named_as_its_lane() -> None:
    async def child() -> None:
        await turns(2)

    async def main() -> None:
        first, second = asyncio.create_task(child()), asyncio.create_task(child())
        await first
        await second

    trace = traced(main)
    assert waits(trace, "main")[0] == "task child-1"


def test_acquire_is_put_back_and_stays_out_of_tracebacks() -> None:
    original = asyncio.Lock.acquire
    seen: list[str] = []

    async def main() -> None:
        assert asyncio.Lock.acquire is not original
        assert inspect.iscoroutinefunction(asyncio.Lock.acquire) or asyncio.iscoroutinefunction(
            asyncio.Lock.acquire
        )
        lock = asyncio.Lock()
        await lock.acquire()

        async def wants() -> None:
            async with lock:
                pass

        task = asyncio.create_task(wants())
        await turns(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        seen.extend(frame.filename for frame in traceback.extract_tb(caught.value.__traceback__))

    traced(main)
    assert asyncio.Lock.acquire is original
    assert not [file for file in seen if "concmagic" in file and "recording" in file]
