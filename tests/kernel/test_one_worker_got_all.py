"""A pool of which one worker has all the work: a chunk of several calls is one job."""

from __future__ import annotations

import pytest

from conftest import Kernel

SETUP = """
import time
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import ThreadPool

def nap(n):
    time.sleep(0.1)
    return n

def told(trace, lint="one-worker-got-all"):
    return [(f.message, f.hint) for f in trace.findings if f.lint == lint]
"""
FORK = 'mp.get_context("fork")'
CHUNKS = {
    "Pool": (f"{FORK}.Pool(3)", "pool.map(nap, range(9), {})"),
    "executor": (f"ProcessPoolExecutor(3, {FORK})", "list(pool.map(nap, range(9), chunksize={}))"),
    "ThreadPool": ("ThreadPool(3)", "pool.map(nap, range(9), {})"),
}


@pytest.mark.parametrize("kind", CHUNKS)
def test_a_chunk_with_all_calls_is_told(kernel: Kernel, kind: str) -> None:
    make, use = CHUNKS[kind]
    kernel.check(SETUP)
    cell = f"%%procs -q -o trace\nwith {make} as pool:\n    "
    kernel.check(cell + use.format(9))
    ((message, hint),) = kernel.value("told(trace)")
    assert " had all 9 calls, " in message and "They came as one chunk: nap(0) + 8 more." in message, message
    assert hint == "A chunk is one worker's: chunksize=3 or less gives each worker some."
    kernel.check(cell + use.format(1))
    assert kernel.value("told(trace)") == []


def test_jobs_one_at_a_time_are_not_told_as_one_workers(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q -o trace
with {FORK}.Pool(2) as pool:
    for n in range(4): pool.apply(nap, (n,))
""")
    assert kernel.value("told(trace)") == []
    assert len(kernel.value("told(trace, 'submit-then-wait')")) == 1


def test_a_long_job_beside_short_ones_is_not_told(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q -o trace
with {FORK}.Pool(2) as pool:
    pool.map(time.sleep, [0.5, 0.001, 0.001, 0.001, 0.001, 0.001], 1)
""")
    assert kernel.value("told(trace)") == []
