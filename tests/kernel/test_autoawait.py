"""Cells that await where `%autoawait` names another runner than asyncio's: run by it, as plain cells are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kernel.conftest import Kernel, Run

MAGICS = ["%%asyncio_trace", "%%timeline", "%%threads"]
NURSERY = """
import trio
seen = []
async def child(name, *waits_for):
    for event in waits_for:
        await event.wait()
    seen.append(name)
    later.set()
later = trio.Event()
async with trio.open_nursery() as nursery:
    nursery.start_soon(child, "second", later)
    nursery.start_soon(child, "first")
seen
"""
# What a user may write: each runs a coroutine to its end, in a way of its own.
RUNNERS = """
import asyncio, concurrent.futures, functools
ran = []
def by_hand(coroutine):
    ran.append(coroutine.__name__)
    try:
        while True:
            coroutine.send(None)
    except StopIteration as end:
        return end.value
class InAThread:
    def __call__(self, coroutine):
        ran.append(coroutine.__name__)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, coroutine).result()
in_a_thread = InAThread()
"""


@pytest.fixture
def with_trio(kernel: Kernel) -> Iterator[Kernel]:
    kernel.check("import trio")
    kernel.check("%autoawait trio")
    yield kernel
    kernel.check("%autoawait asyncio")


@pytest.fixture
def with_runners(kernel: Kernel) -> Iterator[Kernel]:
    kernel.check(RUNNERS)
    yield kernel
    kernel.check("%autoawait asyncio")


def shown(run: Run) -> str:
    return " ".join(run.displays[-1]["text/plain"].split())


@pytest.mark.parametrize("magic", MAGICS)
def test_trio_runs_a_cell_that_awaits(with_trio: Kernel, magic: str) -> None:
    run = with_trio.check(f"{magic}\n{NURSERY}")
    assert run.result_text == "['first', 'second']"
    assert "run by trio, as %autoawait says: of tasks only those of asyncio are seen." in shown(run)
    assert "another magic" not in shown(run)
    assert with_trio.check("await trio.lowlevel.checkpoint(); 6 * 7").result_text == "42"


@pytest.mark.parametrize(
    "body", ["await trio.lowlevel.checkpoint()\n1 / 0", "{}[0]", "await asyncio.sleep(0)"]
)
def test_errors_are_those_of_the_plain_cell(with_trio: Kernel, body: str) -> None:
    with_trio.check("import asyncio")  # whose sleep trio cannot run
    plain, traced = with_trio.run(body), with_trio.run(f"%%timeline\n{body}")
    assert (traced.status, traced.ename, traced.evalue) == ("error", plain.ename, plain.evalue)
    assert "notebook.py" not in traced.traceback_text
    assert "run_cell_async" not in traced.traceback_text


def test_an_interrupt_ends_it_as_trio_does(with_trio: Kernel) -> None:
    body = "try:\n    print('here', flush=True)\n    await trio.sleep(60)\nfinally:\n    print('cleaned')"
    run = with_trio.interrupted(f"%%asyncio_trace\n{body}")
    assert (run.ename, run.stdout) == ("KeyboardInterrupt", "here\ncleaned\n")
    assert with_trio.check("await trio.lowlevel.checkpoint(); 6 * 7").result_text == "42"
    again = with_trio.interrupted("print('here', flush=True); await trio.sleep(60)")
    assert again.ename == "KeyboardInterrupt"  # handlers are what they were


def test_a_loop_whose_items_are_tasks_says_what_it_needs(with_trio: Kernel) -> None:
    run = with_trio.run("%%asyncio_trace for x in range(3)\nx")
    assert (run.ename, "%autoawait asyncio" in run.evalue) == ("UsageError", True)


@pytest.mark.parametrize("magic", MAGICS)
@pytest.mark.parametrize("runner", ["by_hand", "in_a_thread"])
def test_a_runner_of_the_users_own(with_runners: Kernel, runner: str, magic: str) -> None:
    with_runners.check(
        f"%autoawait {runner}" if runner == "by_hand" else f"get_ipython().loop_runner = {runner}"
    )
    body = "async def seven():\n    return 7\nawait seven()"
    assert with_runners.check(body).result_text == "7"
    run = with_runners.check(f"{magic}\n{body}")
    assert run.result_text == "7"
    assert f"run by {'by_hand' if runner == 'by_hand' else 'InAThread'}, as" in shown(run)
    assert with_runners.value("ran[-2:]") == ["run_cell_async"] * 2


def test_tasks_in_a_runner_of_the_users_own_are_seen(with_runners: Kernel) -> None:
    with_runners.check("get_ipython().loop_runner = in_a_thread")
    run = with_runners.check(
        "%%asyncio_trace -o trace\nasync def nap():\n    await asyncio.sleep(0.05)\n"
        "await asyncio.gather(asyncio.create_task(nap(), name='one'), nap())\n'over'"
    )
    assert run.result_text == "'over'"
    with_runners.check("%autoawait asyncio")
    assert "one" in with_runners.value("[track.name for track in trace.tracks if track.kind == 'task']")


@pytest.mark.parametrize("setting", ["False", "sync"])
@pytest.mark.parametrize("magic", MAGICS)
def test_where_cells_do_not_await(kernel: Kernel, magic: str, setting: str) -> None:
    kernel.check(f"%autoawait {setting}")
    try:
        plain = kernel.run("import asyncio\nawait asyncio.sleep(0)")
        run = kernel.run(f"{magic}\nimport asyncio\nawait asyncio.sleep(0)")
        assert (run.ename, run.evalue.partition(" (")[0]) == ("SyntaxError", plain.evalue.partition(" (")[0])
        assert kernel.check(f"{magic}\n6 * 7").result_text == "42"
    finally:
        kernel.check("%autoawait asyncio")
        kernel.check("%autoawait True")
