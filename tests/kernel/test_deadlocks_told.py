"""Waits without an end that no lock alone makes: on the own loop, through joins, results, queues, conditions.

Each kind has cells in which it is, cells that only look like it, and cells in which all is well.
"""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel, Run

pytestmark = pytest.mark.kernel

NOTHING = "The checks found nothing"


def deadlocks(kernel: Kernel) -> list[tuple[str, str]]:
    """What the last trace says of deadlocks: sentences and advice."""
    found: list[tuple[str, str]] = kernel.value(
        "[(one.message, one.hint) for one in trace.findings if one.lint == 'deadlock']"
    )
    return found


def picture(run: Run) -> str:
    return " ".join(run.displays[-1]["text/plain"].split())


def stopped(kernel: Kernel, magic: str, cell: str) -> str:
    """Run a cell until its time is up; what its picture says."""
    run = kernel.run(f"{magic} -o trace --timeout 1\n{cell}")
    assert run.ename == "TimeoutError", run
    return picture(run)


# On the own loop

ANSWER = """import asyncio
async def answer():
    return 42
def ask(wait):
    return wait(asyncio.run_coroutine_threadsafe(answer(), asyncio.get_running_loop()))
async def client(wait):
    return ask(wait)
"""
ON_ITS_OWN_LOOP = {
    "kernel's loop": ("%%asyncio_trace", "await client(lambda future: future.result())", "cell"),
    "exception()": ("%%asyncio_trace", "await client(lambda future: future.exception())", "cell"),
    "asyncio.run": ("%%asyncio_trace", "asyncio.run(client(lambda future: future.result()))", "client"),
    "thread": (
        "%%threads",
        "import threading\nrun = lambda: asyncio.run(client(lambda future: future.result()))\n"
        "runner = threading.Thread(target=run, daemon=True)\nrunner.start(); runner.join()",
        "client",
    ),
}


@pytest.mark.parametrize("case", ON_ITS_OWN_LOOP)
def test_a_result_of_the_own_loop_is_a_deadlock(kernel: Kernel, case: str) -> None:
    magic, cell, who = ON_ITS_OWN_LOOP[case]
    said = stopped(kernel, magic, f"{ANSWER}{cell}")
    ((message, hint),) = deadlocks(kernel)
    assert message.startswith(f"Deadlock: {who} waits at line ")
    assert "for a result of its own event loop" in message
    assert "Await the coroutine itself" in hint
    assert message in said and NOTHING not in said
    assert "await the task" not in said and "join the thread" not in said


CLICKED = """%%asyncio_trace -o trace
import sys, threading, time
def watch(seen=0, main=threading.get_ident()):
    while seen < 20:
        time.sleep(0.02)
        seen += sys._current_frames()[main].f_back.f_code.co_name == "result"
    print("here", flush=True)
threading.Thread(target=watch).start()
"""


@pytest.mark.parametrize("ending", ["future.result()", "future.result(60)"])
def test_so_it_is_where_a_click_ended_it(fresh_kernel: Kernel, ending: str) -> None:
    fresh_kernel.check("%load_ext concmagic")
    run = fresh_kernel.interrupted(f"{CLICKED}{ANSWER}await client(lambda future: {ending})", "here")
    assert run.ename == "KeyboardInterrupt"
    ((message, _),) = deadlocks(fresh_kernel)
    assert message.startswith("Deadlock: cell waits at line ")
    assert message in picture(run) and NOTHING not in picture(run)


def test_so_it_is_where_its_own_timeout_ended_it(kernel: Kernel) -> None:
    run = kernel.check(
        f"%%asyncio_trace -o trace\n{ANSWER}"
        "try: await client(lambda future: future.result(0.4))\nexcept TimeoutError: print('late')"
    )
    assert "late" in run.stdout
    ((message, hint),) = deadlocks(kernel)
    assert message.startswith("Deadlock, until a timeout ended it: cell waited for ")
    assert "longer" not in hint
    assert NOTHING not in picture(run)


WELL_ON_LOOPS = {
    "done already": "async def main():\n"
    "    future = asyncio.run_coroutine_threadsafe(answer(), asyncio.get_running_loop())\n"
    "    while not future.done(): await asyncio.sleep(0)\n"
    "    return future.result()\nasyncio.run(main())",
    "from another thread": "async def main():\n    loop = asyncio.get_running_loop()\n"
    "    ask = lambda: asyncio.run_coroutine_threadsafe(asyncio.sleep(0.2, 42), loop).result()\n"
    "    return await asyncio.to_thread(ask)\nasyncio.run(main())",
    "another one's result": "import time\nfrom concurrent.futures import ThreadPoolExecutor\n"
    "async def main():\n    loop = asyncio.get_running_loop()\n"
    "    future = asyncio.run_coroutine_threadsafe(answer(), loop)\n"
    "    with ThreadPoolExecutor(1) as pool: pool.submit(time.sleep, 0.3).result()\n"
    "    return await asyncio.wrap_future(future)\nasyncio.run(main())",
    "another loop's": "import threading\nother = asyncio.new_event_loop()\n"
    "server = threading.Thread(target=other.run_forever, daemon=True)\nserver.start()\n"
    "async def main():\n"
    "    return asyncio.run_coroutine_threadsafe(asyncio.sleep(0.2, 42), other).result()\n"
    "value = asyncio.run(main())\nother.call_soon_threadsafe(other.stop)\nserver.join(); other.close()",
}


@pytest.mark.parametrize("case", WELL_ON_LOOPS)
def test_a_result_that_comes_is_none(kernel: Kernel, case: str) -> None:
    kernel.check(f"%%asyncio_trace -q -o trace\n{ANSWER}{WELL_ON_LOOPS[case]}")
    assert deadlocks(kernel) == []


# In a circle

IMPORTS = "import asyncio, threading, time\nfrom queue import Queue, SimpleQueue\n"
MADE = """def made(name, target, *args):
    return threading.Thread(target=target, args=args, name=name, daemon=True)
"""
CIRCLES = {
    "join and lock": (
        "lock = threading.Lock()\ndef work():\n    with lock: pass\n"
        "with lock:\n    bee = made('bee', work)\n    bee.start()\n    bee.join()",
        ("MainThread waits for the end of bee", "bee waits for Lock lock, held by MainThread"),
        "Leave the `with` block",
    ),
    "result and lock": (
        "from concurrent.futures import ThreadPoolExecutor\nlock = threading.Lock()\n"
        "def work():\n    with lock: pass\npool = ThreadPoolExecutor(1, thread_name_prefix='clerk')\n"
        "with lock: pool.submit(work).result()",
        ("MainThread waits for a result of", "clerk_0 waits for Lock lock, held by MainThread"),
        "Leave the `with` block",
    ),
    "joins": (
        "both, made_ones = threading.Barrier(2), []\n"
        "def work(other):\n    both.wait()\n    made_ones[other].join()\n"
        "made_ones += [made('north', work, 1), made('south', work, 0)]\n"
        "for one in made_ones: one.start()\nfor one in made_ones: one.join()",
        ("north waits for the end of south", "south waits for the end of north"),
        "Let one of them go on",
    ),
    "join and result of a loop": (
        "loop = asyncio.new_event_loop()\nasync def outer():\n"
        "    ask = lambda: asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()\n"
        "    asker = made('asker', ask)\n    asker.start()\n    asker.join()\n"
        "made('server', loop.run_forever).start()\n"
        "asyncio.run_coroutine_threadsafe(outer(), loop).result()",
        ("server waits for the end of asker", "asker waits for a result of server"),
        "Let one of them go on",
    ),
    "a lock twice": (
        "lock = threading.Lock()\nwith lock:\n    with lock: pass",
        ("MainThread waits for Lock lock, held by MainThread itself",),
        "threading.RLock",
    ),
}


@pytest.mark.parametrize("case", CIRCLES)
def test_a_circle_through_ends_and_results_is_a_deadlock(kernel: Kernel, case: str) -> None:
    cell, parts, advice = CIRCLES[case]
    said = stopped(kernel, "%%threads", IMPORTS + MADE + cell)
    ((message, hint),) = deadlocks(kernel)
    for part in parts:
        assert part in message
    assert advice in hint and "join the thread" not in said
    assert message in said and NOTHING not in said


# Nobody is left

NOBODY = {
    "condition": (
        "bell = threading.Condition()\ndef work():\n    with bell: bell.wait()\n"
        "bee = made('bee', work)\nbee.start(); bee.join()",
        ("bee waits for Condition bell", "MainThread waits for the end of bee"),
    ),
    "queues": (
        "first, second = Queue(), Queue()\ndef work(mine, other): other.put(mine.get())\n"
        "bees = [made('left', work, first, second), made('right', work, second, first)]\n"
        "for bee in bees: bee.start()\nfor bee in bees: bee.join()",
        (
            "left waits for Queue.get first",
            "right waits for Queue.get second",
            "MainThread waits for the end",
        ),
    ),
    "an item too few": (
        "items = Queue()\nbee = made('bee', items.put, 1)\nbee.start(); bee.join()\n"
        "for _ in range(2): items.get()",
        ("MainThread waits for Queue.get items",),
    ),
    "a task never done": (
        "items = Queue()\ndef work():\n    while True: items.get()\n"
        "made('bee', work).start()\nitems.put(1)\nitems.join()",
        ("bee waits for Queue.get items", "MainThread waits for Queue.join items"),
    ),
    "a barrier for one more": (
        "gate = threading.Barrier(3)\nbee = made('bee', gate.wait)\nbee.start()\ngate.wait()",
        ("bee waits for Barrier gate", "MainThread waits for Barrier gate"),
    ),
    "simple queues": (
        "items = SimpleQueue()\ndef work(): items.get()\nbees = [made(f'bee {n}', work) for n in range(3)]\n"
        "for bee in bees: bee.start()\nfor bee in bees: bee.join()",
        ("bee 0 waits for Queue.get", "bee 2 waits for Queue.get"),
    ),
    "idle workers": (
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\n"
        "done = threading.Event()\nlist(pool.map(abs, range(4)))\n"
        "bee = made('bee', done.wait)\nbee.start(); bee.join()",
        ("bee waits for Event done", "MainThread waits for the end of bee"),
    ),
}


@pytest.mark.parametrize("case", NOBODY)
def test_that_nobody_is_left_to_wake_them_is_a_deadlock(kernel: Kernel, case: str) -> None:
    cell, parts = NOBODY[case]
    said = stopped(kernel, "%%threads", IMPORTS + MADE + cell)
    ((message, hint),) = deadlocks(kernel)
    for part in parts:
        assert part in message
    assert "the cell has no thread left that could wake" in message
    assert "has to act before it waits" in hint and "join the thread" not in said
    assert message in said and NOTHING not in said


SOMEBODY = {
    "sleeps": "bee = made('bee', time.sleep, 30)\nbee.start(); bee.join()",
    "has a timeout": "bee = made('bee', lambda: Queue().get(timeout=30))\nbee.start(); bee.join()",
    "waits for so long": "bee = made('bee', threading.Event().wait, 30)\nbee.start(); bee.join()",
    "is asked again and again": "bell = threading.Event()\nbee = made('bee', bell.wait)\nbee.start()\n"
    "while bee.is_alive(): bee.join(0.05)",
    "looks every second": "bee = made('bee', threading.Event().wait)\nbee.start()\nbee.join(30)",
    "waits for a visitor": "import socket\ndoor = socket.create_server(('127.0.0.1', 0))\n"
    "bee = made('bee', door.accept)\nbee.start(); bee.join()",
    "waits for a child": "import subprocess\nchild = subprocess.Popen(['sleep', '30'])\n"
    "bee = made('bee', child.wait)\nbee.start(); bee.join()",
    "computes": "stop = False\ndef work():\n    while not stop: pass\n"
    "bee = made('bee', work)\nbee.start(); bee.join()",
    "is a timer": "bell = threading.Event()\nlate = threading.Timer(30, bell.set)\nlate.start()\nbell.wait()",
    "is a signal": "import signal\nbell = threading.Event()\nbee = made('bee', bell.wait)\nbee.start()\n"
    "signal.signal(signal.SIGALRM, lambda *_: bell.set())\nsignal.setitimer(signal.ITIMER_REAL, 30)\n"
    "bee.join()",
    "is the user": "threading.Event().wait()",
    "has a loop": "loop = asyncio.new_event_loop()\nmade('server', loop.run_forever).start()\n"
    "bell = threading.Event()\nbell.wait()",
}


@pytest.mark.parametrize("case", SOMEBODY)
def test_somebody_is_left(fresh_kernel: Kernel, case: str) -> None:
    fresh_kernel.check("%load_ext concmagic")
    said = stopped(fresh_kernel, "%%threads", IMPORTS + MADE + SOMEBODY[case])
    fresh_kernel.check("stop = True\nimport signal; signal.setitimer(signal.ITIMER_REAL, 0)")
    assert deadlocks(fresh_kernel) == []
    assert NOTHING not in said


def test_a_thread_of_an_earlier_cell_may_wake_them(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check(f"{IMPORTS}{MADE}bell = threading.Event()\nearlier = made('earlier', time.sleep, 60)")
    waits = "bee = made('bee', bell.wait)\nbee.start(); bee.join()"
    stopped(fresh_kernel, "%%threads", waits)
    assert len(deadlocks(fresh_kernel)) == 1
    fresh_kernel.check("earlier.start()")
    stopped(fresh_kernel, "%%threads", waits)
    assert deadlocks(fresh_kernel) == []


def test_what_still_waits_of_a_hung_cell_wakes_nobody_in_the_next(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%load_ext concmagic")
    cell = (
        f"{IMPORTS}{MADE}bell = threading.Event()\ndef work():\n    items = SimpleQueue()\n    items.get()\n"
    )
    cell += "bees = [made('a', work), made('b', bell.wait)]\nfor bee in bees: bee.start()\nbees[0].join()"
    for _ in range(2):
        stopped(fresh_kernel, "%%threads", cell)
        assert len(deadlocks(fresh_kernel)) == 1


WELL = {
    "pipeline": "first, second = Queue(), Queue()\n"
    "def work():\n    while (item := first.get()) is not None: second.put(item * 2)\n"
    "bee = made('bee', work)\nbee.start()\nfor n in range(5):\n    first.put(n)\n    second.get()\n"
    "first.put(None)\nbee.join()",
    "condition": "bell, said = threading.Condition(), []\ndef work():\n    with bell:\n"
    "        while not said: bell.wait()\nbee = made('bee', work)\nbee.start()\n"
    "with bell:\n    said.append(1)\n    bell.notify_all()\nbee.join()",
    "barrier": "gate = threading.Barrier(3)\nbees = [made(f'bee {n}', gate.wait) for n in range(2)]\n"
    "for bee in bees: bee.start()\ngate.wait()\nfor bee in bees: bee.join()",
    "lock around a join of who needs none": "lock = threading.Lock()\nbee = made('bee', time.sleep, 0.05)\n"
    "bee.start()\nwith lock: bee.join()",
    "pool": "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(3) as pool:\n"
    "    print([one.result() for one in [pool.submit(time.sleep, 0.05) for _ in range(6)]])",
    "loop of a thread": "loop = asyncio.new_event_loop()\nserver = made('server', loop.run_forever)\n"
    "server.start()\nprint(asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05, 7), loop).result())\n"
    "loop.call_soon_threadsafe(loop.stop)\nserver.join()",
}


@pytest.mark.parametrize("case", WELL)
def test_where_all_is_well_there_is_none(kernel: Kernel, case: str) -> None:
    kernel.check(f"%%threads -q -o trace\n{IMPORTS}{MADE}{WELL[case]}")
    assert deadlocks(kernel) == []
    assert kernel.value("trace.stop is None")


# That the checks found nothing

BADLY = {
    "failed": ("time.sleep(0.1)\n1 / 0", "ZeroDivisionError"),
    "failed in a job": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def bad(): time.sleep(0.1); raise ValueError('no')\n"
        "with ThreadPoolExecutor(2) as pool: [one.result() for one in [pool.submit(bad), pool.submit(bad)]]",
        "ValueError",
    ),
    "hung": ("threading.Event().wait()", "TimeoutError"),
}


@pytest.mark.parametrize("case", BADLY)
def test_of_a_cell_that_failed_nobody_says_that_nothing_was_found(kernel: Kernel, case: str) -> None:
    cell, error = BADLY[case]
    run = kernel.run(f"%%threads --timeout 1\n{IMPORTS}{cell}")
    assert run.ename == error
    assert NOTHING not in picture(run)


CAUGHT = """%%threads
import threading, time
def work(): time.sleep(0.3)
try:
    print('here', flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    bees = [threading.Thread(target=work) for _ in range(3)]
    for bee in bees: bee.start()
    for bee in bees: bee.join()
"""


def test_nor_of_one_that_caught_its_interrupt(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%load_ext concmagic")
    run = fresh_kernel.interrupted(CAUGHT, "here")
    assert run.status == "ok"
    assert NOTHING not in picture(run)
    well = fresh_kernel.check(CAUGHT.replace("time.sleep(60)", "raise KeyboardInterrupt"))
    assert NOTHING in picture(well)
