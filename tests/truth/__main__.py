"""Is what concmagic says true, and the same each time? Minutes of real cells; prints what was not.

    python -m tests.truth [--part programs|rows|unknown] [--programs 500] [--seed 0] [--times 10] [--only RE]

Rows and shares of UNKNOWN are taken twice, the second time beside eight busy loops, which are ended again.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from tests.kernel.conftest import Kernel, running_kernel
from tests.run_busy import busy
from tests.truth import compare, rows, unknown
from tests.truth.programs import WORLDS

_PARTS = ("programs", "rows", "unknown")
_PROGRAMS_OF_A_KERNEL = 50
_MOST_UNPLANNED = 0.1  # the machine is too busy for this, then


@contextmanager
def _kernel() -> Iterator[Kernel]:
    with tempfile.TemporaryDirectory() as folder, running_kernel(Path(folder)) as kernel:
        kernel.check("%load_ext concmagic")
        yield kernel


@contextmanager
def _told_failures() -> Iterator[None]:
    """A cell that fails or does not end is told; what was to come after it in this kernel is not right."""
    try:
        yield
    except AssertionError as error:
        print(f"a cell failed: {error}", flush=True)


def _programs(count: int, seed: int, only: str) -> bool:
    """Random programs whose critical path is known."""
    worlds = [world for world in WORLDS if re.search(only, world)]
    cases = [(seed + number // len(worlds), worlds[number % len(worlds)]) for number in range(count)]
    right: Counter[str] = Counter()
    unplanned = 0
    for first in range(0, count, _PROGRAMS_OF_A_KERNEL):
        with _kernel() as kernel, _told_failures():
            kernel.check(compare.SETUP)
            for number, world in cases[first : first + _PROGRAMS_OF_A_KERNEL]:
                verdict = compare.judged(kernel, number, world)
                right[world] += not verdict.faults
                unplanned += not verdict.as_planned
                if verdict.faults:
                    print(f"program {number} of {world}: {verdict}\n", flush=True)
    told = ", ".join(f"{right[world]} of {sum(one == world for _, one in cases)} {world}" for world in worlds)
    print(f"critical path of random programs: {right.total()} of {count} right ({told})", flush=True)
    print(f"  {unplanned} of these did not run in the order of their plan, and tell nothing", flush=True)
    return right.total() == count and unplanned < _MOST_UNPLANNED * count


def _rows(times: int, only: str, is_busy: bool) -> bool:
    wanted = (rows.BUSY if is_busy else rows.QUIET) * times
    short = 0
    with _kernel() as kernel, _load(is_busy):
        for row in rows.rows():
            if re.search(only, row.name):
                said = rows.said(kernel, row, times)
                short += said.right < wanted
                print(f"  {'ok   ' if said.right >= wanted else 'SHORT'} {said}", flush=True)
    return short == 0


def _unknown(only: str, is_busy: bool) -> bool:
    most = unknown.BUSY if is_busy else unknown.QUIET
    over = 0
    with _kernel() as kernel, _load(is_busy):
        for cell, share in unknown.shares(kernel, only):
            over += share > most
            print(f"  {'OVER' if share > most else 'ok  '} {cell.name:40s} {share:6.1%}", flush=True)
    return over == 0


def _load(is_busy: bool) -> AbstractContextManager[None]:
    return busy() if is_busy else nullcontext()


def main() -> int:
    """Run the parts; 1 if one of them fell short."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=_PARTS, nargs="*", default=_PARTS)
    parser.add_argument("--programs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--only", default="", help="names of worlds, rows or cells that match")
    options = parser.parse_args()
    held = []
    if "programs" in options.part:
        held.append(_programs(options.programs, options.seed, options.only))
    for is_busy in (False, True):
        where = "beside eight busy loops" if is_busy else "beside nothing"
        if "rows" in options.part:
            print(f"The same right sentence, {where}:", flush=True)
            held.append(_rows(options.times, options.only, is_busy))
        if "unknown" in options.part:
            print(f"Lane time that is UNKNOWN, {where}:", flush=True)
            held.append(_unknown(options.only, is_busy))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
