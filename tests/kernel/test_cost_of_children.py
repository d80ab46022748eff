"""What the picture says that tracing cost, beside what it did cost: cells whose children come one by one."""

from __future__ import annotations

import statistics

import pytest

from conftest import Kernel

CELL = """
import multiprocessing, time
context = multiprocessing.get_context("{method}")
began = time.perf_counter()
for _ in range(5):
    child = context.Process(target=int)
    child.start()
    child.join()
seconds = time.perf_counter() - began
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_children_one_after_another_cost_is_what_is_told(kernel: Kernel, method: str) -> None:
    """As a ratio of neighbours, for a machine that is busy for a while is busy for both."""
    plain, traced = CELL.format(method=method), "%%procs -q -o trace\n" + CELL.format(method=method)
    kernel.check(plain)
    kernel.check(traced)
    ratios = []
    for _ in range(5):
        kernel.check(plain)
        before = kernel.value("seconds")
        kernel.check(traced)
        added = kernel.value("seconds") - before
        ratios.append(kernel.value("trace.cost.seconds") / added)
    assert 0.5 < statistics.median(ratios) < 2
