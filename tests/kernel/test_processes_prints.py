"""What children print is this cell's, in whole lines, however they were started."""

from __future__ import annotations

import pytest

from conftest import Kernel

SETUP = """
import multiprocessing as mp, os, sys, threading
from concurrent.futures import ProcessPoolExecutor

def chat(who, barrier=None):
    if barrier is not None:
        barrier.wait()
    for n in range(40):
        print(who, "says", n, "." * 20)
        print(who, "warns", n, file=sys.stderr)

def mutter(text):
    print(text, end="", flush=True)
    print(" and", end="")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_lines_of_children_that_print_at_once_are_whole_and_here(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    run = kernel.check(f"""%%procs -q -o trace
context = mp.get_context("{method}")
barrier = context.Barrier(4)
processes = [context.Process(target=chat, args=(f"child{{n}}", barrier)) for n in range(4)]
for process in processes: process.start()
for process in processes: process.join()
""")
    said = [f"child{who} says {n} {'.' * 20}" for who in range(4) for n in range(40)]
    warned = [f"child{who} warns {n}" for who in range(4) for n in range(40)]
    assert sorted(run.stdout.splitlines()) == sorted(said)
    assert sorted(run.stderr.splitlines()) == sorted(warned)
    for who in range(4):  # each child's own in its order
        own = [line for line in run.stdout.splitlines() if line.startswith(f"child{who} ")]
        assert own == [f"child{who} says {n} {'.' * 20}" for n in range(40)]
    assert kernel.check("1 + 1").stdout == ""
    # Each line is a tick on its child's lane.
    whose = "{t.id: t.pid for t in trace.tracks}[tick.track]"
    assert (
        kernel.value(f"sorted({whose} in [p.pid for p in processes] for tick in trace.prints)")
        == [True] * 320
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_beginning_of_a_line_comes_out_too(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    run = kernel.check(f"""%%procs -q
process = mp.get_context("{method}").Process(target=mutter, args=("well",))
process.start()
process.join()
""")
    assert run.stdout == "well and"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_prints_of_a_pools_jobs(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    run = kernel.check(f"""%%procs -q
with ProcessPoolExecutor(2, mp_context=mp.get_context("{method}")) as pool:
    list(pool.map(chat, range(4)))
""")
    assert len(run.stdout.splitlines()) == 160
    assert all(line.endswith("." * 20) for line in run.stdout.splitlines())
