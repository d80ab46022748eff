"""The path goes back through what really ended each wait: never through the wait of an idle helper.

Each cell sleeps for 0.4 s itself, and ends a helper that waited meanwhile.
"""

from __future__ import annotations

from typing import Any

import pytest

from conftest import Kernel

SLEPT_MS = 400

PATH = """
def path():
    from concmagic.analysis.critical_path import path_of
    trace = concmagic.last()
    tracks = {track.id: track for track in trace.tracks}
    return [
        (tracks[part.track].name if part.track in tracks else "", part.state.value, part.reason, part.line,
         part.length_ns / 1e6)
        for part in path_of(trace)
    ]
"""
SETUP = """
import concmagic, logging, logging.handlers, multiprocessing, queue, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
fork = multiprocessing.get_context("fork")

def slowly(number):
    time.sleep(0.02)
    return number

def until_none(source):
    while source.get() is not None:
        pass
"""

STORES = "    for one in pool.{}(slowly, range(4)):\n        time.sleep(0.1)\n"
SLEEPS = "time.sleep(0.4)\n"
THREADS = {
    "executor": "with ThreadPoolExecutor(4) as pool:\n" + STORES.format("map"),
    "thread pool": "with ThreadPool(4) as pool:\n" + STORES.format("imap"),
    "timer": f"t = threading.Timer(60, print)\nt.start()\n{SLEEPS}t.cancel()\nt.join()",
    "event": "e = threading.Event()\nt = threading.Thread(target=e.wait)\nt.start()\n"
    f"{SLEEPS}e.set()\nt.join()",
    "queue": "q = queue.Queue()\nt = threading.Thread(target=until_none, args=(q,))\nt.start()\n"
    f"{SLEEPS}q.put(None)\nt.join()",
    "simple queue": "q = queue.SimpleQueue()\nt = threading.Thread(target=until_none, args=(q,))\nt.start()\n"
    f"{SLEEPS}q.put(None)\nt.join()",
    "condition": "c = threading.Condition()\ndef wait():\n    with c:\n        c.wait()\n"
    f"t = threading.Thread(target=wait)\nt.start()\n{SLEEPS}with c:\n    c.notify_all()\nt.join()",
    "barrier": "b = threading.Barrier(2)\nt = threading.Thread(target=b.wait)\nt.start()\n"
    f"{SLEEPS}b.wait()\nt.join()",
    "listener": "q = queue.Queue()\nlistener = logging.handlers.QueueListener(q, logging.NullHandler())\n"
    f"listener.start()\n{SLEEPS}listener.stop()",
}
PROCESSES = {
    "event": f"e = fork.Event()\np = fork.Process(target=e.wait)\np.start()\n{SLEEPS}e.set()\np.join()",
    "queue": "q = fork.SimpleQueue()\np = fork.Process(target=until_none, args=(q,))\np.start()\n"
    f"{SLEEPS}q.put(None)\np.join()",
    "pool": "with fork.Pool(2) as pool:\n" + STORES.format("imap"),
    "executor": "with ProcessPoolExecutor(2, fork) as pool:\n" + STORES.format("map"),
    "manager": "with fork.Manager() as manager:\n    told = manager.list()\n"
    "    for one in range(4):\n        time.sleep(0.1)\n        told.append(one)",
}


def judged(kernel: Kernel, cell: str) -> tuple[float, list[Any]]:
    """How long the path lies in sleeping, and what else it waits for, longest first."""
    kernel.check(SETUP + PATH)
    kernel.check(cell)
    parts = kernel.value("path()")
    slept = sum(length for _, state, reason, _, length in parts if (state, reason) == ("waiting", "sleep"))
    others = [part for part in parts if part[1] == "waiting" and part[2] != "sleep"]
    return slept, sorted(others, key=lambda part: -part[-1])


@pytest.mark.sampled
@pytest.mark.parametrize("body", THREADS.values(), ids=THREADS)
def test_a_helper_thread_that_waited_is_not_what_the_cell_waited_for(kernel: Kernel, body: str) -> None:
    slept, others = judged(kernel, f"%%threads -q\n{body}")
    assert slept > 0.9 * SLEPT_MS, others
    assert sum(part[-1] for part in others) < 0.25 * SLEPT_MS, others


@pytest.mark.sampled
@pytest.mark.parametrize("body", PROCESSES.values(), ids=PROCESSES)
def test_a_helper_process_that_waited_is_not_what_the_cell_waited_for(kernel: Kernel, body: str) -> None:
    slept, others = judged(kernel, f"%%procs -q\n{body}")
    assert slept > 0.9 * SLEPT_MS, others


@pytest.mark.sampled
@pytest.mark.parametrize("threads", [3, 8])
def test_one_lock_that_serialises_everything_is_told_by_what_its_holders_did(
    kernel: Kernel, threads: int
) -> None:
    body = (
        "lock = threading.Lock()\ndef work():\n    with lock:\n        time.sleep(0.1)\n"
        f"ts = [threading.Thread(target=work) for _ in range({threads})]\n"
        "for t in ts: t.start()\nfor t in ts: t.join()"
    )
    slept, others = judged(kernel, f"%%threads -q\n{body}")
    assert slept > 0.9 * 100 * threads, others


@pytest.mark.sampled
@pytest.mark.parametrize("detail", ["", "--detail states"])
def test_a_managers_own_waits_are_for_requests(kernel: Kernel, detail: str) -> None:
    kernel.check(SETUP + PATH)
    kernel.check(
        f"%%procs -q -o trace {detail}\n"
        "def ask(numbers):\n    for _ in range(50): numbers.append(1)\n"
        "with fork.Manager() as manager:\n"
        "    numbers = manager.list()\n"
        "    clients = [fork.Process(target=ask, args=(numbers,)) for _ in range(2)]\n"
        "    for one in clients: one.start()\n"
        "    for one in clients: one.join()\n"
    )
    servers = "[t for t in trace.tracks if t.role == 'machinery' and t.kind == 'thread']"
    assert not {"Event", "socket", "pipe"} & set(
        kernel.value(f"[s.reason for t in {servers} for s in t.states]")
    )
    assert "Event" not in {part[2] for part in kernel.value("path()")}
