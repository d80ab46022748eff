"""Textbook code that runs the loop on which the notebook runs: as in a script, and the kernel lives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.kernel.conftest import Kernel, Run

MAGICS = ["%%asyncio_trace", "%%threads", "%%timeline"]
MADE = """
import asyncio, signal, threading, time
async def main(n=5):
    await asyncio.sleep(0.01)
    return n
async def ticks(n):
    for _ in range(n):
        seen.append(len(seen))
        await asyncio.sleep(0)
seen = []
"""
GET = "loop = asyncio.get_event_loop()\n"
# Each is what a book prints, with the value that it has as a script.
BOOKS = {
    "run_until_complete": (GET + "x = loop.run_until_complete(main())\nloop.close()\nx", 5),
    "twice": (GET + "[loop.run_until_complete(main(n)) for n in (1, 2)]", [1, 2]),
    "asked for twice": (GET + "asyncio.get_event_loop().run_until_complete(main())", 5),
    "ensure_future before": (GET + "t = asyncio.ensure_future(main())\nloop.run_until_complete(t)", 5),
    "create_task before": (GET + "t = loop.create_task(main())\nloop.run_until_complete(t)\nt.result()", 5),
    "gather": (GET + "loop.run_until_complete(asyncio.gather(main(1), main(2)))", [1, 2]),
    "wait": (
        GET + "ts = [loop.create_task(main(n)) for n in (1, 2)]\n"
        "done, _ = loop.run_until_complete(asyncio.wait(ts))\nsorted(t.result() for t in done)",
        [1, 2],
    ),
    "wait_for": (GET + "loop.run_until_complete(asyncio.wait_for(main(), 20))", 5),
    "future": (
        GET + "f = loop.create_future()\nloop.call_soon(f.set_result, 5)\nloop.run_until_complete(f)",
        5,
    ),
    "call_later stop": (
        GET + "seen.clear()\nloop.create_task(ticks(3))\nloop.call_later(0.05, loop.stop)\n"
        "loop.run_forever()\nloop.close()\nseen",
        [0, 1, 2],
    ),
    "stop in a callback": (
        GET + "def last(n):\n    seen.append(n)\n    loop.stop()\n"
        "seen.clear()\nloop.call_soon(seen.append, 1)\nloop.call_soon(last, 2)\nloop.run_forever()\nseen",
        [1, 2],
    ),
    "stop in a task": (
        GET + "async def ending():\n    await main()\n    loop.stop()\n"
        "t = asyncio.ensure_future(ending())\nloop.run_forever()\nt.done()",
        True,
    ),
    "stop from a thread": (
        GET + "w = threading.Thread(target=lambda: loop.call_soon_threadsafe(loop.stop))\n"
        "loop.call_soon(w.start)\nloop.run_forever()\nw.join()\n5",
        5,
    ),
    "run_in_executor": (GET + "loop.run_until_complete(loop.run_in_executor(None, abs, -5))", 5),
    "add_signal_handler": (
        GET + "loop.add_signal_handler(signal.SIGUSR1, loop.stop)\n"
        "loop.call_soon(signal.raise_signal, signal.SIGUSR1)\nloop.run_forever()\n5",
        5,
    ),
    "everything is shut down": (
        GET + "loop.run_until_complete(loop.run_in_executor(None, abs, -5))\n"
        "left = asyncio.all_tasks(loop)\nfor t in left:\n    t.cancel()\n"
        "loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))\n"
        "loop.run_until_complete(loop.shutdown_asyncgens())\n"
        "loop.run_until_complete(loop.shutdown_default_executor())\nloop.close()\nlen(left)",
        0,
    ),
    "all tasks are cancelled inside": (
        GET + "async def ending():\n    left = asyncio.all_tasks() - {asyncio.current_task()}\n"
        "    for t in left:\n        t.cancel()\n    return len(left)\n"
        "t = loop.create_task(asyncio.sleep(60))\nx = loop.run_until_complete(ending())\nx, t.cancelled()",
        (1, True),
    ),
    "another loop is made the current one": (
        "loop = asyncio.new_event_loop()\nasyncio.set_event_loop(loop)\n"
        "t = asyncio.ensure_future(main())\nx = loop.run_until_complete(t)\nloop.close()\nx",
        5,
    ),
    "debug": (
        GET + "loop.set_debug(True)\ntry:\n    x = loop.run_until_complete(main())\n"
        "finally:\n    loop.set_debug(False)\nx",
        5,
    ),
    "tornado": ("import tornado.ioloop\ntornado.ioloop.IOLoop.current().run_sync(main)", 5),
}
RUNS_KERNELS = sorted(set(BOOKS) - {"another loop is made the current one"})
REFUSES = (
    "A plain notebook cell refuses this code, as it runs the event loop that the notebook itself runs on"
)


@pytest.fixture(scope="module")
def made(kernel: Kernel) -> Kernel:
    kernel.check(MADE)
    return kernel


@pytest.fixture
def after(made: Kernel) -> Iterator[Kernel]:
    """All channels of the kernel work, and the next cell awaits on its loop."""
    made.check("import comm; moved = []; channel = comm.create_comm(target_name='widget')")
    made.check("channel.on_msg(lambda message: moved.append(message['content']['data']))")
    yield made
    assert comm_answers(made)
    assert control_answers(made)
    nap = made.check("await asyncio.sleep(0.01); await asyncio.to_thread(abs, -3)")
    assert (nap.result_text, nap.stderr) == ("3", "")
    assert made.converse("input('?')", ["here"]).result_text == "'here'"
    assert (
        made.interrupted("print('here', flush=True)\nwhile True:\n    await asyncio.sleep(0.01)").status
        == "error"
    )
    assert (
        made.interrupted("print('here', flush=True)\nwhile True:\n    time.sleep(0.01)").ename
        == "KeyboardInterrupt"
    )


def comm_answers(kernel: Kernel) -> bool:
    """Whether a message to a comm, as a widget sends it, arrives."""
    name = kernel.value("channel.comm_id")
    client = kernel._client
    client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": name, "data": {"moved": 1}}))
    kernel.check("await asyncio.sleep(0)")
    return bool(kernel.value("moved") == [{"moved": 1}])


def control_answers(kernel: Kernel) -> bool:
    client = kernel._client
    client.control_channel.send(client.session.msg("kernel_info_request", {}))
    return bool(client.get_control_msg(timeout=20)["content"]["status"] == "ok")


def shown(run: Run) -> str:
    return " ".join(run.displays[-1]["text/plain"].split())


@pytest.mark.parametrize("magic", MAGICS)
@pytest.mark.parametrize("book", BOOKS)
def test_it_runs_as_in_a_script(made: Kernel, book: str, magic: str) -> None:
    cell, value = BOOKS[book]
    run = made.check(f"{magic}\n{cell}")
    assert (run.result_text, run.stderr) == (repr(value), "")
    assert REFUSES in shown(run)
    assert made.check("await main(6)").result_text == "6"


def test_afterwards_every_channel_works(after: Kernel) -> None:
    for book in RUNS_KERNELS:
        after.check(f"%%asyncio_trace -q\n{BOOKS[book][0]}")


def test_what_did_nothing_is_told(made: Kernel) -> None:
    told = shown(
        made.check(f"%%asyncio_trace\n{GET}loop.run_until_complete(main())\nloop.stop()\nloop.close()")
    )
    assert "loop.stop() and loop.close() did nothing: the loop is the notebook's own" in told
    assert "did nothing" not in shown(made.check(f"%%asyncio_trace\n{GET}loop.run_until_complete(main())"))


def test_a_cell_that_never_runs_it_is_a_plain_one(made: Kernel) -> None:
    run = made.check(f"%%asyncio_trace\n{GET}seen.clear()\nt = loop.create_task(ticks(2))\nlist(seen)")
    assert run.result_text == "[]"
    assert REFUSES not in shown(run)
    assert made.check("await t; seen").result_text == "[0, 1]"


def test_what_it_makes_lives_on(made: Kernel) -> None:
    """A task goes on in the next cell, a server answers there, a timer's stop does not end the kernel."""
    made.check(
        f"%%asyncio_trace\n{GET}async def serve(reader, writer):\n"
        "    writer.write(await reader.readline())\n    writer.close()\n"
        "server = loop.run_until_complete(asyncio.start_server(serve, '127.0.0.1', 0))\n"
        "gate = asyncio.Event()\nwaiting = loop.create_task(gate.wait())\n"
        "loop.call_later(0.05, loop.stop)\nloop.run_until_complete(main())"
    )
    answer = made.check(
        "reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
        "writer.write(b'here\\n')\nline = await reader.readline()\nwriter.close()\n"
        "gate.set()\nawait asyncio.sleep(0.1)\nline, await waiting"
    )
    assert answer.result_text == "(b'here\\n', True)"
    made.check("server.close()")


def test_what_earlier_cells_made_can_be_awaited_in_it(made: Kernel) -> None:
    made.check("earlier = asyncio.create_task(main(7)); bell = asyncio.Event()")
    made.check("rung = asyncio.create_task(bell.wait())")
    run = made.check(
        f"%%timeline\n{GET}bell.set()\nloop.run_until_complete(earlier), loop.run_until_complete(rung)"
    )
    assert run.result_text == "(7, True)"


def test_cells_that_were_sent_meanwhile_run_in_their_order(made: Kernel) -> None:
    """Also where the cell cancels all tasks: those in which the kernel has the next cells wait are spared."""
    body = (
        GET + "print('here', flush=True)\nwhile not sent:\n    loop.run_until_complete(asyncio.sleep(0.01))\n"
        "loop.run_until_complete(asyncio.sleep(0.05))\nfor t in asyncio.all_tasks(loop):\n    t.cancel()\n"
        "order = ['first']\n"
        "loop.run_until_complete(main())"
    )
    made.check("sent = []; order = []")
    first = made.start(f"%%asyncio_trace\nthreading.Timer(0.3, sent.append, [1]).start()\n{body}")
    first.wait_for("here")
    second, third = made.start("order.append('second')"), made.start("order.append('third')\nawait main()")
    assert first.wait().status == "ok"
    assert second.wait().status == "ok"
    assert third.wait().status == "ok"
    assert made.value("order") == ["first", "second", "third"]


ERRORS = {
    "of the task": (GET + "async def bad():\n    await main()\n    1 / 0\nloop.run_until_complete(bad())"),
    "stopped too early": GET + "loop.call_soon(loop.stop)\nloop.run_until_complete(asyncio.sleep(60))",
    "inside itself": (
        GET + "c = main()\nasync def inside():\n    loop.run_until_complete(c)\n"
        "try:\n    loop.run_until_complete(inside())\nfinally:\n    c.close()"
    ),
    "no coroutine": GET + "loop.run_until_complete(5)",
}


@pytest.mark.parametrize("error", ERRORS)
def test_errors_are_those_of_a_script(made: Kernel, error: str) -> None:
    script = ERRORS[error].replace("get_event_loop", "new_event_loop")
    command = [sys.executable, "-W", "ignore", "-c", MADE + script]
    in_script = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
    run = made.run(f"%%asyncio_trace\n{ERRORS[error]}")
    assert f"{run.ename}: {run.evalue}" == in_script.splitlines()[-1]
    assert "kernel_loop.py" not in run.traceback_text
    assert "nested_run.py" not in run.traceback_text
    assert made.check("await main(6)").result_text == "6"


# A cell that awaits is a step of the loop itself: it is refused, as a plain one is, and told what to write.
REFUSED = {
    "loop.run_until_complete(coroutine)": "calls loop.run_until_complete while the loop that the notebook"
    " itself runs on is running: write `await coroutine` instead.",
    "asyncio.run(coroutine)": "calls asyncio.run while the loop that the notebook itself runs on is running:"
    " write `await coroutine` instead.",
}


@pytest.mark.parametrize("magic", MAGICS)
@pytest.mark.parametrize("call", REFUSED)
def test_where_it_is_not_possible_the_first_sentence_says_what_to_write(
    made: Kernel, call: str, magic: str
) -> None:
    body = (
        f"{GET}await main()\ncoroutine = asyncio.sleep(0)\ntry:\n    {call}\nfinally:\n    coroutine.close()"
    )
    plain, run = made.run(body), made.run(f"{magic}\n{body}")
    assert (run.ename, run.evalue) == (plain.ename, plain.evalue)
    assert run.ename == "RuntimeError"
    assert shown(run).startswith(f"This cell {REFUSED[call]}")
    assert "The checks found nothing" not in shown(run)


INTERRUPTED = {
    "idle": "loop.run_forever()",
    "in a task": (
        "async def busy():\n    while True:\n        time.sleep(0.01)\nloop.run_until_complete(busy())"
    ),
    "in a callback": "loop.call_soon(time.sleep, 60)\nloop.run_forever()",
    "between short steps": (
        "async def busy():\n    while True:\n        await asyncio.sleep(0)\nloop.run_until_complete(busy())"
    ),
}


@pytest.mark.parametrize("where", INTERRUPTED)
def test_one_interrupt_ends_it(after: Kernel, where: str) -> None:
    run = after.interrupted(f"%%asyncio_trace\n{GET}loop.call_soon(print, 'here')\n{INTERRUPTED[where]}")
    assert run.ename == "KeyboardInterrupt"
    assert "kernel_loop.py" not in run.traceback_text
    after.check("for t in asyncio.all_tasks() - {asyncio.current_task()}:\n    t.cancel()\nNone")


def test_a_cell_that_catches_the_interrupt_goes_on(after: Kernel) -> None:
    run = after.interrupted(
        f"%%asyncio_trace\n{GET}loop.call_soon(print, 'here')\ntry:\n    loop.run_forever()\n"
        "except KeyboardInterrupt:\n    x = loop.run_until_complete(main())\nfinally:\n    loop.close()\nx"
    )
    assert (run.status, run.result_text) == ("ok", "5")


def test_a_handler_of_sigint_stops_it_and_is_gone_afterwards(after: Kernel) -> None:
    run = after.interrupted(
        f"%%asyncio_trace\n{GET}loop.add_signal_handler(signal.SIGINT, loop.stop)\n"
        "loop.call_soon(print, 'here')\nloop.run_forever()\n5"
    )
    assert (run.status, run.result_text) == ("ok", "5")
