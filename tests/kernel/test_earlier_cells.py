"""What earlier cells left running: it is none of this cell's work, but for what it does for this cell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kernel.conftest import Kernel, running_kernel

ASKED = """
import asyncio, queue, socket, threading, time
from concmagic.analysis.metrics import compute

def work(trace):
    return sorted(track.name for track in trace.tracks if track.role == "work" and track.unit)

def holders(trace):
    names = {track.id: track.name for track in trace.tracks}
    found = [one.tracks for one in trace.findings if one.lint == "blocked-event-loop"]
    return [names[track] for tracks in found for track in tracks]
"""

TICKING = """
async def tick():
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep(0.01)

async def tick_in_tasks():
    while True:
        await asyncio.gather(asyncio.to_thread(int), asyncio.create_task(asyncio.sleep(0)))
        await asyncio.sleep(0.01)

ticks = 0
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True, name="loop").start()
for each in (tick, tick, tick_in_tasks): asyncio.run_coroutine_threadsafe(each(), loop)
"""


@pytest.fixture(scope="module")
def ticking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel in which a loop of an earlier cell ticks."""
    with running_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        kernel.check("%load_ext concmagic")
        kernel.check(ASKED)
        kernel.check(TICKING)
        yield kernel


WAITS = "n = ticks\nwhile ticks < n + 10: time.sleep(0.01)"


@pytest.mark.parametrize("magic", ["%%threads", "%%timeline", "%%asyncio_trace"])
def test_a_loop_of_an_earlier_cell_is_not_at_work_here(ticking: Kernel, magic: str) -> None:
    run = ticking.check(f"{magic} -o trace\n{WAITS}")
    assert ticking.value("compute(trace).concurrency_peak") == 1
    assert ticking.value("[one.role for one in trace.tracks if one.kind == 'task']") == []
    assert ticking.value("(trace.hidden.earlier_threads > 0, trace.hidden.earlier_tasks > 2)") == (True, True)
    text = " ".join(run.displays[-1]["text/plain"].split())
    assert " tasks of earlier cells were at work beside this one" in text


def test_its_jobs_in_a_pool_are_its_own(ticking: Kernel) -> None:
    ticking.check(f"%%timeline -q -o trace\n{WAITS}")
    assert ticking.value("len(trace.jobs)") == 0
    assert ticking.value("work(trace)") == []


def test_what_was_sent_to_such_a_loop_is_work(ticking: Kernel) -> None:
    ticking.check(
        "%%timeline -q -o trace\n"
        "async def part(): await asyncio.sleep(0.02); return 1\n"
        "async def asked(): return sum(await asyncio.gather(part(), part()))\n"
        "asyncio.run_coroutine_threadsafe(asked(), loop).result()"
    )
    assert ticking.value("work(trace)") == ["asked", "part-1", "part-2"]


def test_an_earlier_task_of_the_notebooks_loop_is_not_at_work_here(kernel: Kernel) -> None:
    kernel.check(ASKED)
    kernel.check(TICKING.partition("\nticks = 0")[0] + "\nticks = 0\nleft = asyncio.create_task(tick())")
    kernel.check("%%asyncio_trace -q -o trace\nn = ticks\nwhile ticks < n + 5: await asyncio.sleep(0.01)")
    assert kernel.value("work(trace)") == []
    assert kernel.value("compute(trace).concurrency_peak") == 1
    kernel.check("left.cancel()")


def test_an_earlier_task_that_is_awaited_is_work(kernel: Kernel) -> None:
    kernel.check(ASKED)
    kernel.check(
        "async def inner(): await gate.wait()\n"
        "async def outer(): await asyncio.create_task(inner())\n"
        "async def bystander(): await asyncio.sleep(3600)\n"
        "gate = asyncio.Event()\nleft = [asyncio.create_task(each()) for each in (outer, bystander)]\n"
        "await asyncio.sleep(0)"
    )
    kernel.check("%%asyncio_trace -q -o trace\nawait asyncio.sleep(0.01)\ngate.set()\nawait left[0]")
    assert kernel.value("work(trace)") == ["inner", "outer"]
    kernel.check("left[1].cancel()")


def test_an_earlier_worker_that_is_given_something_is_work(kernel: Kernel) -> None:
    kernel.check(ASKED)
    kernel.check(
        "async def worker(which):\n"
        "    while True:\n"
        "        await which.get(); await asyncio.sleep(0.01); which.task_done()\n"
        "used, unused = asyncio.Queue(), asyncio.Queue()\n"
        "left = [asyncio.create_task(worker(used), name='busy'),"
        " asyncio.create_task(worker(unused), name='idle')]\nawait asyncio.sleep(0)"
    )
    kernel.check("%%asyncio_trace -q -o trace\nfor n in range(3): used.put_nowait(n)\nawait used.join()")
    assert kernel.value("work(trace)") == ["busy"]
    kernel.check("for one in left: one.cancel()")


def test_an_earlier_task_that_holds_the_cells_loop_is_named(kernel: Kernel) -> None:
    kernel.check(ASKED)
    kernel.check(
        "async def careless():\n"
        "    while True:\n"
        "        await asyncio.sleep(0.01); time.sleep(0.1)\n"
        "left = asyncio.create_task(careless())\nawait asyncio.sleep(0)"
    )
    kernel.check("%%asyncio_trace -q -o trace\nfor _ in range(5): await asyncio.sleep(0.01)")
    assert kernel.value("holders(trace)") == ["careless"]
    assert kernel.value("work(trace)") == []
    kernel.check("left.cancel()")


SERVER = """
import http.client, http.server, subprocess, sys
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.05)
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass

server = http.server.{kind}(("127.0.0.1", 0), Slow)
threading.Thread(target=server.serve_forever, daemon=True, name="web").start()

def fetch():
    connection = http.client.HTTPConnection(*server.server_address)
    connection.request("GET", "/")
    answer = connection.getresponse().read()
    connection.close()
    return answer
"""


@pytest.mark.parametrize("kind", ["HTTPServer", "ThreadingHTTPServer"])
@pytest.mark.parametrize("magic", ["%%threads", "%%threads --detail states"])
def test_requests_to_a_server_of_an_earlier_cell_are_work(kernel: Kernel, kind: str, magic: str) -> None:
    kernel.check(ASKED)
    kernel.check(SERVER.format(kind=kind))
    kernel.check(f"{magic} -q -o trace\n[fetch() for _ in range(3)]")
    names = kernel.value("work(trace)")
    assert len(names) == (1 if kind == "HTTPServer" else 3)
    assert all(name == "web" or name.endswith(" (Slow)") for name in names)
    if kind == "HTTPServer":  # a thread of its own may end when the next request has begun
        assert kernel.value("compute(trace).concurrency_peak") <= 2
    kernel.check("server.shutdown(); server.server_close()")


STRANGER = """
import os, sys, urllib.request
while True:
    urllib.request.urlopen(sys.argv[1]).read()
"""


def test_requests_of_another_program_are_none_of_this_cell(kernel: Kernel) -> None:
    kernel.check(ASKED)
    kernel.check(SERVER.format(kind="ThreadingHTTPServer"))
    kernel.check(
        "came = threading.Semaphore(0)\n"
        "class Counting(Slow):\n    def do_GET(self): came.release(); super().do_GET()\n"
        "server.RequestHandlerClass = Counting\n"
        f"command = ['setsid', '--fork', sys.executable, '-c', {STRANGER!r}]\n"
        "address = f'http://127.0.0.1:{server.server_port}/'\n"
        "assert subprocess.call([*command, address], stderr=subprocess.DEVNULL) == 0"
    )
    kernel.check("%%threads -q -o trace\nfor _ in range(5): came.acquire()")
    assert kernel.value("work(trace)") == []
    assert kernel.value("trace.hidden.earlier_threads > 0")
    kernel.check("server.shutdown(); server.server_close()")  # its next request fails then, and it ends


LISTENER = """
import logging, logging.handlers
class Slow(logging.Handler):
    def emit(self, record): time.sleep(0.02)
log = logging.getLogger("orders"); log.setLevel("INFO"); log.propagate = False
records = queue.SimpleQueue()
log.handlers[:] = [logging.handlers.QueueHandler(records)]
listener = logging.handlers.QueueListener(records, {handler})
listener.start()
"""
LOGS = "for n in range(5): log.info(n)\nlistener.stop()"


@pytest.mark.parametrize("before", [False, True])
def test_a_listeners_handler_is_the_users_work(kernel: Kernel, before: bool) -> None:
    kernel.check(ASKED)
    setup = LISTENER.format(handler="Slow()")
    if before:
        kernel.check(setup)
    run = kernel.check(f"%%threads -o trace\n{'' if before else setup}{LOGS}")
    (name,) = kernel.value("work(trace)")
    assert name.endswith(" (Slow)")
    assert "sleeping" in run.displays[-1]["text/plain"].split("\n\n")[0]


def test_a_listener_with_handlers_of_the_library_is_a_helper(kernel: Kernel) -> None:
    kernel.check(ASKED)
    setup = LISTENER.format(handler="logging.FileHandler('log.txt')")
    kernel.check(f"%%threads -q -o trace\n{setup}{LOGS}")
    assert kernel.value("work(trace)") == []


def test_background_jobs_of_ipython_are_work_with_their_functions_name(kernel: Kernel) -> None:
    kernel.check(ASKED)
    kernel.check(
        "%%threads -q -o trace\n"
        "from IPython.lib.backgroundjobs import BackgroundJobManager\n"
        "def count_up(): time.sleep(0.02)\n"
        "jobs = BackgroundJobManager()\n"
        "for one in [jobs.new(count_up), jobs.new('time.sleep(0.01)')]: one.join()"
    )
    names = [name.partition(" ")[2] for name in kernel.value("work(trace)")]
    assert sorted(names) == ["(count_up)", "(time.sleep(0.01))"]


def test_a_timer_is_called_by_its_function(kernel: Kernel) -> None:
    kernel.check(ASKED)
    kernel.check(
        "%%threads -q -o trace\ndef ring(): pass\n"
        "class Own(threading.Thread):\n    def run(self): pass\n"
        "for one in [threading.Timer(0.01, ring), Own()]: one.start(); one.join()"
    )
    names = [name.partition(" ")[2] for name in kernel.value("work(trace)")]
    assert sorted(names) == ["(Own)", "(ring)"]


def test_a_handler_that_waits_for_its_client_was_not_forgotten_by_the_cell(kernel: Kernel) -> None:
    kernel.check(ASKED)
    kernel.check(
        "async def serve(reader, writer):\n"
        "    while line := await reader.readline(): writer.write(line); await writer.drain()\n"
        "    writer.close()\n"
        "server = await asyncio.start_server(serve, '127.0.0.1', 0)"
    )
    kernel.check(
        "%%asyncio_trace -q -o trace\n"
        "reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
        "writer.write(b'one\\n')\nawait reader.readline()"
    )
    assert kernel.value("work(trace)") == ["serve"]
    assert "left-running" not in kernel.value("[one.lint for one in trace.findings]")
    kernel.check("writer.close(); server.close()")


def test_a_loop_that_a_library_keeps_in_a_daemon_thread_is_no_oversight(kernel: Kernel) -> None:
    kernel.check(ASKED)
    kernel.check(
        "%%threads -q -o trace\n"
        "own = asyncio.new_event_loop()\n"
        "threading.Thread(target=own.run_forever, daemon=True, name='runner').start()\n"
        "asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), own).result()\ntime.sleep(0.05)"
    )
    assert "left-running" not in kernel.value("[one.lint for one in trace.findings]")
    kernel.check("own.call_soon_threadsafe(own.stop)")
