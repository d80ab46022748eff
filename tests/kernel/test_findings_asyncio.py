"""Findings about asyncio, and about its absence, from real cells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Kernel

EXAMPLES = Path(__file__).parents[2] / "examples"
# Findings that these cells are made to show; every other cell must be told nothing of asyncio.
MEANT = {
    "should be: await asyncio.sleep(0.3)": {"blocked-event-loop"},
    "gather(polite(), polite(), rude())": {"blocked-event-loop"},
    "no await anywhere": {"blocked-event-loop"},
}
OF_ASYNCIO = {
    "blocked-event-loop",
    "many-small-blocks",
    "sequential-awaits",
    "never-awaited",
    "exception-never-retrieved",
    "left-running",
    "concurrency-capped",
    "deadlock",
    "starved-task",
}
FETCH = "import asyncio\nasync def fetch(n, s=0.02):\n    await asyncio.sleep(s)\n    return n\n"
HEALTHY = {
    "gather": "await asyncio.gather(*(fetch(n) for n in range(5)))",
    "task group": "async with asyncio.TaskGroup() as g:\n    [g.create_task(fetch(n)) for n in range(5)]",
    "asyncio.run": "async def main():\n    return await asyncio.gather(fetch(1), fetch(2))\n"
    "asyncio.run(main())",
    "pipeline": "a = await fetch(1)\nb = await fetch(a + 1)\nc = await fetch(b + 1)",
    "retry": "for attempt in range(3):\n    try:\n        r = await fetch(attempt)\n"
    "        if r == 2: break\n"
    "    except ValueError:\n        pass",
    "poll": "done = 0\nwhile done < 3:\n    done += 1\n    await fetch(done)",
    "pause": "for _ in range(3):\n    await asyncio.sleep(0.02)",
    "lock": "lock = asyncio.Lock()\nasync def one(n):\n    async with lock:\n        await fetch(n)\n"
    "await asyncio.gather(*(one(n) for n in range(4)))",
    "semaphore of one": "sem = asyncio.Semaphore(1)\nasync def one(n):\n    async with sem:\n"
    "        await fetch(n)\n"
    "await asyncio.gather(*(one(n) for n in range(4)))",
    "consumer": "q = asyncio.Queue()\nasync def worker():\n    while True:\n"
    "        await fetch(await q.get())\n"
    "        q.task_done()\nworkers = [asyncio.create_task(worker()) for _ in range(2)]\n"
    "for n in range(6): q.put_nowait(n)\nawait q.join()\nfor w in workers: w.cancel()",
    "awaited later": "async def bad():\n    raise ValueError('no')\nt = asyncio.create_task(bad())\n"
    "await fetch(1)\ntry:\n    await t\nexcept ValueError:\n    pass",
    "return_exceptions": "async def bad():\n    raise ValueError('no')\n"
    "r = await asyncio.gather(bad(), fetch(1), return_exceptions=True)",
    "timeout": "try:\n    async with asyncio.timeout(0.02):\n        await asyncio.Event().wait()\n"
    "except TimeoutError:\n    pass",
    "to_thread": "import time\n"
    "await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.02) for _ in range(3)))",
    "alone on the loop": "import time\nawait fetch(1)\ntime.sleep(0.06)",
    "generator": "async def numbers():\n    for n in range(3):\n        yield await fetch(n)\n"
    "[n async for n in numbers()]",
    "closed on purpose": "c = fetch(1)\nc.close()",
    "cancelled": "t = asyncio.create_task(fetch(1, 60))\nawait fetch(2)\nt.cancel()\n"
    "try:\n    await t\nexcept asyncio.CancelledError:\n    pass",
}


@pytest.fixture
def names(kernel: Kernel) -> Iterator[Kernel]:
    """A kernel whose settings are as they were, afterwards."""
    yield kernel
    kernel.check("%config ConcMagic.cancel_left_running = False")


def lints(kernel: Kernel) -> set[str]:
    """The names of what was found in the last traced cell."""
    return set(kernel.value("sorted({f.lint for f in __import__('concmagic').last().findings})"))


def messages(kernel: Kernel, lint: str) -> list[str]:
    found = "[(f.lint, f.message) for f in __import__('concmagic').last().findings]"
    return [message for name, message in kernel.value(found) if name == lint]


@pytest.mark.parametrize("body", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_program_is_told_nothing(kernel: Kernel, body: str) -> None:
    kernel.check(f"%%asyncio_trace -q\n{FETCH}{body}")
    # A machine that is busy with others may make a step long; nothing else may be found.
    assert lints(kernel) & OF_ASYNCIO <= {"blocked-event-loop", "starved-task"}


@pytest.mark.parametrize("notebook", ["tour", "chapter_1"])
def test_the_examples_show_what_they_are_made_to_show(fresh_kernel: Kernel, notebook: str) -> None:
    cells = json.loads((EXAMPLES / f"{notebook}.ipynb").read_text())["cells"]
    for source in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
        fresh_kernel.run(source)
        if source.startswith("%%"):
            meant = next((names for text, names in MEANT.items() if text in source), set())
            assert lints(fresh_kernel) & OF_ASYNCIO == meant, source


def test_waits_one_after_the_other_are_found(kernel: Kernel) -> None:
    kernel.check(f"%%asyncio_trace -q\n{FETCH}for n in range(4):\n    await fetch(n, 0.05)")
    (message,) = messages(kernel, "sequential-awaits")
    assert message.startswith("4 × await fetch(n, 0.05) at line 7 waited one after the other")


def test_a_task_that_blocks_before_the_others_have_begun_blocks_them(kernel: Kernel) -> None:
    rude = "import time\nasync def rude():\n    time.sleep(0.2)\n"
    body = f"{rude}await asyncio.gather(rude(), fetch(1), fetch(2))"
    kernel.check(f"%%asyncio_trace -q\n{FETCH}{body}")
    (message,) = messages(kernel, "blocked-event-loop")
    assert (
        "time.sleep(0.2) at line 8 blocked the loop while 2 tasks were ready (fetch-1 and fetch-2)" in message
    )


def test_a_lock_that_all_tasks_pass_one_after_the_other_is_the_first_sentence(kernel: Kernel) -> None:
    body = (
        "lock = asyncio.Lock()\nasync def one(n):\n    async with lock:\n        await fetch(n, 0.1)\n"
        "await asyncio.gather(*(one(n) for n in range(6)))"
    )
    run = kernel.check(f"%%asyncio_trace\n{FETCH}{body}")
    (message,) = messages(kernel, "lock-convoy")
    assert "somebody waited for `lock`: 5 tasks waited 5 times" in message
    assert run.displays[-1]["text/plain"].replace("\n", " ").startswith(message)


def test_a_semaphore_that_bounds_is_found(kernel: Kernel) -> None:
    body = (
        "sem = asyncio.Semaphore(2)\nasync def one(n):\n    async with sem:\n        await fetch(n, 0.05)\n"
    )
    kernel.check(f"%%asyncio_trace -q\n{FETCH}{body}await asyncio.gather(*(one(n) for n in range(6)))")
    (message,) = messages(kernel, "concurrency-capped")
    assert message.startswith("`sem`, line 8, let no more than 2 through at once: 4 queued for")


def test_what_was_forgotten_is_found_and_python_still_warns(kernel: Kernel) -> None:
    body = "async def bad():\n    raise ValueError('no')\nt = asyncio.create_task(bad(), name='bad')\n"
    run = kernel.check(f"%%asyncio_trace\n{FETCH}fetch(9)\n{body}await fetch(1)")
    assert messages(kernel, "never-awaited") == [
        "fetch() was called at line 6 and never awaited: nothing of it ran."
    ]
    assert messages(kernel, "exception-never-retrieved") == [
        "Task bad failed with ValueError: no, and nothing asked for its result."
    ]
    shown = " ".join(run.displays[-1]["text/plain"].split())
    assert shown.startswith(
        "fetch() was called at line 6 and never awaited: nothing of it ran (1 more below). "
    )
    assert "RuntimeWarning: coroutine 'fetch' was never awaited\n  fetch(9)" in run.stderr
    assert kernel.value("t._log_traceback") is True
    kernel.check("t.exception()")


def test_small_blocks_are_found(kernel: Kernel) -> None:
    body = (
        "import time\nasync def writer():\n    for _ in range(30):\n        time.sleep(0.004)\n"
        "        await asyncio.sleep(0)\n"
        "async def other():\n    for _ in range(30):\n        await asyncio.sleep(0)\n"
    )
    kernel.check(f"%%asyncio_trace -q\n{FETCH}{body}await asyncio.gather(writer(), other())")
    (message,) = messages(kernel, "many-small-blocks")
    assert "time.sleep(0.004) at line 9 blocked the loop" in message and "(other)" in message


CIRCLE = (
    "import asyncio\ntasks = []\n"
    "async def a():\n    await tasks[1]\nasync def b():\n    await tasks[0]\n"
    "tasks += [asyncio.create_task(a(), name='A'), asyncio.create_task(b(), name='B')]\n"
)
LOCKS = (
    "import asyncio\nl1, l2, both = asyncio.Lock(), asyncio.Lock(), asyncio.Barrier(2)\n"
    "async def take(first, second):\n    async with first:\n        await both.wait()\n"
    "        async with second:\n            pass\n"
    "async def main():\n    async with asyncio.TaskGroup() as g:\n"
    "        g.create_task(take(l1, l2), name='one')\n        g.create_task(take(l2, l1), name='two')\n"
)


@pytest.mark.parametrize(
    "cell", [CIRCLE + "await asyncio.Event().wait()", LOCKS + "await main()", LOCKS + "asyncio.run(main())"]
)
def test_a_timeout_tells_who_waits_for_whom_and_finds_the_circle(kernel: Kernel, cell: str) -> None:
    run = kernel.run(f"%%asyncio_trace -q --timeout 0.5\n{cell}")
    assert run.ename == "TimeoutError"
    (message,) = messages(kernel, "deadlock")
    pair = (
        ("A waits for task B", "B waits for task A")
        if "tasks" in cell
        else ("one waits for Lock", "two waits for Lock")
    )
    for words in pair:
        assert words in message and words in run.traceback_text
    alive = "sorted(t.get_name() for t in __import__('asyncio').all_tasks())"
    assert not {"A", "B", "one", "two"} & set(kernel.value(alive))
    kernel.check("%%asyncio_trace -q\n1")
    assert "deadlock" not in lints(kernel)


def test_a_timeout_tells_a_chain_without_a_circle(kernel: Kernel) -> None:
    body = (
        "async def main():\n    t = asyncio.create_task(asyncio.Event().wait(), name='event')\n    await t\n"
    )
    run = kernel.run(f"%%asyncio_trace -q --timeout 0.5\nimport asyncio\n{body}asyncio.run(main())")
    assert "main waits for task event (line 5), event waits for Event" in run.traceback_text
    assert "deadlock" not in lints(kernel)


def test_a_background_task_is_named_and_goes_on(names: Kernel) -> None:
    body = "gate = asyncio.Event()\nasync def later():\n    await gate.wait()\n    return 7\n"
    names.check(
        f"%%asyncio_trace -q\nimport asyncio\n{body}"
        "bg = asyncio.create_task(later(), name='bg')\nawait asyncio.sleep(0)"
    )
    assert messages(names, "left-running") == ["bg is still running after the cell."]
    names.check("%%asyncio_trace -q\nawait asyncio.sleep(0.01)")
    assert messages(names, "left-running") == []
    assert names.check("gate.set()\nawait bg").result_text == "7"


@pytest.mark.parametrize("awaiting", ["await asyncio.sleep(0)", "1"])
def test_background_tasks_are_cancelled_where_that_is_wanted(names: Kernel, awaiting: str) -> None:
    names.check("%config ConcMagic.cancel_left_running = True")
    names.check(
        "%%asyncio_trace -q\nimport asyncio\n"
        f"bg = asyncio.create_task(asyncio.sleep(60), name='bg')\n{awaiting}"
    )
    assert names.check("await asyncio.sleep(0)\nbg.cancelled()").result_text == "True"


BLOCKERS = {
    "jobs.get()": ("jobs = queue.Queue()\nthreading.Timer(0.06, jobs.put, (1,)).start()", "jobs.get", ""),
    "thread.join()": (
        "thread = threading.Thread(target=time.sleep, args=(0.06,))\nthread.start()",
        "thread.join",
        "",
    ),
    "pool.submit(time.sleep, 0.06).result()": ("pool = ThreadPoolExecutor(1)", "result", ""),
    "pool.shutdown()": ("pool = ThreadPoolExecutor(1)\npool.submit(time.sleep, 0.06)", "pool.shutdown", ""),
    "event.wait(0.06)": ("event = threading.Event()", "event.wait", ""),
    "lock.acquire(timeout=0.06)": ("lock = threading.Lock()\nlock.acquire()", "lock.acquire", ""),
    "subprocess.run(['sleep', '0.06'])": ("", "subprocess.run", "in posix.waitpid"),
    "time.sleep(0.06)": ("", "time.sleep", ""),
}


@pytest.mark.parametrize("call", BLOCKERS)
def test_what_blocked_a_loop_is_named_as_the_user_wrote_it(kernel: Kernel, call: str) -> None:
    before, reason, detail = BLOCKERS[call]
    cell = (
        "%%asyncio_trace\nimport asyncio, queue, subprocess, threading, time\n"
        f"from concurrent.futures import ThreadPoolExecutor\n{before}\n"
        f"async def blocker():\n    await asyncio.sleep(0)\n    {call}\n"
        "await asyncio.gather(blocker(), asyncio.sleep(0), asyncio.sleep(0))"
    )
    kernel.check(cell)
    line = cell[: cell.index(f"    {call}")].count("\n") + 1
    told = kernel.value(
        "[(s.reason, last.detail_of(s), s.line) for last in [__import__('concmagic').last()] "
        "for t in last.tracks if t.name == 'blocker' "
        "for s in t.states if s.state.value == 'blocking' and s.length_ns > 30_000_000]"
    )
    assert [(one[0], one[1]) for one in told] == [(reason, detail)], told
    assert told[0][2] == line
    message = kernel.value(
        "[f.message for f in __import__('concmagic').last().findings if f.lint == 'blocked-event-loop']"
    )
    assert [
        f"{call}{f' ({detail})' if detail else ''} at line {line} blocked the loop" in one for one in message
    ] == [True], message
