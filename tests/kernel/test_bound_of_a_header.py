"""Items of a `for` header that only wait, and of which `-w` lets few begin."""

from __future__ import annotations

import pytest

from conftest import Kernel

SETUP = """
import asyncio, time
def told(trace):
    return [(f.severity, f.message, f.hint) for f in trace.findings if f.lint == "concurrency-capped"]
def compute(n):
    end = time.thread_time() + 0.03
    while time.thread_time() < end: pass
"""
WAITS = {"%%asyncio_trace": "await asyncio.sleep(0.1)", "%%threads": "time.sleep(0.1)"}


@pytest.mark.parametrize("magic", WAITS)
def test_a_small_w_is_told_where_items_only_wait(kernel: Kernel, magic: str) -> None:
    kernel.check(SETUP)
    kernel.check(f"{magic} -q -o trace -w 2 for n in range(8)\n{WAITS[magic]}")
    ((severity, message, hint),) = kernel.value("told(trace)")
    assert message.startswith(
        "`-w 2` let no more than 2 items through at once, and they mostly waited: 6 more "
    )
    assert (severity, hint) == (
        "note",
        "A larger -w lets more items wait at once, if the other side can take it.",
    )
    for bound in ("", "-w 8", "-w 4", "-w 1"):  # none, room for all or half, one at a time as was asked for
        kernel.check(f"{magic} -q -o trace {bound} for n in range(8)\n{WAITS[magic]}")
        assert kernel.value("told(trace)") == []


def test_items_that_compute_need_cores_and_not_workers(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("%%threads -q -o trace -w 2 for n in range(8)\ncompute(n)")
    assert kernel.value("told(trace)") == []
