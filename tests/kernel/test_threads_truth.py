"""What the picture says of threads against the machine's own accounts, read by the cell itself.

The witness is read in the same run as what it judges: `getrusage` for what the process computed, each
thread's own CPU clock, and the wall clock. A busy machine changes both sides alike.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.kernel.conftest import Kernel

PROGRAMS = {
    "python": "def work():\n    spin(0.4)\n",
    "hashlib": "def work():\n    hashing(0.4)\n",
    "sleeping": "def work():\n    time.sleep(0.4)\n",
    "convoy": (
        "def work():\n    for _ in range(40):\n        with lock:\n            spin(0.004)\n"
        "            time.sleep(0.001)\n"
    ),
    "mixed": "def work():\n    spin(0.15); hashing(0.15); time.sleep(0.1)\n",
}
HELPERS = """
import hashlib, resource, threading, time
delays = {}
lock = threading.Lock()
data = bytes(1 << 20)

def spin(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        for _ in range(1000): pass

def hashing(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        hashlib.sha256(data).digest()

def watched():
    work()
    number = threading.get_native_id()  # the second number: how long it waited for a core, in nanoseconds
    delays[number] = int(open(f"/proc/self/task/{number}/schedstat").read().split()[1]) / 1e9

def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, time.monotonic()
"""
CELL = """
%%threads -q -o trace
{program}
begun = used()
pair = [threading.Thread(target=watched) for _ in range(2)]
for one in pair: one.start()
for one in pair: one.join()
ended = used()
"""
ASKED = """
def told(trace):
    cpu, wall = (late - early for late, early in zip(ended, begun))
    threads = []
    for one in trace.tracks:
        if one.kind != "thread" or one.host: continue
        spent = {}
        for state in one.states:
            word = state.state.value + ("" if state.reason != "GIL" else " GIL")
            spent[word] = spent.get(word, 0) + (state.end_ns - state.start_ns) / 1e9
        named = {state.detail for state in one.states if state.reason == "GIL" and state.detail}
        threads.append((one.name, (one.cpu_ns or 0) / 1e9, spent, sorted(named), delays[one.native_id]))
    numbers = trace.metrics
    lints = [finding.lint for finding in trace.findings]
    kinds = [one.kind for one in trace.tracks]
    return (cpu, wall, numbers.parallelism, numbers.wall_s, numbers.gil_contended, threads, lints, kinds)
"""


class Told:
    """What one cell's trace said, and what its witness did."""

    def __init__(self, kernel: Kernel, program: str) -> None:
        kernel.check(HELPERS + ASKED)
        kernel.check(CELL.strip().format(program=PROGRAMS[program]))
        values: Any = kernel.value("told(trace)")
        self.cpu_s, self.wall_s, self.parallelism, self.traced_s, self.contended, *rest = values
        self.threads, self.lints, self.kinds = rest


@pytest.mark.parametrize("program", PROGRAMS)
def test_parallelism_is_cpu_time_by_wall_time(kernel: Kernel, program: str) -> None:
    """Within 5 % of the witness; and 0.02 of a core, because the trace's cell is a millisecond longer."""
    told = Told(kernel, program)
    witness = told.cpu_s / told.wall_s
    assert told.parallelism == pytest.approx(witness, rel=0.05, abs=0.02)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_thread_was_running_at_least_while_its_own_clock_ran(kernel: Kernel, program: str) -> None:
    """A sample cannot tell a core from waiting for one, so RUNNING may be more; less by one period an edge.

    The convoy changes 80 times in 0.4 s: half a period (1 ms) for each change is 0.08 s.
    """
    slack_s = 0.08 if program == "convoy" else 0.03
    for _, cpu_s, spent, *_ in Told(kernel, program).threads:
        assert spent.get("running", 0) + spent.get("unknown", 0) >= 0.93 * cpu_s - slack_s


def test_two_equal_threads_want_the_gil_while_the_other_has_it(kernel: Kernel) -> None:
    """Never more than the thread neither computed nor waited for a core, by schedstat; and most of that.

    Where others use the machine the sampler, too, waits for a core: then samples are missed, none invented.
    """
    told = Told(kernel, "python")
    assert len(told.threads) == 2
    for _, cpu_s, spent, _, delayed_s in told.threads:
        life_s = sum(spent.values())
        wanted_s = life_s - cpu_s - delayed_s
        assert spent["ready GIL"] <= wanted_s + 0.07 * life_s + 0.5 * delayed_s
        assert spent["ready GIL"] >= 0.5 * wanted_s - 0.5 * delayed_s


def test_the_gil_has_a_lane_and_waits_name_the_other_thread(kernel: Kernel) -> None:
    told = Told(kernel, "python")
    assert "gil" in told.kinds
    (first, *_, of_first, _), (second, *_, of_second, _) = told.threads
    assert second in {name.removeprefix("held by ") for name in of_first}
    assert first in {name.removeprefix("held by ") for name in of_second}


def test_hashlib_hardly_wants_the_gil(kernel: Kernel) -> None:
    """Below 5 % of each thread's life, no lane of the GIL, and no finding about it."""
    told = Told(kernel, "hashlib")
    assert told.contended < 0.05
    assert "gil" not in told.kinds
    assert "gil-bound" not in told.lints
    for _, _, spent, *_ in told.threads:
        assert spent.get("ready GIL", 0) < 0.05 * sum(spent.values())


def test_sleeping_threads_do_not_contend(kernel: Kernel) -> None:
    told = Told(kernel, "sleeping")
    assert told.contended < 0.05
    assert "gil" not in told.kinds
    assert not set(told.lints) & {"gil-bound", "few-cores", "uneven-work", "oversubscribed"}
