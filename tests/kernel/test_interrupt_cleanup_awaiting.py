"""One click on stop cancels what awaits once: its `finally` awaits as long as it needs."""

from __future__ import annotations

import pytest
from interrupts import STILL
from test_interrupt_cleanup import SETUP, clicked, ended, told

from conftest import Kernel

# A plain cell that awaits hears of an interrupt when its loop wakes for something else: this one does.
NAP = """
async def nap(said=False):
    await asyncio.sleep(0.02)
    if not said:
        threading.Thread(target=print, args=("here",), kwargs={"flush": True}).start()
    for _ in range(3000):
        await asyncio.sleep(0.02)
"""
TASK = "async def task():\n    try:\n        await nap()\n    finally:\n        await arest()\n"
WHOLE = ["cleaning", "valve shut", "data saved", "at rest"]

# An awaiting cell, plain and traced. What nobody catches is CancelledError in a plain one, without our line.
AWAITING = {
    "except": "try:\n    await nap()\nexcept asyncio.CancelledError:\n    await arest()\n'value'",
    "after except": "try:\n    await nap()\nexcept asyncio.CancelledError:\n    pass\nawait arest()\n'value'",
    "another error": "try:\n    await nap()\nexcept asyncio.CancelledError:\n    await arest()\n"
    "    raise ValueError('v')",
    "finally": "try:\n    await nap()\nfinally:\n    await arest()",
    "exit": "async with Rest():\n    await nap()",
    "exit that blocks": "with Rest():\n    await nap()",
    "generator": "async with aresting():\n    await nap()",
    "exit stack": "async with contextlib.AsyncExitStack() as stack:\n"
    "    await stack.enter_async_context(Rest())\n    await nap()",
    "group": TASK + "async with asyncio.TaskGroup() as g:\n    g.create_task(task())",
    "gather": TASK + "await asyncio.gather(task(), nap(said=True))",
    "a task of the clean-up": "async def drain():\n    while not stop.is_set():\n"
    "        await asyncio.sleep(0.01)\n    return 'drained'\n"
    "stop = asyncio.Event()\nt = asyncio.create_task(drain())\ntry:\n    await nap()\n"
    "except asyncio.CancelledError:\n    await arest()\n    stop.set()\nawait t",
}


@pytest.fixture(autouse=True)
def ready(kernel: Kernel) -> None:
    kernel.check(STILL + SETUP + NAP + "\nhold = threading.Event()")


@pytest.mark.parametrize("body", AWAITING.values(), ids=AWAITING)
def test_a_click_does_what_it_does_to_a_plain_cell(kernel: Kernel, body: str) -> None:
    plain = clicked(kernel, body)
    traced = clicked(kernel, f"%%asyncio_trace\n{body}")
    if plain.ename == "CancelledError":
        assert traced.ename == "KeyboardInterrupt"
        assert traced.stdout.startswith(
            plain.stdout
        )  # a plain one lets the tasks of `gather` go on behind it
        assert ended(kernel) == "interrupted"
    else:
        assert told(traced) == told(plain)
        assert "the cell's own code handled it" in " ".join(traced.displays[-1]["text/plain"].split())
    assert traced.stdout.split()[-2:] == ["at", "rest"]
    assert "src/concmagic/" not in traced.traceback_text.replace("%%asyncio_trace", "")


@pytest.mark.parametrize("waits", ["await asyncio.gather(task())", "await asyncio.create_task(task())"])
def test_a_click_that_meets_a_step_of_a_task_cancels_it_once(kernel: Kernel, waits: str) -> None:
    """The cell is cancelled for it, and hands that on to the task, which must not be cleaning up by then."""
    task = "async def task():\n    try:\n        await asyncio.sleep(0.01)\n        signal.raise_signal(2)\n"
    task += "        await asyncio.sleep(60)\n    finally:\n        await arest()\n"
    run = kernel.run(f"%%asyncio_trace\n{task}{waits}")
    assert (run.ename, run.stdout.split("\n")[:-1]) == ("KeyboardInterrupt", WHOLE)


# A task holds the loop, so that the click is raised in its step; it cleans up, or who awaits it does.
HOLDING = "async def task():\n    try:\n        say_when_still()\n        time.sleep(60)\n    finally:\n"
HOLDS = HOLDING + "        await arest()\n"
BRIEFLY = HOLDING + "        pass\n"
MIDDLE = (
    "async def middle():\n    try:\n        await asyncio.gather(task())\n"
    "    finally:\n        await arest()\n"
)
HELD = {
    "gather": HOLDS + "await asyncio.gather(task(), asyncio.sleep(60))",
    "gather of values": HOLDS + "await asyncio.gather(task(), asyncio.sleep(60), return_exceptions=True)",
    "await": HOLDS + "await asyncio.create_task(task())",
    "group": HOLDS + "async with asyncio.TaskGroup() as group:\n    group.create_task(task())\n"
    "    await asyncio.sleep(60)",
    "wait": HOLDS + "t = asyncio.create_task(task())\nawait asyncio.wait([t])\nawait asyncio.sleep(60)",
    "nobody awaits it": HOLDS + "t = asyncio.create_task(task())\nawait asyncio.sleep(60)",
    "the cell": BRIEFLY + "try:\n    await asyncio.gather(task())\nfinally:\n    await arest()",
    "the cell, by wait_for": BRIEFLY
    + "try:\n    await asyncio.wait_for(task(), 50)\nfinally:\n    await arest()",
    "a task between": BRIEFLY + MIDDLE + "await asyncio.gather(middle())",
    "a task between, nobody awaits it": BRIEFLY + MIDDLE + "t = asyncio.create_task(middle())\n"
    "await asyncio.sleep(60)",
}


@pytest.mark.parametrize("body", HELD.values(), ids=HELD)
def test_a_click_that_is_raised_in_a_step_cuts_no_clean_up(kernel: Kernel, body: str) -> None:
    run = clicked(kernel, f"%%asyncio_trace\n{body}")
    assert (run.ename, run.stdout.split("\n")[1:-1]) == ("KeyboardInterrupt", WHOLE)


@pytest.mark.parametrize("waits", ["asyncio.gather(task())", "asyncio.sleep(60)"])
def test_a_second_click_ends_the_clean_up_of_a_task_that_held_the_loop(kernel: Kernel, waits: str) -> None:
    run = clicked(kernel, f"%%asyncio_trace\n{HOLDS}t = asyncio.create_task(task())\nawait {waits}", clicks=2)
    assert run.ename == "KeyboardInterrupt"
    assert "at rest" not in run.stdout


@pytest.mark.parametrize("body", AWAITING.values(), ids=AWAITING)
def test_a_second_click_ends_the_clean_up(kernel: Kernel, body: str) -> None:
    run = clicked(kernel, f"%%asyncio_trace\n{body}", clicks=2)
    assert run.ename == "KeyboardInterrupt"
    assert "at rest" not in run.stdout
    assert kernel.check("await asyncio.sleep(0, 'woken')").result_text == "'woken'"


# A whole program in the cell: what it does in a script, one click and two.
PROGRAMS = {
    "except": (
        "async def main():\n    try:\n        say_when_still()\n        await asyncio.sleep(60)\n"
        "    except asyncio.CancelledError:\n        await arest()\n    return 'value'\n{run}",
        "'value'",
    ),
    "finally": (
        "async def main():\n    try:\n        say_when_still()\n        await asyncio.sleep(60)\n"
        "    finally:\n        await arest()\n{run}",
        None,
    ),
    "exit": (
        "async def main():\n    async with Rest():\n        say_when_still()\n"
        "        await asyncio.sleep(60)\n{run}",
        None,
    ),
    "a task": (
        "async def f():\n    try:\n        await asyncio.sleep(60)\n    finally:\n        await arest()\n"
        "async def main():\n    t = asyncio.create_task(f())\n    await asyncio.sleep(0)\n"
        "    say_when_still()\n    await asyncio.sleep(60)\n{run}",
        None,
    ),
    "group": (
        "async def f():\n    try:\n        await asyncio.sleep(60)\n    finally:\n        await arest()\n"
        "async def main():\n    async with asyncio.TaskGroup() as g:\n        g.create_task(f())\n"
        "        await asyncio.sleep(0)\n        say_when_still()\n{run}",
        None,
    ),
    "around it": (
        "async def main():\n    say_when_still()\n    await asyncio.sleep(60)\nwith Rest():\n    {run}",
        None,
    ),
    "a step that blocks": (
        "async def main():\n    try:\n        say_when_still()\n        time.sleep(60)\n"
        "    finally:\n        await arest()\n{run}",
        None,
    ),
    "a pool inside": (
        "async def main():\n    async with Rest():\n        with ThreadPoolExecutor(1) as pool:\n"
        "            say_when_still()\n"
        "            await asyncio.get_running_loop().run_in_executor(pool, hold.wait)\n{run}",
        None,
    ),
    "a thread of the loop": (
        "async def main():\n    async with Rest():\n        say_when_still()\n"
        "        await asyncio.to_thread(hold.wait)\n{run}",
        None,
    ),
}
RUNS = {
    "run": "asyncio.run(main())",
    "Runner": "asyncio.Runner().__enter__().run(main())",
    "anyio": "__import__('anyio').run(main)",
    "uvloop": "__import__('uvloop').run(main())",
}


@pytest.mark.parametrize(("program", "value"), PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("how", RUNS)
def test_a_program_with_a_loop_of_its_own_cleans_up(
    kernel: Kernel, how: str, program: str, value: str | None
) -> None:
    pytest.importorskip(how if how in ("anyio", "uvloop") else "asyncio")
    body = program.format(run=RUNS[how])
    if how == "Runner":
        body = program.replace("{run}", "with asyncio.Runner() as runner: runner.run(main())")
        body = body.replace("    with asyncio.Runner", "  with asyncio.Runner") if value is None else body
    run = clicked(kernel, f"%%asyncio_trace\n{body}")
    assert run.stdout.split("\n")[1:-1] == WHOLE
    assert run.ename == ("" if value else "KeyboardInterrupt")
    assert run.result_text == (value if how != "Runner" else None)
    assert "src/concmagic/" not in run.traceback_text.replace("%%asyncio_trace", "")
    kernel.check("hold.set()")
    assert kernel.check("await asyncio.sleep(0, 'woken')").result_text == "'woken'"


SLOW_TO_BEGIN = """
import asyncio, time

class Loop(asyncio.SelectorEventLoop):
    def run_forever(self):
        time.sleep(0.3)  # longer than between two looks at where the main thread stands
        super().run_forever()
"""


def test_a_loop_without_threads_is_left_to_close(kernel: Kernel) -> None:
    """Nothing is raised where `asyncio.run` ends the loop's threads, and there are none to wait for."""
    kernel.check(
        f"with open('site-packages/slow_to_begin.py', 'w') as file:\n    file.write({SLOW_TO_BEGIN!r})"
    )
    kernel.check(
        "sys.path.insert(0, 'site-packages')\nimport slow_to_begin\nsys.path.remove('site-packages')"
    )
    run = clicked(
        kernel,
        "%%asyncio_trace\nasync def main():\n    say_when_still()\n    await asyncio.sleep(60)\n"
        "with asyncio.Runner(loop_factory=slow_to_begin.Loop) as runner:\n    runner.run(main())",
    )
    assert run.ename == "KeyboardInterrupt"
    assert "Runner.close" not in run.traceback_text
    assert run.traceback_text.count("KeyboardInterrupt: ") == 1
    assert "never awaited" not in run.stderr


@pytest.mark.parametrize("name", ["except", "finally", "a task", "a step that blocks"])
def test_a_second_click_ends_the_clean_up_of_a_program(kernel: Kernel, name: str) -> None:
    body = PROGRAMS[name][0].format(run="asyncio.run(main())")
    run = clicked(kernel, f"%%asyncio_trace\n{body}", clicks=2)
    assert run.ename == "KeyboardInterrupt"
    assert "at rest" not in run.stdout
    assert kernel.check("await asyncio.sleep(0, 'woken')").result_text == "'woken'"


def test_a_timeout_lets_what_awaits_clean_up(kernel: Kernel) -> None:
    run = kernel.run("%%asyncio_trace --timeout 0.3\nasync with Rest():\n    await asyncio.sleep(60)")
    assert (run.ename, run.stdout.split("\n")[:-1]) == ("TimeoutError", WHOLE)
    run = kernel.run(f"%%asyncio_trace --timeout 0.3\n{AWAITING['except']}")
    assert (run.ename, run.result_text, run.stdout.split("\n")[1:-1]) == ("", "'value'", WHOLE)
    assert "--timeout interrupted the cell" in run.displays[-1]["text/plain"]


def test_items_of_a_loop_clean_up(kernel: Kernel) -> None:
    body = "try:\n    say_when_still()\n    await asyncio.sleep(60)\nfinally:\n    await arest()"
    run = clicked(kernel, f"%%asyncio_trace for n in range(1)\n{body}")
    assert (run.ename, run.stdout.split("\n")[1:-1]) == ("KeyboardInterrupt", WHOLE)
