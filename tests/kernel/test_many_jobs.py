"""Very many jobs: each is counted, those beyond a bound by sums, and that is said."""

from __future__ import annotations

import pytest

from conftest import Kernel

SETUP = r"""
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

def odd(n):
    if n == 11_999:
        raise KeyError(n)
    return n % 2

def told(trace):
    return [problem.message for problem in trace.cost.problems if problem.kind == "jobs_merged"]

def counted(trace):
    return sum(job.count for job in trace.jobs), sum(max(job.failed, job.outcome.kind == "raised" and
                                                         job.count == 1) for job in trace.jobs)

def add_up(trace):
    # Merged jobs of one worker lie one after the other, and ran no longer than their stretch.
    ends = {}
    for job in sorted((job for job in trace.jobs if job.start_ns is not None), key=lambda job: job.start_ns):
        if job.start_ns < ends.get(job.track, 0) or job.work_ns > job.end_ns - job.start_ns:
            return False
        ends[job.track] = job.end_ns
    return True
"""

POOLS = {
    "threads": "with ThreadPoolExecutor(2) as pool:\n    jobs = [pool.submit(odd, n) for n in range(12_000)]",
    "an executor": (
        "with ProcessPoolExecutor(2, mp_context=mp.get_context('fork')) as pool:\n"
        "    jobs = [pool.submit(odd, n) for n in range(12_000)]"
    ),
    "a pool's apply_async": (
        "with mp.get_context('fork').Pool(2) as pool:\n"
        "    jobs = [pool.apply_async(odd, (n,)) for n in range(12_000)]\n"
        "    for job in jobs: job.wait()"
    ),
    "a pool's imap": (
        "with mp.get_context('fork').Pool(2) as pool:\n"
        "    results = pool.imap(odd, range(12_000))\n"
        "    for n in range(12_000):\n"
        "        try: next(results)\n"
        "        except KeyError: pass"
    ),
}


@pytest.mark.parametrize("how", POOLS)
def test_every_one_of_very_many_jobs_is_counted_and_the_merged_ones_are_told(
    kernel: Kernel, how: str
) -> None:
    kernel.check(SETUP)
    kernel.check("%%procs -q -o trace\n" + POOLS[how])
    assert kernel.value("counted(trace)") == (12_000, 1)
    assert kernel.value("len(trace.jobs)") < 11_000
    assert kernel.value("add_up(trace)")
    ((sentence),) = kernel.value("told(trace)")
    assert "Of 12,000 jobs of pools" in sentence and "with exact sums" in sentence
    assert "1 raised KeyError" in sentence


def test_jobs_that_are_given_once_messages_are_no_longer_seen_are_counted_all_the_same(
    kernel: Kernel,
) -> None:
    kernel.check("%load_ext concmagic\nimport multiprocessing as mp")
    kernel.check(
        "%%procs -q -o trace\nhere, there = mp.Pipe()\n"
        "for number in range(20_000):\n    here.send(number)\n    there.recv()\n"
        "with mp.get_context('fork').Pool(1) as pool:\n    pool.map(abs, [-1, -2, -3], chunksize=1)"
    )
    assert kernel.value("trace.cost.counted_until_ns is not None")
    assert kernel.value("sum(job.count for job in trace.jobs)") == 3
