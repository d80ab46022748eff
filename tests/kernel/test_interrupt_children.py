"""One click on stop reaches the cell's children once: they finish their clean-up, as behind a plain cell."""

from __future__ import annotations

import time

import pytest
from interrupts import STILL

from conftest import Kernel

SETUP = """
import multiprocessing as mp, os, signal, threading, time

def rest(told):
    for step in range(3):
        time.sleep(0.3)
    with open(told, "a") as file:
        file.write("at rest")

def cleaning(told, begun):
    try:
        begun.send(os.getpid())
        time.sleep(60)
    finally:
        rest(told)

def catching(told, begun):
    begun.send(os.getpid())
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        rest(told)

def program(told, begun):
    import asyncio
    async def main():
        try:
            begun.send(os.getpid())
            await asyncio.sleep(60)
        finally:
            await asyncio.to_thread(rest, told)
    asyncio.run(main())
"""
CELL = """
context = mp.get_context("{method}")
receiver, sender = context.Pipe(False)
p = context.Process(target={target}, args=(os.path.abspath("told"), sender), name="bench")
p.start()
receiver.recv()
say_when_still()
p.join()
"""


@pytest.fixture(autouse=True)
def ready(kernel: Kernel) -> None:
    kernel.check(STILL + SETUP + "open('told', 'w').close()")


def click(kernel: Kernel, code: str) -> tuple[str, str]:
    """What the child has written once it has ended, after a click; and what the picture says."""
    run = kernel.interrupted(code)
    assert run.ename == "KeyboardInterrupt"
    assert "src/concmagic/" not in run.stderr + run.traceback_text
    kernel.check("p.join(30)")
    said = " ".join(run.displays[-1]["text/plain"].split()) if run.displays else ""
    return str(kernel.value("open('told').read()")), said


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("target", ["cleaning", "catching", "program"])
def test_a_child_finishes_its_clean_up_behind_the_cell(kernel: Kernel, method: str, target: str) -> None:
    cell = CELL.format(method=method, target=target)
    if method == "fork":
        assert click(kernel, cell) == ("at rest", "")
        kernel.check("open('told', 'w').close()")
    told, said = click(kernel, f"%%procs\n{cell}")
    assert told == "at rest"
    assert "bench was still cleaning up after the interrupt" in said
    assert kernel.check("%%procs\n6 * 7").result_text == "42"


def test_a_child_that_does_not_clean_up_ends_with_the_cell(kernel: Kernel) -> None:
    kernel.check(
        "def deaf(told, begun):\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "    begun.send(os.getpid())\n    time.sleep(60)"
    )
    begun = time.monotonic()
    assert click(kernel, "%%procs\n" + CELL.format(method="fork", target="deaf"))[0] == ""
    assert time.monotonic() - begun < 30  # not the minute that it would sleep


def test_a_pool_that_reads_back_half_of_a_job_ends_in_the_interrupt(kernel: Kernel) -> None:
    """The half that a worker leaves which the interrupt met as it read: here a job of no bytes."""
    kernel.check(
        "context = mp.get_context('fork')\nbegun = context.Event()\n"
        "def work():\n    signal.signal(2, signal.SIG_IGN)\n    begun.set()\n    time.sleep(60)"
    )
    run = kernel.interrupted(
        "%%procs\nwith context.Pool(1) as pool:\n    pool.apply_async(work)\n    begun.wait()\n"
        "    os.write(pool._inqueue._writer.fileno(), bytes(4))\n    say_when_still()\n    time.sleep(60)"
    )
    assert run.ename == "KeyboardInterrupt", (run.ename, run.traceback_text)
    assert kernel.value("mp.active_children()") == []
    assert kernel.value("[t.name for t in threading.enumerate() if '_handle' in t.name]") == []


@pytest.mark.parametrize("lock", ["_inqueue._rlock", "_outqueue._wlock"])
@pytest.mark.parametrize("ends", ["with", "terminate"])
def test_a_pool_whose_worker_died_with_a_lock_ends_in_the_interrupt(
    kernel: Kernel, lock: str, ends: str
) -> None:
    """As an interrupt ends it just as it reads a job or sends a result: nobody lets go of the lock then."""
    kernel.check(
        "context = mp.get_context('fork')\nbegun = context.Event()\n"
        "def work():\n    begun.set()\n    time.sleep(60)"
    )
    pool = "pool = context.Pool(1)\ntry:\n" if ends == "terminate" else "with context.Pool(1) as pool:\n"
    run = kernel.interrupted(
        f"%%procs\n{pool}    pool.apply_async(work)\n    begun.wait()\n"
        f"    assert pool.{lock}.acquire(timeout=20)\n    say_when_still()\n    time.sleep(60)"
        + ("\nfinally:\n    pool.terminate()" if ends == "terminate" else "")
    )
    assert run.ename == "KeyboardInterrupt", (run.ename, run.traceback_text)
    assert kernel.value("mp.active_children()") == []
    assert kernel.value("[t.name for t in threading.enumerate() if '_handle' in t.name]") == []


@pytest.mark.parametrize("lock", ["_inqueue._rlock", "_outqueue._wlock"])
def test_a_pool_whose_worker_died_with_a_lock_and_was_replaced_ends(kernel: Kernel, lock: str) -> None:
    """The one that came after it has not got the lock, and lives."""
    kernel.check(
        "context = mp.get_context('fork')\nbegun = context.Event()\n"
        "def work():\n    begun.set()\n    time.sleep(60)"
    )
    cell = kernel.start(
        "%%procs\nwith context.Pool(1) as pool:\n    pool.apply_async(work)\n    begun.wait()\n"
        f"    assert pool.{lock}.acquire(timeout=20)\n"
        "    first = pool._pool[0]\n    os.kill(first.pid, signal.SIGKILL)\n"
        "    while pool._pool[0:1] in ([first], []): time.sleep(0.01)\n    print('replaced')"
    )
    run = cell.wait()
    assert (run.ename, run.stdout) == ("", "replaced\n")
    assert kernel.value("mp.active_children()") == []
    assert kernel.value("[t.name for t in threading.enumerate() if '_handle' in t.name]") == []
