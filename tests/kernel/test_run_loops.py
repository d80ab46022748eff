"""Which event loop a cell runs on."""

from __future__ import annotations

import pytest
from test_run_plain import MAGICS, without_picture

from conftest import Kernel

MAIN = "import asyncio\nasync def main(x=1):\n    await asyncio.sleep(0)\n    return x\n"


@pytest.mark.parametrize("magic", MAGICS)
def test_awaiting_cell_runs_on_the_loop_of_the_next_cell(kernel: Kernel, magic: str) -> None:
    kernel.check(f"{magic}\nimport asyncio\nawait asyncio.sleep(0)\nhere = asyncio.get_running_loop()")
    run = kernel.check("await asyncio.sleep(0)\nasyncio.get_running_loop() is here")
    assert run.result_text == "True"


def test_lock_and_task_of_an_earlier_cell_are_usable(kernel: Kernel) -> None:
    kernel.check(
        "import asyncio\nlock = asyncio.Lock()\nearlier = asyncio.create_task(asyncio.sleep(0, 'done'))"
    )
    run = kernel.check("%%asyncio_trace\nasync with lock:\n    answer = await earlier\nanswer")
    assert run.result_text == "'done'"


@pytest.mark.parametrize("magic", MAGICS)
def test_asyncio_run_works_twice(kernel: Kernel, magic: str) -> None:
    run = kernel.check(f"{magic}\n{MAIN}asyncio.run(main(1)) + asyncio.run(main(2))")
    assert run.result_text == "3"
    assert kernel.check("await asyncio.sleep(0, 'well')").result_text == "'well'"


WAYS = {
    "imported by name earlier": "run_by_name(main(5))",
    "runner": "with asyncio.Runner() as r:\n    a = r.run(main(2))\n    b = r.run(main(3))\na + b",
    "new loop": "l = asyncio.new_event_loop()\nx = l.run_until_complete(main(5))\nl.close()\nx",
    "timeout": "async def t():\n    async with asyncio.timeout(9):\n        return await main(5)\n"
    "asyncio.run(t())",
    "to_thread": "asyncio.run(asyncio.to_thread(lambda: 5)) if False else run_by_name(to_thread())",
    "gather": "async def g():\n    return sum(await asyncio.gather(main(2), main(3)))\nasyncio.run(g())",
    "gather of another loop's tasks": "l = asyncio.new_event_loop()\n"
    "tasks = [l.create_task(main(n)) for n in (2, 3)]\n"
    "x = sum(l.run_until_complete(asyncio.gather(*tasks)))\nl.close()\nx",
    "gather in an earlier cell's words": "l = asyncio.new_event_loop()\n"
    "x = sum(l.run_until_complete(gather_by_name(*[l.create_task(main(n)) for n in (1, 4)])))\nl.close()\nx",
    "group": "async def g():\n    async with asyncio.TaskGroup() as tg:\n"
    "        a = tg.create_task(main(5))\n"
    "    return a.result()\nasyncio.run(g())",
    "debug": "asyncio.run(main(5), debug=True)",
    "tasks left over": "left = []\nasync def leaves():\n"
    "    left.append(asyncio.create_task(asyncio.sleep(60)))\n"
    "    return await main(5)\nx = asyncio.run(leaves())\nx if left[0].cancelled() else 'not cancelled'",
    "anyio": "import anyio\nasync def any_main():\n    async with anyio.create_task_group() as group:\n"
    "        group.start_soon(main)\n    await anyio.sleep(0)\n    return await main(5)\nanyio.run(any_main)",
    "in a thread": "from concurrent.futures import ThreadPoolExecutor\n"
    "with ThreadPoolExecutor(1) as p:\n    x = p.submit(asyncio.run, main(5)).result()\nx",
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_ways_to_run_a_loop_of_ones_own(kernel: Kernel, code: str) -> None:
    kernel.check(
        "from asyncio import gather as gather_by_name, run as run_by_name\nimport asyncio\n"
        "async def to_thread():\n"
        "    return await asyncio.to_thread(lambda: 5)"
    )
    assert kernel.check(f"%%asyncio_trace\n{MAIN}{code}").result_text == "5"


def test_asyncio_run_in_a_running_loop_fails_as_in_a_script(kernel: Kernel) -> None:
    run = kernel.run(
        f"%%asyncio_trace\n{MAIN}async def nested():\n    c = main()\n    try:\n        asyncio.run(c)\n"
        "    finally:\n        c.close()\nasyncio.run(nested())"
    )
    assert run.ename == "RuntimeError"
    assert "cannot be called from a running event loop" in run.evalue


def test_task_created_before_asyncio_run_is_on_the_kernels_loop(kernel: Kernel) -> None:
    kernel.check(
        f"%%asyncio_trace\n{MAIN}mine = asyncio.get_running_loop()\n"
        f"later = asyncio.create_task(main('later'))\n"
        "asyncio.run(main())\nsame = asyncio.get_running_loop() is mine"
    )
    assert kernel.value("same") is True
    assert kernel.check("await later").result_text == "'later'"


def test_gather_before_asyncio_run_is_on_the_kernels_loop(kernel: Kernel) -> None:
    """As in a plain cell: of coroutines, and of tasks of the kernel's."""
    kernel.check(
        f"%%asyncio_trace\n{MAIN}task = asyncio.get_running_loop().create_task(main(1))\n"
        "both = asyncio.gather(task, main(2))\nassert both.get_loop() is asyncio.get_running_loop()\n"
        "asyncio.run(main(3))"
    )
    assert kernel.check("await both").result_text == "[1, 2]"


def test_loops_are_as_before_after_asyncio_run(kernel: Kernel) -> None:
    probe = (
        "import asyncio, asyncio.runners, warnings\n"
        "def loop_state():\n"
        "    B = asyncio.BaseEventLoop\n"
        "    with warnings.catch_warnings():\n"
        "        warnings.simplefilter('ignore')\n"
        "        local = asyncio.get_event_loop_policy()._local\n"
        "    return [id(B.run_forever), id(B._check_running), id(asyncio.runners.events), id(asyncio.run),\n"
        "        id(asyncio.runners._cancel_all_tasks),\n"
        "        id(asyncio.get_running_loop()), id(getattr(local, '_loop', None))]\n"
        "before = loop_state()"
    )
    kernel.check(probe)
    kernel.check(f"%%asyncio_trace\n{MAIN}asyncio.run(main())")
    kernel.run(f"%%asyncio_trace\n{MAIN}asyncio.run(main(), no_such=1)")
    kernel.run("%%asyncio_trace\nasync def bad():\n    1 / 0\nasyncio.run(bad())")
    assert kernel.check("loop_state() == before").result_text == "True"


CONTEXT = {
    "sync": ("v.set('set by the cell')", "v.get('nothing')"),
    "awaiting": ("import asyncio\nv.set('set by the cell')\nawait asyncio.sleep(0)", "v.get('nothing')"),
    "read awaiting": ("v.set('s')\nawait asyncio.sleep(0)", "await asyncio.sleep(0)\nv.get('nothing')"),
}


@pytest.mark.parametrize(("body", "later"), CONTEXT.values(), ids=CONTEXT)
def test_context_variables_are_seen_later_as_after_a_plain_cell(
    kernel: Kernel, body: str, later: str
) -> None:
    kernel.check("import asyncio, contextvars\nv = contextvars.ContextVar('v')")
    kernel.check(body + ";")
    plain = kernel.check(later).result_text
    kernel.check("v = contextvars.ContextVar('v')")
    kernel.check(f"%%asyncio_trace -q\n{body};")
    assert kernel.check(later).result_text == plain


COUNTS = {
    "sync": "import asyncio, threading\n(len(asyncio.all_tasks()), threading.active_count())",
    "awaiting": "import asyncio, threading\nawait asyncio.sleep(0)\n"
    "(len(asyncio.all_tasks()), threading.active_count(), asyncio.current_task() in asyncio.all_tasks())",
    "children": "import multiprocessing\nlen(multiprocessing.active_children())",
}


@pytest.mark.parametrize("body", COUNTS.values(), ids=COUNTS)
def test_what_the_user_counts_is_what_it_is_without_us(kernel: Kernel, body: str) -> None:
    plain, traced = kernel.check(body), kernel.check(f"%%asyncio_trace\n{body}")
    assert without_picture(traced) == without_picture(plain)


def test_exit_in_an_awaiting_cell_does_not_end_the_kernel(kernel: Kernel) -> None:
    body = "import asyncio, sys\nawait asyncio.sleep(0)\nsys.exit(3)"
    plain, traced = kernel.run(body), kernel.run(f"%%asyncio_trace\n{body}")
    assert (traced.status, traced.ename, traced.evalue) == (plain.status, plain.ename, plain.evalue)
    assert traced.ename == "SystemExit"
    assert kernel.is_alive
    assert kernel.check("1").result_text == "1"
