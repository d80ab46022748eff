"""Runs hundreds of cells of every kind in a few kernels of the Python that runs this, and prints what died.

    python tests/stress/many_cells.py --cells 500 --kernels 10 --seed 1

Most of the cells have several threads that compute past the budget of calls: to end a recording while
they go on is what a tracer may not survive. Not a part of the tests: it takes minutes. PYTHONPATH
chooses which concmagic is run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from queue import Empty

sys.path += [str(Path(__file__).parents[1] / "kernel")]
from cells import PRELUDE, StressCell, cells
from conftest import Kernel, running_kernel

CELL_S = 240.0


def main() -> int:
    """Run them all; 1 if a kernel died, or a cell was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--kernels", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--computing", type=float, default=0.64, help="share of cells past the budget")
    options = parser.parse_args()
    began = time.monotonic()
    made = cells(options.seed, options.cells, options.computing)
    each = -(-len(made) // options.kernels)
    counts: Counter[str] = Counter()
    for start in range(0, len(made), each):
        _run_in_one_kernel(made[start : start + each], start, counts)
        print(f"{counts['ran']} cells, {counts['computing']} of them past the budget of calls, "
              f"{counts['died']} kernels died, {counts['wrong']} cells wrong "
              f"(seed {options.seed}, {time.monotonic() - began:.0f} s)", flush=True)  # fmt: skip
    return 1 if counts["died"] or counts["wrong"] else 0


def _run_in_one_kernel(made: list[StressCell], start: int, counts: Counter[str]) -> None:
    counts["kernels"] += 1
    with tempfile.TemporaryDirectory() as folder, running_kernel(Path(folder)) as kernel:
        kernel.check(f"%load_ext concmagic\n{PRELUDE}")
        for number, cell in enumerate(made, start):
            fault = _fault_of(kernel, cell)
            counts["ran"] += 1
            counts["computing"] += cell.threads > 0
            if fault:
                print(f"cell {number} of kernel {counts['kernels']}: {fault}\n{cell.source}\n", flush=True)
            if not kernel.is_alive:
                counts["died"] += 1
                return
            counts["wrong"] += bool(fault)


def _fault_of(kernel: Kernel, cell: StressCell) -> str:
    """What is wrong with what it answers; "" is nothing."""
    started = kernel.start(cell.source)
    limit = time.monotonic() + CELL_S
    while True:
        try:
            run = started.wait(1.0)
            break
        except (AssertionError, Empty):  # nothing has come for a second
            if not kernel.is_alive:
                process = getattr(kernel._manager.provisioner, "process", None)
                return f"the kernel died (exit code {getattr(process, 'returncode', None)})"
            if time.monotonic() > limit:
                return f"it did not end in {CELL_S:.0f} s"
    if run.status != "ok":
        return f"{run.ename}: {run.evalue}"
    if run.result_text != cell.value:
        return f"its value is {run.result_text}, not {cell.value}"
    if "Traceback" in run.stderr or "Exception ignored" in run.stderr:
        return f"it printed {run.stderr}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
