"""What is told of jobs in real cells: handed over one at a time, or behind those that wait for them."""

from __future__ import annotations

import re

import pytest

from conftest import Kernel

POOL = "from concurrent.futures import ThreadPoolExecutor\n"
NAP = "import multiprocessing, time\ndef nap(k, *more):\n    time.sleep(0.06)\n    return k\n"
COMPUTE = "import time\ndef nap(k):\n    end = time.thread_time() + 0.06\n"
COMPUTE += "    while time.thread_time() < end:\n        pass\n"
TASK = "import asyncio\nasync def nap(k):\n    await asyncio.sleep(0.06)\n    return k\n"
FACADE = (
    "import asyncio, threading\nclass Sync:\n    def __init__(self):\n"
    "        self.loop = asyncio.new_event_loop()\n"
    "        threading.Thread(target=self.loop.run_forever, daemon=True).start()\n"
    "    def {name}(self, coro):\n"
    "        return asyncio.run_coroutine_threadsafe(coro, self.loop).result()\nsync = Sync()\n"
)
FORK = "with multiprocessing.get_context('fork').Pool(2) as pool:\n"

# One at a time, though nothing asks for that: with what is told of it.
ONE_AT_A_TIME = {
    "submit": (
        f"%%threads\n{POOL}{NAP}with ThreadPoolExecutor(4) as pool:\n    for k in range(4):\n"
        "        print(pool.submit(nap, k).result())",
        "4 × nap at line 9",
    ),
    "in two lines": (
        f"%%threads\n{POOL}{NAP}with ThreadPoolExecutor(4) as pool:\n    for k in range(4):\n"
        "        job = pool.submit(nap, k)\n        print(job.result())",
        "4 × nap at line 10",
    ),
    "comprehension": (
        f"%%threads\n{POOL}{NAP}with ThreadPoolExecutor(4) as pool:\n"
        "    got = [pool.submit(nap, k).result() for k in range(4)]",
        "4 × nap at line 8",
    ),
    "apply": (
        f"%%procs\n{NAP}{FORK}    for k in range(4):\n        pool.apply(nap, (k,))",
        "4 × nap at line 8",
    ),
    "to_thread": (f"%%asyncio_trace\n{TASK}{NAP}for k in range(4):\n    await asyncio.to_thread(nap, k)", ""),
    "tasks": (
        f"%%asyncio_trace\n{TASK}for k in range(4):\n    t = asyncio.create_task(nap(k))\n    await t",
        "4 tasks of nap at line 8",
    ),
    "a loop in a thread, called": (
        f"%%timeline\n{TASK}{FACADE.format(name='__call__')}got = [sync(nap(k)) for k in range(4)]",
        "4 tasks of nap at line 12",
    ),
    "a loop in a thread, by a method": (
        f"%%timeline\n{TASK}{FACADE.format(name='ask')}for k in range(4):\n    print(sync.ask(nap(k)))",
        "4 tasks of nap at line 12",
    ),
    "a loop in a thread, of a library": (
        f"%%timeline\n{TASK}from jupyter_core.utils import run_sync\n"
        "got = [run_sync(nap)(k) for k in range(4)]",
        "4 tasks of nap at line 7",
    ),
    "a loop in a thread, in the open": (
        f"%%timeline\n{TASK}{FACADE.format(name='ask')}for k in range(4):\n"
        "    asyncio.run_coroutine_threadsafe(nap(k), sync.loop).result()",
        "4 tasks of nap at line 15",
    ),
    "threads": (
        f"%%threads\n{NAP}import threading\nfor k in range(4):\n"
        "    t = threading.Thread(target=nap, args=(k,))\n    t.start()\n    t.join()",
        "4 threads of nap at line 10",
    ),
    "threads that are there": (
        f"%%threads\n{NAP}import threading\n"
        "all_of = [threading.Thread(target=nap, args=(k,)) for k in range(4)]\n"
        "for t in all_of:\n    t.start(); t.join()",
        "4 threads of nap at line 9",
    ),
    "processes": (
        f"%%procs --start-method fork\n{NAP}for k in range(4):\n"
        "    p = multiprocessing.Process(target=nap, args=(k,))\n    p.start()\n    p.join()",
        "4 processes at line 9",
    ),
}

# Of these none is to be told.
NOT = {
    "the next needs the last": f"%%threads\n{POOL}{NAP}found = 0\nwith ThreadPoolExecutor(4) as pool:\n"
    "    for k in range(4):\n        found = pool.submit(nap, found).result()",
    "it may end early": f"%%threads\n{POOL}{NAP}with ThreadPoolExecutor(4) as pool:\n    for k in range(4):\n"
    "        if pool.submit(nap, k).result() is None: break",
    "one worker": f"%%threads\n{POOL}{NAP}with ThreadPoolExecutor(max_workers=1) as pool:\n"
    "    for k in range(4):\n        pool.submit(nap, k).result()",
    "computing": f"%%threads\n{POOL}{COMPUTE}with ThreadPoolExecutor(4) as pool:\n    for k in range(4):\n"
    "        pool.submit(nap, k).result()",
    "map": f"%%threads\n{POOL}{NAP}with ThreadPoolExecutor(4) as pool: list(pool.map(nap, range(8)))",
    "all first": f"%%threads\n{POOL}{NAP}with ThreadPoolExecutor(4) as pool:\n"
    "    jobs = [pool.submit(nap, k) for k in range(8)]\n    for job in jobs:\n        job.result()",
    "gather": f"%%asyncio_trace\n{TASK}await asyncio.gather(*(nap(k) for k in range(4)))",
    "tasks first": f"%%asyncio_trace\n{TASK}tasks = [asyncio.create_task(nap(k)) for k in range(4)]\n"
    "for t in tasks:\n    await t",
    "beside others": f"%%asyncio_trace\n{TASK}async def row():\n    for k in range(4):\n"
    "        await asyncio.create_task(nap(k))\nawait asyncio.gather(row(), row(), row())",
    "a loop in a thread, the next needs the last": f"%%timeline\n{TASK}{FACADE.format(name='ask')}found = 0\n"
    "for k in range(4):\n    found = sync.ask(nap(found))",
    "a loop in a thread, of a library, the next needs the last": f"%%timeline\n{TASK}"
    "from jupyter_core.utils import run_sync\nfound = 0\n"
    "for k in range(4):\n    found = run_sync(nap)(found)",
    "a loop in a thread, all first": f"%%timeline\n{TASK}{FACADE.format(name='ask')}"
    "jobs = [asyncio.run_coroutine_threadsafe(nap(k), sync.loop) for k in range(4)]\n"
    "for job in jobs:\n    job.result()",
    "threads, all first": f"%%threads\n{NAP}import threading\n"
    "all_of = [threading.Thread(target=nap, args=(k,)) for k in range(4)]\n"
    "for t in all_of: t.start()\nfor t in all_of: t.join()",
    "threads, the next needs the last": f"%%threads\n{NAP}import threading\nfound = []\nfor k in range(4):\n"
    "    t = threading.Thread(target=nap, args=(k, found))\n    t.start()\n    t.join()\n    found = [k]",
    "threads that compute": f"%%threads\n{COMPUTE}import threading\nfor k in range(4):\n"
    "    t = threading.Thread(target=nap, args=(k,))\n    t.start()\n    t.join()",
    "two": f"%%threads\n{POOL}{NAP}with ThreadPoolExecutor(4) as pool:\n    for k in range(2):\n"
    "        pool.submit(nap, k).result()",
}


def told(kernel: Kernel, lint: str) -> list[tuple[str, str]]:
    expression = f"[(f.message, f.hint) for f in concmagic.last().findings if f.lint == {lint!r}]"
    found: list[tuple[str, str]] = kernel.value(f"(__import__('concmagic') and {expression})")
    return found


@pytest.fixture(autouse=True)
def imported(kernel: Kernel) -> None:
    kernel.check("import concmagic")


@pytest.mark.parametrize(("cell", "what"), ONE_AT_A_TIME.values(), ids=ONE_AT_A_TIME)
def test_jobs_that_are_handed_over_one_at_a_time_are_told(kernel: Kernel, cell: str, what: str) -> None:
    kernel.check(cell)
    ((message, hint),) = told(kernel, "submit-then-wait")
    assert message.startswith(what)
    # A process may take longer to start than it works.
    mostly = ".*" if what.startswith("4 processes") else r", mostly sleeping( at line \d+)?"
    assert re.search(rf"one after the other{mostly}: each was", message)
    started = what.startswith(("4 threads", "4 processes"))
    assert ("Start all" if started else "gather" if "asyncio" in cell else "pool.map(nap, …)") in hint


@pytest.mark.parametrize("cell", NOT.values(), ids=NOT)
def test_jobs_that_have_to_wait_or_do_not_are_no_finding(kernel: Kernel, cell: str) -> None:
    kernel.check(cell)
    assert told(kernel, "submit-then-wait") == []


STARVED = (
    f"%%threads --timeout 1\n{POOL}import threading, time\n"
    "pool, other = ThreadPoolExecutor(2, 'clerk'), ThreadPoolExecutor(2, 'other')\n"
    "both = threading.Barrier(2)\ndef page(k):\n    return k\ndef chapter(k):\n    both.wait()\n"
    "    return {of}.submit(page, k).result()\n"
    "jobs = [pool.submit(chapter, k) for k in range(2)]\n[job.result() for job in jobs]"
)


def test_a_pool_whose_workers_wait_for_jobs_behind_them_is_told(kernel: Kernel) -> None:
    run = kernel.run(STARVED.format(of="pool"))
    assert run.ename == "TimeoutError"
    ((message, hint),) = told(kernel, "pool-starved")
    assert message.startswith("All 2 workers of the pool clerk wait for results at line 10")
    assert "page(0)" in message
    assert "a pool of their own" in hint
    shown = " ".join(run.displays[-1]["text/plain"].split())
    assert "the pool clerk" in shown.partition("where it went")[0]


def test_a_pool_whose_jobs_wait_for_another_pool_is_not_starved(kernel: Kernel) -> None:
    kernel.check(STARVED.format(of="other"))
    assert told(kernel, "pool-starved") == []
    slow = "def page(k):\n    time.sleep(60)"
    kernel.run(STARVED.format(of="other").replace("def page(k):\n    return k", slow))
    assert told(kernel, "pool-starved") == []


FAILS = f"%%threads\n{POOL}def half(n):\n    return 6 // n\nwith ThreadPoolExecutor(2) as pool:\n"
UNSEEN = {
    "one": (
        f"{FAILS}    for n in range(3):\n        pool.submit(half, n)",
        "half(0) raised ZeroDivisionError, and nobody can ask for its result, of line 7.",
    ),
    "several": (
        f"{FAILS}    for n in (0, 1, 0):\n        pool.submit(half, n)",
        "2 jobs raised, the first of them half(0) with ZeroDivisionError, and nobody can ask for their "
        "results, of line 7.",
    ),
    "an iterator": (f"{FAILS}    pool.map(half, range(3))", "half(0) raised ZeroDivisionError"),
}
SEEN = {
    "kept": "    jobs = [pool.submit(half, n) for n in range(3)]",
    "asked": "    print(pool.submit(half, 0).exception())",
    "a callback": "    pool.submit(half, 0).add_done_callback(print)",
    "none failed": "    pool.submit(half, 1)",
}


@pytest.mark.parametrize(("cell", "said"), UNSEEN.values(), ids=UNSEEN)
def test_a_job_that_failed_and_whose_future_was_thrown_away_comes_first(
    kernel: Kernel, cell: str, said: str
) -> None:
    run = kernel.check(cell)
    ((message, hint),) = told(kernel, "job-failed-unseen")
    assert message.startswith(said) and "result()" in hint
    assert run.displays[-1]["text/plain"].replace("\n", " ").startswith(said)


@pytest.mark.parametrize("rest", SEEN.values(), ids=SEEN)
def test_a_job_whose_future_is_kept_or_asked_is_no_finding(kernel: Kernel, rest: str) -> None:
    kernel.check(FAILS + rest)
    assert told(kernel, "job-failed-unseen") == []
