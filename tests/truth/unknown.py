"""How much of what is drawn is UNKNOWN, in the cells of the bench."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.kernel.conftest import Kernel

sys.path += [str(Path(__file__).parents[2] / "benchmarks")]
from cells import (
    CALL_HEAVY,
    COMPUTING,
    JOBS_IN_THREADS,
    ON_EVERY_CORE,
    POOL_OF_PROCESSES,
    POOL_OF_SLEEPS,
    SHORT_THREADS,
    SIXTEEN_AT_THE_GIL,
    SLEEPING_TASKS,
    TASK_SLEEPS,
    TEN_TRACKS,
    THREAD_SLEEPS,
    BenchCell,
)

QUIET, BUSY = 0.05, 0.15  # of lane time, beside nothing and beside eight busy loops
CELLS = (
    THREAD_SLEEPS,
    CALL_HEAVY,
    SHORT_THREADS,
    SIXTEEN_AT_THE_GIL,
    ON_EVERY_CORE,
    TASK_SLEEPS,
    TEN_TRACKS,
    POOL_OF_SLEEPS,
    COMPUTING,
    SLEEPING_TASKS,
    POOL_OF_PROCESSES,
    JOBS_IN_THREADS,
)
_SHARE = """
def _unknown():
    lanes = [track for track in concmagic.last().tracks if track.role == "work"]
    states = [state for track in lanes for state in track.states]
    unknown = sum(state.length_ns for state in states if state.state.value == "unknown")
    return unknown / max(sum(state.length_ns for state in states), 1)
"""


def shares(kernel: Kernel, only: str = "") -> Iterator[tuple[BenchCell, float]]:
    """Run each cell with all that is recorded by default; its share of UNKNOWN."""
    kernel.check("import concmagic\n" + _SHARE)
    for cell in (one for one in CELLS if re.search(only, one.name)):
        kernel.check(f"%%{cell.magic} -q\n{cell.timed}", timeout=240)
        yield cell, float(kernel.value("_unknown()"))
