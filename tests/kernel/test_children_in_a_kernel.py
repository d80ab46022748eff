"""A notebook's own functions in children of a real kernel, and their processes in the trace."""

import pytest

from conftest import Kernel

METHODS = ["fork", "spawn", "forkserver"]

SETUP = """
import multiprocessing as mp, os
from concurrent.futures import ProcessPoolExecutor

FACTOR = 3

class Answer:
    def __init__(self, x): self.x = x

def job(x):
    return Answer(x * FACTOR)

def broken():
    raise ImportError("the child has no such library")
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_under_the_magic(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q -o trace
with mp.get_context("{method}").Pool(2) as pool:
    answers = pool.map(job, range(4))
""")
    assert kernel.value("[type(a) is Answer and a.x for a in answers]") == [0, 3, 6, 9]
    names = kernel.value("[t.name for t in trace.tracks if t.kind == 'process' and 'PoolWorker' in t.name]")
    assert len(names) == 2
    assert kernel.value("mp.active_children()") == []


@pytest.mark.parametrize("method", METHODS)
def test_an_executor_under_the_magic(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q
with ProcessPoolExecutor(2, mp_context=mp.get_context("{method}")) as pool:
    answers = list(pool.map(job, range(4)))
""")
    assert kernel.value("[type(a) is Answer and a.x for a in answers]") == [0, 3, 6, 9]


def test_a_pool_that_cannot_start_is_one_error(kernel: Kernel) -> None:
    kernel.check(SETUP)
    run = kernel.run("""%%procs -q
with mp.get_context("spawn").Pool(2, broken) as pool:
    pool.map(job, range(4))
""")
    assert (run.status, run.ename) == ("error", "ChildStartError")
    assert "ImportError: the child has no such library" in run.evalue
    assert kernel.value("mp.active_children()") == []


def test_the_picklers_are_put_back(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("""%%procs -q
with mp.get_context("spawn").Pool(1) as pool:
    pool.map(job, range(2))
""")
    assert kernel.value("'reducer_override' in vars(mp.reduction.ForkingPickler)") is False
    assert kernel.value("os.fork.__class__.__name__") == "builtin_function_or_method"
