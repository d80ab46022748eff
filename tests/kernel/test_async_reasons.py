"""Each reason for which a task can wait, in words and with the line of its `await`, in a real cell."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from conftest import Kernel

pytestmark = pytest.mark.kernel

# Every waiter stands at its `await` before anything is let go; the comment is the task's name.
CELL = """
import asyncio, socket, sys, threading
from concurrent.futures import ThreadPoolExecutor
loop = asyncio.get_running_loop()
cache, ready, changed, slots, both = (asyncio.Lock(), asyncio.Event(), asyncio.Condition(),
                                      asyncio.Semaphore(0), asyncio.Barrier(2))
jobs, full, left = asyncio.Queue(), asyncio.Queue(1), asyncio.Queue()
full.put_nowait(1); left.put_nowait(1)
go_on, pool = threading.Event(), ThreadPoolExecutor(1, "downloads")
answer = loop.create_future()
by_hand = asyncio.Future()
ours, theirs = socket.socketpair()
ours.setblocking(False)
waiters = {}
def waits(function):
    waiters[function.__name__] = function
async def never():
    await asyncio.Event().wait()
@waits
async def sleeps():
    await asyncio.sleep(0.02)  # sleeps
@waits
async def awaits_a_task():
    await kid  # awaits_a_task
@waits
async def gathers():
    await asyncio.gather(kid, asyncio.sleep(0))  # gathers
@waits
async def shields():
    await asyncio.shield(kid)  # shields
@waits
async def holds():
    async with cache:
        await ready.wait()  # holds
@waits
async def wants_a_lock():
    async with cache:  # wants_a_lock
        pass
@waits
async def conditions():
    async with changed:
        await changed.wait()  # conditions
@waits
async def semaphores():
    await slots.acquire()  # semaphores
@waits
async def barriers():
    await both.wait()  # barriers
@waits
async def gets():
    await jobs.get()  # gets
@waits
async def puts():
    await full.put(2)  # puts
@waits
async def joins():
    await left.join()  # joins
@waits
async def limited():
    await asyncio.wait_for(left.join(), 1000)  # limited
@waits
async def times_out():
    async with asyncio.timeout(0.01):
        await asyncio.Event().wait()  # times_out
@waits
async def generates():
    async def numbers():
        await ready.wait()  # generates
        yield 1
    async for _ in numbers():
        pass
@waits
async def to_a_pool():
    await loop.run_in_executor(pool, go_on.wait)  # to_a_pool
@waits
async def to_a_thread():
    await asyncio.to_thread(go_on.wait)  # to_a_thread
@waits
async def asks():
    await answer  # asks
@waits
async def asks_by_hand():
    await by_hand  # asks_by_hand
@waits
async def receives():
    await loop.sock_recv(ours, 1)  # receives
@waits
async def connects():
    _, writer = await asyncio.open_connection(*address)  # connects
    writer.close()
@waits
async def reads():
    await reader.readexactly(1)  # reads
@waits
async def drains():
    writer.write(bytes(1 << 25))
    await writer.drain()  # drains
@waits
async def ends_a_program():
    await program.wait()  # ends_a_program
async def serve(reader, writer):
    await ready.wait()
    while await reader.read(1 << 20):
        writer.write(b"x")
    writer.close()
server = await asyncio.start_server(serve, "127.0.0.1", 0)
address = server.sockets[0].getsockname()
reader, writer = await asyncio.open_connection(*address)
program = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
kid = asyncio.create_task(ready.wait(), name="kid")
tasks = [asyncio.create_task(made(), name=name) for name, made in waiters.items()]
for _ in range(10): await asyncio.sleep(0)
ready.set(); slots.release(); full.get_nowait(); jobs.put_nowait(1); left.task_done(); go_on.set()
answer.set_result(None); by_hand.set_result(None); theirs.send(b"x"); program.stdin.write(b"\\n")
async with changed: changed.notify_all()
await both.wait()
done, pending = await asyncio.wait(tasks, timeout=60)
assert not pending, pending
writer.close(); server.close(); pool.shutdown(); ours.close(); theirs.close()
"""

# Task: its first wait, in words. {server} is the address that is listened on, {program} Python's file.
REASONS = {
    "sleeps": "sleep 0.02 s",
    "awaits_a_task": "task kid",
    "gathers": "gather of 2",
    "shields": "task kid (shielded)",
    "holds": "Event ready",
    "wants_a_lock": "Lock cache (held by holds)",
    "conditions": "Condition changed",
    "semaphores": "Semaphore slots",
    "barriers": "Barrier both",
    "gets": "Queue.get jobs",
    "puts": "Queue.put full (full)",
    "joins": "Queue.join left",
    # Before 3.12 what is waited for is awaited by a task of its own.
    "limited": "Queue.join left (timeout 1000 s)" if sys.version_info >= (3, 12) else "wait_for 1000 s",
    "times_out": "Event",
    "generates": "Event ready",
    "to_a_pool": "executor job in downloads",
    "to_a_thread": "executor job in asyncio",
    "asks": "future answer (made at line {answer})",
    "asks_by_hand": "future by_hand (made at line {by_hand})",
    "receives": "sock_recv",
    "connects": "connect {server}",
    "reads": "stream read {server}",
    "drains": "stream drain {server}",
    "ends_a_program": "subprocess {program}",
}
TELL = """
import json, os
print(json.dumps([
    {track.name: next(([f"{one.reason} {T.detail_of(one)}".strip(), one.line] for one in track.states
                       if one.state.value == "waiting"), None)
     for track in T.tracks if track.kind == "task"},
    {track.name: str(track.outcome) for track in T.tracks if track.kind == "task"},
    {"server": "{}:{}".format(*address), "program": os.path.basename(sys.executable)},
    list(T.cost.problems)]))
"""


def line_of(text: str) -> int:
    """The line of the cell, whose magic is its first, that has this text; "$" stands at the end of each."""
    (line,) = [number for number, line in enumerate(CELL.splitlines(), 1) if text in f"{line}$"]
    return line


@pytest.fixture(params=["states", "calls"], scope="module")
def told(request: pytest.FixtureRequest, kernel: Kernel) -> Any:
    kernel.check(f"%%asyncio_trace -q --detail {request.param} -o T{CELL}")
    return json.loads(kernel.check(TELL).stdout)


@pytest.mark.parametrize("name", REASONS)
def test_a_reason_and_its_line(told: Any, name: str) -> None:
    waits, _, words, problems = told
    words |= {"answer": line_of("answer ="), "by_hand": line_of("by_hand =")}
    assert waits[name] == [REASONS[name].format_map(words), line_of(f"# {name}$")]
    assert problems == []


def test_only_the_one_that_timed_out_did_not_return(told: Any) -> None:
    _, outcomes, _, _ = told
    mine = {name: outcome for name, outcome in outcomes.items() if name in REASONS}
    assert mine == dict.fromkeys(REASONS, "returned") | {"times_out": "timed out"}
