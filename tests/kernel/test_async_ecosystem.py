"""Programs of asyncio's users under %%asyncio_trace, in a real kernel: the same with the magic as without.

Each program prints what it saw; it is run plainly and traced, and both must have printed the same.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

SETUP = """
import asyncio, contextvars, gc, signal, sys, threading, traceback, warnings
import aiohttp, anyio
from aiohttp import web

async def leaf(value):
    await asyncio.sleep(0)
    return value

def gaps(trace):
    "Tracks of tasks, and those whose states do not cover them or that have no name."
    tasks = [track for track in trace.tracks if track.kind == "task"]
    wrong = []
    for track in tasks:
        at = track.start_ns
        for each in track.states:
            if each.start_ns != at or each.end_ns < at:
                wrong.append((track.name, each))
            at = each.end_ns
        if at != (track.end_ns if track.end_ns is not None else trace.wall_ns) or not track.name:
            wrong.append((track.name, at, track.end_ns))
    return len(tasks), wrong
"""

# Programs that await on the kernel's own loop, or run loops of their own. None reads a clock.
PROGRAMS = {
    "task group": """
async with asyncio.timeout(60), asyncio.TaskGroup() as group:
    tasks = [group.create_task(leaf(n)) for n in range(3)]
print([task.result() for task in tasks])
""",
    "run twice": """
print(asyncio.run(leaf(1)), asyncio.run(leaf(2), debug=True))
""",
    "a runner": """
with asyncio.Runner() as runner:
    print(runner.run(leaf(1)), runner.run(leaf(2)))
""",
    "run in a thread": """
results = []
thread = threading.Thread(target=lambda: results.append(asyncio.run(leaf(3))))
thread.start(); thread.join()
print(results)
""",
    "threadsafe": """
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()
print(asyncio.run_coroutine_threadsafe(leaf(4), loop).result(60))
loop.call_soon_threadsafe(loop.stop); thread.join(); loop.close()
""",
    "subprocess": """
process = await asyncio.create_subprocess_exec(
    sys.executable, "-c", "print(42)", stdout=asyncio.subprocess.PIPE)
print(await process.communicate(), process.returncode)
""",
    "streams": """
async def serve(reader, writer):
    writer.write(await reader.readline())
    writer.close()
server = await asyncio.start_server(serve, "127.0.0.1", 0)
async def client(n):
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"%d\\n" % n)
    answer = await reader.read()
    writer.close()
    return answer
print(await asyncio.gather(*map(client, range(3))))
server.close()
await server.wait_closed()
""",
    "aiohttp": """
async def hello(request):
    return web.Response(text="hello " + request.query["n"])
app = web.Application()
app.router.add_get("/", hello)
runner = web.AppRunner(app)
await runner.setup()
await web.TCPSite(runner, "127.0.0.1", 0).start()
async def fetch(session, n):
    async with session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/?n={n}") as response:
        return await response.text()
async with aiohttp.ClientSession() as session:
    print(await asyncio.gather(*[fetch(session, n) for n in range(3)]))
await runner.cleanup()
""",
    "anyio": """
seen = []
async def child(n):
    await anyio.sleep(0)
    seen.append(n)
async with anyio.create_task_group() as group:
    for n in range(3):
        group.start_soon(child, n)
print(seen)
""",
    "what is counted": """
before = {id(task) for task in asyncio.all_tasks()}
task = asyncio.create_task(leaf(1))
print(len({id(task) for task in asyncio.all_tasks()} - before), threading.active_count())
await task
try:
    async with asyncio.timeout(0):
        await asyncio.Event().wait()
except TimeoutError:
    print(asyncio.current_task().cancelling(), asyncio.current_task().uncancel())
print([signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1) if hasattr(signal, "SIGUSR1")])
""",
    "order of steps": """
order = []
variable = contextvars.ContextVar("variable", default="none")
async def worker(n, queue):
    variable.set(n)
    for turn in range(4):
        await queue.put(n)
        order.append((n, turn, await queue.get(), variable.get()))
asyncio.get_running_loop().call_soon(order.append, "callback")
queue = asyncio.Queue(2)
await asyncio.gather(*[worker(n, queue) for n in range(4)])
print(order, variable.get())
""",
    "task factory": """
made = []
def factory(loop, coro, **options):
    made.append(coro.__qualname__)
    return asyncio.Task(coro, loop=loop, **options)
loop = asyncio.get_running_loop()
loop.set_task_factory(factory)
try:
    print(await asyncio.gather(leaf(1), leaf(2)), loop.get_task_factory() is factory, made.count("leaf"))
finally:
    loop.set_task_factory(None)
""",
    "eager tasks": """
seen = []
async def begins(n):
    seen.append(n)
    await asyncio.sleep(0)
    return n
loop = asyncio.get_running_loop()
loop.set_task_factory(getattr(asyncio, "eager_task_factory", None))
try:
    tasks = [asyncio.create_task(begins(n)) for n in range(3)]
    print(seen, await asyncio.gather(*tasks), asyncio.current_task() in asyncio.all_tasks())
finally:
    loop.set_task_factory(None)
""",
    "async generators": """
import contextlib
async def numbers():
    try:
        for n in range(3):
            await asyncio.sleep(0)
            yield n
    finally:
        await asyncio.sleep(0)
        print("closed")
async with contextlib.aclosing(numbers()) as found:
    async for n in found:
        if n == 1:
            break
print([n async for n in numbers()], await asyncio.create_task(leaf(n)))
""",
    "debug mode": """
loop = asyncio.get_running_loop()
loop.set_debug(True)
try:
    task, future = asyncio.create_task(leaf(1)), asyncio.Future()
    print([frame.name for frame in task._source_traceback[-1:] + future._source_traceback[-1:]])
    loop.call_soon(future.set_result, 2)
    print(await task, await future)
finally:
    loop.set_debug(False)
""",
    "futures by hand": """
class Promise(asyncio.Future):
    def __init__(self, name):
        super().__init__()
        self.name = name
futures = [asyncio.Future(), Promise("own"), asyncio.get_running_loop().create_future()]
print([repr(future) for future in futures[:1]], futures[1].name, [f.get_loop().get_debug() for f in futures])
for future in futures:
    asyncio.get_running_loop().call_soon(future.set_result, futures.index(future))
print(await asyncio.gather(*futures), await asyncio.shield(futures[1]))
""",
    "warnings": """
said = []
loop = asyncio.get_running_loop()
loop.set_exception_handler(lambda _, context: said.append(context["message"]))
async def fails():
    raise ValueError("unseen")
task = asyncio.create_task(fails())
await asyncio.sleep(0); await asyncio.sleep(0)
del task
gc.collect()
loop.set_exception_handler(None)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    leaf(1)
    gc.collect()
print(said, [str(each.message) for each in caught])
""",
    "a traceback": """
async def fails():
    await asyncio.sleep(0)
    raise ValueError("seen")
try:
    await asyncio.create_task(fails())
except ValueError as error:
    print([frame.name for frame in traceback.extract_tb(error.__traceback__)][1:])
""",
}
if sys.platform != "win32":
    PROGRAMS["uvloop"] = """
import uvloop
async def main():
    return type(asyncio.get_running_loop()).__module__, await asyncio.gather(leaf(1), leaf(2))
print(uvloop.run(main()), asyncio.run(leaf(3)))
"""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_the_same_and_its_tasks_are_covered(kernel: Any, name: str) -> None:
    program = PROGRAMS[name]
    kernel.check(SETUP)
    traced = kernel.check(f"%%asyncio_trace -q -o trace\n{program}")
    if name in ("run twice", "a runner", "uvloop"):  # these work with the magic only: a plain cell cannot
        assert traced.stdout
    else:
        assert traced.stdout == kernel.check(program).stdout
    tasks, wrong = kernel.value("gaps(trace)")
    assert (tasks > 0, wrong) == (True, [])
    assert kernel.value("asyncio.BaseEventLoop.call_soon.__module__") == "asyncio.base_events"
    assert kernel.value("asyncio.get_running_loop() is asyncio.current_task().get_loop()") is True


def test_automatic_task_names_count_on_as_in_a_plain_cell(kernel: Any) -> None:
    """A program that shows "Task-7" shows the same numbers' distance with the magic."""
    program = "\na, b = [asyncio.create_task(leaf(n)) for n in range(2)]\nawait a; await b\n"
    program += "print(int(b.get_name()[5:]) - int(a.get_name()[5:]))"
    kernel.check(SETUP)
    assert kernel.check(f"%%asyncio_trace -q{program}").stdout == kernel.check(program).stdout == "1\n"


@pytest.mark.parametrize("package", ["uvloop"] if sys.platform != "win32" else [])
def test_nothing_is_left_on_a_foreign_loop(kernel: Any, package: str) -> None:
    kernel.check(SETUP)
    kernel.check(f"%%asyncio_trace -q\nimport {package}\n{package}.run(leaf(1))")
    assert kernel.value(f"[name for name in vars({package}.Loop) if not name.startswith('__')]") == []
    assert kernel.value("[each for each in sys.meta_path if 'concmagic' in repr(each)]") == []


def test_nest_asyncio_applied_by_the_user(fresh_kernel: Any) -> None:
    """Its patched loops keep working; what they ran is traced."""
    fresh_kernel.check("%load_ext concmagic\n" + SETUP + "\nimport nest_asyncio; nest_asyncio.apply()")
    cells = ("asyncio.run(leaf(1))", "asyncio.get_event_loop().run_until_complete(leaf(1))", "await leaf(1)")
    for cell in cells:
        assert fresh_kernel.check(f"%%asyncio_trace -o trace\n{cell}").result_text == "1"
        assert fresh_kernel.value("gaps(trace)[1]") == []
    assert fresh_kernel.check("1 + 1").result_text == "2"
