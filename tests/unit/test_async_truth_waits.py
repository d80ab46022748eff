"""What a task waited for, in words: the thing by its name, and who held it."""

from __future__ import annotations

import asyncio
import inspect
import traceback

import pytest
from async_truth import traced, waits


async def turns(how_many: int) -> None:
    """Let the other tasks run until they stand still."""
    for _ in range(how_many):
        await asyncio.sleep(0)


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
