"""Who ended a wait of another process is known, and the path goes there, whatever it is that was waited for.

In each cell a child works while the cell waits for it, and goes on working when it has let the cell go on.
"""

from __future__ import annotations

from typing import Any

import pytest

from conftest import Kernel

SETUP = """
import concmagic, multiprocessing, time
from concmagic.analysis.critical_path import path_of
fork, spawn = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")

def path():
    trace = concmagic.last()
    tracks = {track.id: track for track in trace.tracks}
    found = []
    for part in path_of(trace):
        track = tracks.get(part.track)
        mine = [one.name for one in trace.tracks if track and (one.kind, one.pid) == ("process", track.pid)]
        found.append(("".join(mine), part.state.value, part.reason, part.length_ns / 1e6))
    return found

def ends_event(made):
    time.sleep(0.2); made.set(); time.sleep(0.3)
def ends_semaphore(made):
    time.sleep(0.2); made.release(); time.sleep(0.3)
def ends_barrier(made):
    time.sleep(0.2); made.wait(); time.sleep(0.3)
def ends_condition(made):
    time.sleep(0.2)
    with made: made.notify()
    time.sleep(0.3)
def ends_lock(made, has_it):
    with made:
        has_it.set(); time.sleep(0.2)
    time.sleep(0.3)
def ends_queue(made):
    made.get(); time.sleep(0.2); made.task_done(); time.sleep(0.3)
def ends_full(made):
    time.sleep(0.2); made.get(); time.sleep(0.3)
"""
CELLS = {
    "event": "made = {c}.Event()\n{start}\nmade.wait()",
    "semaphore": "made = {c}.Semaphore(0)\n{start}\nmade.acquire()",
    "barrier": "made = {c}.Barrier(2)\n{start}\nmade.wait()",
    "condition": "made = {c}.Condition()\nwith made:\n    {start}\n    made.wait()",
    "lock": "made, has_it = {c}.Lock(), {c}.Event()\n{start}\nhas_it.wait()\nwith made: pass",
    "queue": "made = {c}.JoinableQueue()\nmade.put(1)\n{start}\nmade.join()",
    "full": "made = {c}.Queue(1)\nmade.put(1)\n{start}\nmade.put(2)",
}


def shares(kernel: Kernel) -> dict[tuple[str, str], float]:
    """Milliseconds on the path by process and what it did there."""
    found: dict[tuple[str, str], float] = {}
    for name, state, reason, length in kernel.value("path()"):
        key = name, reason if state == "waiting" else state
        found[key] = found.get(key, 0) + length
    return found


def cell(kind: str, context: str) -> str:
    arguments = "made, has_it" if kind == "lock" else "made"
    start = f"p = {context}.Process(target=ends_{kind}, args=({arguments},), name='child'); p.start()"
    body = CELLS[kind].format(c=context, start=start)
    return f"%%procs -q\n{body}\ntime.sleep(0.4)\np.terminate(); p.join()\n{DRAIN.get(kind, '')}"


DRAIN = {"full": "made.cancel_join_thread()"}


@pytest.fixture(scope="module")
def ready(kernel: Kernel) -> Kernel:
    kernel.check("%load_ext concmagic")
    kernel.check(SETUP)
    return kernel


@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("kind", [*CELLS])
def test_the_path_goes_to_the_child_that_ended_the_wait(ready: Kernel, kind: str, context: str) -> None:
    ready.check(cell(kind, context))
    told: Any = shares(ready)
    assert told.get(("child", "sleep"), 0) > 150, told  # what it did before it let the cell go on
    assert told.get(("child", "sleep"), 0) < 250, told  # and not what came after
    assert told.get(("kernel", "sleep"), 0) > 350, told


def test_the_cell_ends_the_wait_of_a_child(ready: Kernel) -> None:
    ready.check(
        "%%procs -q\nmade = fork.Event()\ndef waits():\n    made.wait(); time.sleep(0.2)\n"
        "p = fork.Process(target=waits, name='child'); p.start()\ntime.sleep(0.3)\nmade.set()\np.join()"
    )
    told = shares(ready)
    assert told[("kernel", "sleep")] > 250 and 150 < told[("child", "sleep")] < 300, told


def test_one_child_ends_the_wait_of_another(ready: Kernel) -> None:
    ready.check(
        "%%procs -q\nmade = fork.Event()\ndef waits():\n    made.wait(); time.sleep(0.2)\n"
        "def sets():\n    time.sleep(0.2); made.set(); time.sleep(0.05)\n"
        "ps = [fork.Process(target=one, name=one.__name__) for one in (waits, sets)]\n"
        "for p in ps: p.start()\nfor p in ps: p.join()"
    )
    told = shares(ready)
    assert told[("sets", "sleep")] > 150 and told[("waits", "sleep")] > 150, told


def test_locks_of_an_earlier_cell_are_seen_and_left_as_they_were(ready: Kernel) -> None:
    ready.check("early = fork.Semaphore(0)\nplain = early.acquire, early.release")
    ready.check(
        "%%procs -q\ndef sets():\n    time.sleep(0.2); early.release(); time.sleep(0.3)\n"
        "p = fork.Process(target=sets, name='child'); p.start()\nearly.acquire()\ntime.sleep(0.4)\np.join()"
    )
    told = shares(ready)
    assert 150 < told[("child", "sleep")] < 250, told
    assert ready.value("(early.acquire, early.release) == plain")
