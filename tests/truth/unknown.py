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
    MANY_BUSY_CHILDREN,
    MANY_CHILDREN,
    ON_EVERY_CORE,
    SHORT_THREADS,
    SIXTEEN_AT_THE_GIL,
    TASK_SLEEPS,
    TASK_SWITCHES,
    TEN_TRACKS,
    THREAD_SLEEPS,
    BenchCell,
)

# Of those that end by themselves, and in which lanes are told one by one.
QUIET, BUSY = 0.05, 0.15  # of lane time, beside nothing and beside eight busy loops
CELLS = (
    THREAD_SLEEPS,
    CALL_HEAVY,
    SHORT_THREADS,
    SIXTEEN_AT_THE_GIL,
    ON_EVERY_CORE,
    TASK_SLEEPS,
    TASK_SWITCHES,
    TEN_TRACKS,
    MANY_CHILDREN,
    MANY_BUSY_CHILDREN,
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
