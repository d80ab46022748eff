"""The jobs of `multiprocessing.pool.ThreadPool` in a real cell: on their workers, and on the path."""

from __future__ import annotations

import pytest

from conftest import Kernel

SETUP = """
import concmagic, time
from concmagic.analysis.critical_path import path_of
from multiprocessing.pool import ThreadPool
from multiprocessing import dummy
older = ThreadPool(2)

def work(number):
    time.sleep(0.1)
    return number

def told():
    trace = concmagic.last()
    main = next(track.id for track in trace.tracks if track.name == "MainThread")
    workers = {job.track for job in trace.jobs}
    flows = {flow.kind for flow in trace.flows
             if {flow.source, flow.target} & workers and main in (flow.source, flow.target)}
    roles = {(track.kind, track.role) for track in trace.tracks if track.id in workers}
    slept = sum(part.length_ns for part in path_of(trace) if part.track in workers and part.reason == "sleep")
    return sorted(job.label for job in trace.jobs), sorted(flows), sorted(roles), slept / 1e6
"""
CALLS = {
    "map": ("pool.map(work, range(4), 1)", 200),
    "starmap": ("pool.starmap(work, [(0,), (1,), (2,), (3,)], 1)", 200),
    "imap": ("list(pool.imap(work, range(4)))", 200),
    "imap_unordered": ("list(pool.imap_unordered(work, range(4)))", 200),
    "apply": ("[pool.apply(work, (number,)) for number in range(4)]", 400),
    "apply_async": ("[one.get() for one in [pool.apply_async(work, (n,)) for n in range(4)]]", 200),
}
POOLS = {
    "a new pool": "with ThreadPool(2) as pool:\n    ",
    "the pool of threads of multiprocessing.dummy": "with dummy.Pool(2) as pool:\n    ",
    "a pool of an earlier cell": "pool = older\n",
}


@pytest.mark.sampled
@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
@pytest.mark.parametrize("call", CALLS)
def test_the_wait_for_a_thread_pools_result_leads_into_the_worker_that_made_it(
    kernel: Kernel, call: str, pool: str
) -> None:
    text, at_least_ms = CALLS[call]
    kernel.check(SETUP)
    kernel.check(f"%%threads -q\n{pool}{text}")
    labels, flows, roles, slept = kernel.value("told()")
    assert labels == ["work(0)", "work(1)", "work(2)", "work(3)"]
    assert {"submit", "result"} <= set(flows) and roles == [("thread", "work")]
    assert slept > 0.9 * at_least_ms
