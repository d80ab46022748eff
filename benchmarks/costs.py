"""What observing takes of cells that do one small thing very often, and whether what is said of it is true.

    python benchmarks/costs.py [pairs]

Figures are CPU time, so that they hold beside other programs: of the kernel, and of children where one thing
at a time is at work. A cell may take 1.15 times as long as plain, or 10 ms longer. The cost that is told has
to be within a quarter, or 10 ms, of what was measured, in nine of ten cells.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass

from cells import BenchCell, one_by_one, sleeping_tasks
from kernel import BenchKernel, Measured
from ways import PLAIN, STATES

RATIO, ADDED_MS = 1.15, 10.0
NEAR, NEAR_MS = 0.25, 10.0
TRUE_IN = 0.9  # of the cells


def often(name: str, magic: str, *lines: str) -> BenchCell:
    """A cell of these lines."""
    return BenchCell(name, magic, "\n".join(lines))


CELLS = (
    often(
        "20,000 x put and get of a queue",
        "threads",
        "import queue",
        "jobs = queue.Queue()",
        "for k in range(20_000):",
        "    jobs.put(k)",
        "    jobs.get()",
    ),
    often(
        "50,000 x with lock",
        "threads",
        "import threading",
        "lock = threading.Lock()",
        "for _ in range(50_000):",
        "    with lock:",
        "        pass",
    ),
    often(
        "3,000 exchanges of two threads through queues",
        "threads",
        "import queue, threading",
        "there, back = queue.Queue(), queue.Queue()",
        "def echo():",
        "    for _ in range(3_000):",
        "        back.put(there.get())",
        "thread = threading.Thread(target=echo)",
        "thread.start()",
        "for k in range(3_000):",
        "    there.put(k)",
        "    back.get()",
        "thread.join()",
    ),
    often(
        "executor.map of 5,000 jobs",
        "threads",
        "from concurrent.futures import ThreadPoolExecutor",
        "with ThreadPoolExecutor(4) as pool:",
        "    list(pool.map(abs, range(5_000)))",
    ),
    often(
        "1,000 short threads",
        "threads",
        "import threading",
        "for _ in range(1_000):",
        "    thread = threading.Thread(target=int)",
        "    thread.start()",
        "    thread.join()",
    ),
    often(
        "3,000 requests to a manager",
        "procs",
        "import multiprocessing",
        "with multiprocessing.get_context('fork').Manager() as manager:",
        "    numbers = manager.list(range(1_500))",
        "    for k in range(3_000):",
        "        numbers[k % 1_500]",
    ),
    often(
        "5,000 exchanges through a pipe",
        "procs",
        "import multiprocessing",
        "context = multiprocessing.get_context('fork')",
        "def echo(end):",
        "    while (got := end.recv()) is not None:",
        "        end.send(got)",
        "here, there = context.Pipe()",
        "child = context.Process(target=echo, args=(there,))",
        "child.start()",
        "for k in range(5_000):",
        "    here.send(k)",
        "    here.recv()",
        "here.send(None)",
        "child.join()",
    ),
    often(
        "imap of 3,000 jobs in a Pool of one",
        "procs",
        "import multiprocessing",
        "with multiprocessing.get_context('fork').Pool(1) as pool:",
        "    list(pool.imap(abs, range(3_000)))",
        "    pool.close()",
        "    pool.join()",
    ),
    one_by_one("fork"),
    one_by_one("spawn"),
    sleeping_tasks(100, 200, 0),
    often(
        "library code without locks",
        "threads",
        "import ast, textwrap",
        "source = open(textwrap.__file__).read()",
        "for _ in range(12):",
        "    ast.unparse(ast.parse(source))",
    ),
)


@dataclass(frozen=True)
class Cost:
    """Medians of one cell's pairs, in milliseconds and as a ratio."""

    ratio: float
    added_ms: float
    told_ms: float

    @property
    def is_small(self) -> bool:
        """Whether it takes no more than it may."""
        return self.ratio <= RATIO or self.added_ms <= ADDED_MS

    @property
    def is_true(self) -> bool:
        """Whether what is told is near enough."""
        return abs(self.told_ms - self.added_ms) <= max(NEAR * abs(self.added_ms), NEAR_MS)


def cost_of(cell: BenchCell, pairs: int) -> Cost:
    """Run the cell plain and with states in turns; a first run of each does not count."""
    with BenchKernel(STATES) as traced, BenchKernel(PLAIN) as plain:
        for kernel in (traced, plain):
            kernel.measure(cell)
        runs = []
        for number in range(pairs):
            order = (traced, plain) if number % 2 else (plain, traced)
            found = {id(kernel): kernel.measure(cell) for kernel in order}
            runs.append((found[id(traced)], found[id(plain)]))
    return Cost(
        statistics.median(_cpu(ours) / _cpu(base) for ours, base in runs),
        1000 * statistics.median(_cpu(ours) - _cpu(base) for ours, base in runs),
        1000 * statistics.median(ours.told for ours, _ in runs),
    )


def _cpu(run: Measured) -> float:
    return run.cpu + run.children_cpu


def print_costs(pairs: int, cells: tuple[BenchCell, ...] = CELLS) -> None:
    """A line a cell, and in how many what is told is true."""
    costs = []
    for cell in cells:
        costs.append(one := cost_of(cell, pairs))
        small, true = "ok" if one.is_small else "OVER", "ok" if one.is_true else "WRONG"
        figures = f"{one.ratio:6.2f}x {one.added_ms:+6.0f} ms {small:4s} told {one.told_ms:5.0f} ms: {true}"
        print(f"  {cell.name:50s} {figures}", flush=True)
    near = sum(one.is_true for one in costs)
    verdict = "ok" if near >= TRUE_IN * len(costs) else "UNDER"
    print(f"  the told cost is near the measured in {near} of {len(costs)} cells: {verdict}", flush=True)


if __name__ == "__main__":
    print(f"Python {sys.version.split()[0]}")
    print_costs(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
