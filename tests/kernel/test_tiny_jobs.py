"""Jobs that cost more to send than they take, by pools that are new and by such as were there before."""

from __future__ import annotations

import pytest

from conftest import Kernel

SETUP = """
import time
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

def tiny(n): return n * n

def long(n):
    end = time.process_time() + 0.005
    while time.process_time() < end: pass
    return n

def told(trace):
    return [f.message for f in trace.findings if f.lint == "pool-overhead"]

def values(trace):
    (found,) = (f.values for f in trace.findings if f.lint == "pool-overhead")
    return found.at_once, found.job_ns, found.send_ns, found.start_ns
"""
POOLS = {
    "Pool": ('mp.get_context("fork").Pool(2)', "list(pool.imap({}, range({}){}))"),
    "executor": ('ProcessPoolExecutor(2, mp.get_context("fork"))', "list(pool.map({}, range({}){}))"),
}


@pytest.mark.sampled  # told is what took a fifth of the time: not where the cores were another program's
@pytest.mark.parametrize("kind", POOLS)
def test_tiny_jobs_are_told_with_their_break_even(kernel: Kernel, kind: str) -> None:
    make, use = POOLS[kind]
    kernel.check(f"{SETUP}\n%load_ext concmagic")
    kernel.check(f"%%procs -q\npool = {make}\n{use.format('tiny', 4, '')}")
    kernel.check(f"%%procs -q -o trace\n{use.format('tiny', 600, '')}")  # warm workers of an earlier cell
    (message,) = kernel.value("told(trace)")
    at_once, job_ns, send_ns, start_ns = kernel.value("values(trace)")
    assert f"from about {at_once:,} jobs a chunk on, processes pay." in message and "to start" not in message
    assert start_ns == 0 and at_once > 1 and job_ns < send_ns <= at_once * job_ns < send_ns + job_ns
    # An independent witness: what one costs without us, by the clock; a worker gets every second one.
    plain_ns = kernel.value(
        f"(lambda begin: [{use.format('tiny', 600, '')}, (time.perf_counter() - begin) / 600 * 1e9])"
        "(time.perf_counter())[1]"
    )
    assert plain_ns / 4 < send_ns < plain_ns * 8
    kernel.check(f"%%procs -q -o trace\n{use.format('tiny', 600, ', chunksize=300')}")
    assert "to send" not in str(kernel.value("told(trace)"))
    kernel.check(f"%%procs -q -o trace\n{use.format('long', 60, '')}")
    assert "to send" not in str(kernel.value("told(trace)"))
    kernel.check("getattr(pool, 'terminate', getattr(pool, 'shutdown', None))()")
