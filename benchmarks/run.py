"""What tracing costs: ratios taken in one run, beside plain, bare VizTracer and other tools.

    python benchmarks/run.py [repeats]

Every ratio is the median of ratios of two runs that came one directly after the other, so that a machine
that is slow for a while is slow for both; every second time the other one comes first. "Bare" VizTracer
has the options that concmagic gives its own. A run before the first does not count (it imports), but
for the rows that say "first". Seconds after the cell are what the reply took longer than under plain.
The machine's load is printed before each table: where others compute, too, figures in milliseconds grow.
Every Python that is started here keeps its bytecode, as that of an installed package is kept.
AsyncFlow is one of the columns where it is installed (`pip install wigglystuff`).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from cells import (
    CALL_HEAVY,
    CALL_HEAVY_CHILDREN,
    COMPUTING,
    GROWTH,
    JOBS_IN_A_POOL,
    JOBS_IN_THREADS,
    LONG_TEXTS,
    MANY_BUSY_CHILDREN,
    MANY_CHILDREN,
    MANY_SHORT_TASKS,
    MANY_STEPS,
    MANY_TASKS,
    ON_EVERY_CORE,
    POOL_OF_PROCESSES,
    POOL_OF_SLEEPS,
    SHORT_THREADS,
    SIXTEEN_AT_THE_GIL,
    SLEEPING_TASKS,
    TASK_SLEEPS,
    TASK_SWITCHES,
    TEN_TRACKS,
    THREAD_SLEEPS,
    THREADS_AT_ONCE,
    BenchCell,
    child_start,
    locked,
    one_by_one,
)
from costs import print_costs
from kernel import BenchKernel, Measured
from ways import AUTO, BARE, BARE_CHILDREN, CALLS, COMPARED, PLAIN, STATES, Way

Pair = tuple[Measured, Measured]
Pairs = dict[tuple[str, str], list[Pair]]  # names of a way and of what it is compared with
OUR_PAIRS = ((STATES, PLAIN), (CALLS, PLAIN))
ALL_PAIRS = (*((way, PLAIN) for way in COMPARED), (CALLS, BARE))


def all_pairs(cell: BenchCell, repeats: int, pairs: Sequence[tuple[Way, Way]] = ALL_PAIRS) -> Pairs:
    """The cell in pairs of ways, one run directly after the other; each way has a kernel of its own."""
    found: Pairs = {(way.name, base.name): [] for way, base in pairs}
    with ExitStack() as stack:
        kernels = {
            way.name: stack.enter_context(BenchKernel(way))
            for way in {way: None for pair in pairs for way in pair}
        }
        for kernel in kernels.values():
            kernel.measure(cell)
        for number in range(repeats):
            for names, runs in found.items():
                order = names if number % 2 else names[::-1]
                measured = {name: kernels[name].measure(cell) for name in order}
                runs.append((measured[names[0]], measured[names[1]]))
    return found


def median(pairs: Pairs, way: Way, base: Way, figure: Callable[[Measured, Measured], float]) -> float:
    """Median of a figure made of neighbours of two ways."""
    return statistics.median(figure(*pair) for pair in pairs[way.name, base.name])


def over(pairs: Pairs, way: Way, base: Way) -> float:
    """The cell's own seconds one way over those another way."""
    return median(pairs, way, base, lambda a, b: a.own / b.own)


def after_ms(pairs: Pairs, way: Way) -> float:
    """Milliseconds from the cell's end to the picture."""
    return 1000 * median(pairs, way, PLAIN, lambda a, b: a.after - b.after)


def after_over_load(pairs: Pairs) -> float:
    """Seconds from the cell's end to the picture, over VizTracer's own load() of as many events."""
    reply = statistics.median(plain.after for _, plain in pairs[CALLS.name, PLAIN.name])
    return median(pairs, CALLS, BARE, lambda a, b: (a.after - reply) / b.load)


def print_row(text: str, value: float, limit: float | None = None, form: str = "{:.2f}x") -> None:
    """One line of a table, with its limit where there is one."""
    verdict = (
        "" if limit is None else f"   at most {form.format(limit)}: {'ok' if value <= limit else 'OVER'}"
    )
    print(f"  {text:66s} {form.format(value):>9s}{verdict}", flush=True)


def print_cells(table: dict[str, Pairs]) -> None:
    """The first table: a cell a line, a way a column, own seconds over plain."""
    print("The cell itself, over plain (a name: the error with which the tool ran it not):")
    print(f"  {'cell':34s}{'plain':>10s}" + "".join(f"{way.name:>20s}" for way in COMPARED))
    for name, pairs in table.items():
        plain = 1000 * statistics.median(base.own for _, base in pairs[STATES.name, PLAIN.name])
        print(
            f"  {name:34s}{plain:7.0f} ms" + "".join(f"{_against_plain(pairs, way):>20s}" for way in COMPARED)
        )


def _against_plain(pairs: Pairs, way: Way) -> str:
    failed = [run.error for run, _ in pairs[way.name, PLAIN.name] if run.own != run.own]
    return (failed[0] or "did not run") if failed else f"{over(pairs, way, PLAIN):.2f}x"


def print_promises(table: dict[str, Pairs]) -> None:
    """Each promise of the first table's cells."""
    threads, tasks, switches, calls = (
        table[cell.name] for cell in (THREAD_SLEEPS, TASK_SLEEPS, TASK_SWITCHES, CALL_HEAVY)
    )
    print_row("thread sleeps, states, over plain", over(threads, STATES, PLAIN), 1.05)
    print_row("thread sleeps, calls, over plain", over(threads, CALLS, PLAIN), 1.05)
    print_row("task sleeps, states, over plain", over(tasks, STATES, PLAIN), 1.05)
    print_row("task sleeps, calls, over bare VizTracer", over(tasks, CALLS, BARE), 1.10)
    print_row("task switches, states, over plain", over(switches, STATES, PLAIN), 2.0)
    print_row("task switches, calls, over bare VizTracer", over(switches, CALLS, BARE), 1.25)
    print_row("2 x fib(24), calls, over bare VizTracer", over(calls, CALLS, BARE), 1.15)
    print_row("2 x fib(24), end to picture, over VizTracer's load()", after_over_load(calls), 2.5)


def print_sizes(repeats: int) -> None:
    """What comes after the cell: time to the picture, size of the output, growth."""
    many = all_pairs(MANY_TASKS, repeats, (*OUR_PAIRS, (AUTO, PLAIN)))
    for way, limit in ((STATES, 1000), (AUTO, 1000), (CALLS, None)):
        print_row(f"1,000 tasks, end to picture, {way.name}", after_ms(many, way), limit, "{:.0f} ms")
    kilobytes = max(run.html_bytes for runs in many.values() for run, _ in runs) / 1000
    print_row("1,000 tasks, output", kilobytes, 250, "{:.0f} kB")
    ((ten, _),) = all_pairs(TEN_TRACKS, 1, ((CALLS, PLAIN),))[CALLS.name, PLAIN.name]
    print_row("ten tracks, output", ten.html_bytes / 1000, 120, "{:.0f} kB")


def print_growth(repeats: int) -> None:
    """More and more steps: what each costs must stay what it is."""
    for cell, steps in GROWTH:
        pairs = all_pairs(cell, repeats, ((STATES, PLAIN),))
        added = 1e6 / steps * median(pairs, STATES, PLAIN, lambda a, b: a.own - b.own)
        print_row(f"{steps:,} steps, states, over plain", over(pairs, STATES, PLAIN))
        print_row(f"{steps:,} steps, states, added to each", added, form="{:.2f} us")
        print_row(f"{steps:,} steps, end to picture", after_ms(pairs, STATES), form="{:.0f} ms")
        print_row(
            f"{steps:,} steps, end to picture, each", after_ms(pairs, STATES) * 1000 / steps, form="{:.1f} us"
        )


def print_threads(repeats: int) -> None:
    """What threads cost: the sampler beside them, and a thousand of them afterwards."""
    for cell, words, limit in (
        (SIXTEEN_AT_THE_GIL, "the sampler, 16 threads, a core free", 0.08),
        (ON_EVERY_CORE, "the sampler, every core taken", 0.02),
    ):
        pairs = all_pairs(cell, repeats, ((STATES, PLAIN),))
        share = statistics.median(run.sampler for run, _ in pairs[STATES.name, PLAIN.name])
        print_row(f"{words}, of one core", share, limit, "{:.1%}")
        print_row(f"{cell.name}, states, over plain", over(pairs, STATES, PLAIN))
    short = all_pairs(SHORT_THREADS, repeats, OUR_PAIRS)
    for way in (STATES, CALLS):
        words = f"{SHORT_THREADS.name}, end to picture, {way.name}"
        print_row(words, after_ms(short, way), 1000, "{:.0f} ms")
    print_row(f"{SHORT_THREADS.name}, states, over plain", over(short, STATES, PLAIN))
    cell = locked(2_000)
    locks = all_pairs(cell, repeats, ((STATES, PLAIN), (CALLS, BARE)))
    print_row(f"{cell.name}, states, over plain", over(locks, STATES, PLAIN))
    print_row(f"{cell.name}, calls, over bare VizTracer", over(locks, CALLS, BARE))


def once(cell: BenchCell, repeats: int, way: Way) -> list[Pair]:
    """The cell as the first one of fresh kernels: only there the peak of memory is its own."""
    pairs = []
    for _ in range(repeats):
        found = []
        for each in (way, PLAIN):
            with BenchKernel(each) as kernel:
                found.append(kernel.measure(cell))
        pairs.append((found[0], found[1]))
    return pairs


def print_memory(name: str, pairs: Sequence[Pair], limit: float) -> None:
    """What the kernel took more than for the plain cell, at its peak."""
    added = statistics.median(ours.peak - plain.peak for ours, plain in pairs)
    print_row(f"{name}, memory over plain", added, limit, "{:.0f} MB")


def print_bounds(repeats: int) -> None:
    """Very many steps and tasks, very long texts: nothing may collapse. Whole cells of fresh kernels."""
    for cell, steps in MANY_STEPS:
        pairs = once(cell, repeats, AUTO)
        print_memory(cell.name, pairs, min(64 * steps / 1e6, 150))
        seconds = statistics.median(ours.after - plain.after for ours, plain in pairs)
        print_row(f"{cell.name}, end to picture", 1000 * seconds, form="{:.0f} ms")
        print_row(
            f"{cell.name}, own CPU time, over plain", statistics.median(a.cpu / b.cpu for a, b in pairs)
        )
    for cell in MANY_SHORT_TASKS:
        pairs = once(cell, repeats, AUTO)
        print_memory(cell.name, pairs, 150)
        seconds = statistics.median(ours.after - plain.after for ours, plain in pairs)
        print_row(f"{cell.name}, end to picture", 1000 * seconds, 3000, "{:.0f} ms")
        print_row(f"{cell.name}, over plain", statistics.median(a.own / b.own for a, b in pairs), 1.15)
        print_row(
            f"{cell.name}, own CPU time, over plain", statistics.median(a.cpu / b.cpu for a, b in pairs)
        )
    for cell in LONG_TEXTS:
        print_row(f"{cell.name}, more than one of 1 kB", text_ms(cell, repeats), 10, "{:.0f} ms")


def print_crowds(repeats: int) -> None:
    """Very many threads and jobs: the whole cell, picture included, in a kernel that has run it once."""
    for cell, limit in (
        (THREADS_AT_ONCE, 2.5),
        (JOBS_IN_THREADS, 2.0),
        *((cell, 2.0) for cell in JOBS_IN_A_POOL),
    ):
        pairs = all_pairs(cell, repeats, ((AUTO, PLAIN),))
        whole = median(pairs, AUTO, PLAIN, lambda a, b: a.whole / b.whole)
        print_row(f"{cell.name}, whole, over plain", whole, limit)
        print_row(f"{cell.name}, over plain", over(pairs, AUTO, PLAIN))
        print_row(f"{cell.name}, end to picture", after_ms(pairs, AUTO), form="{:.0f} ms")
        print_memory(cell.name, once(cell, repeats, AUTO), 150)


def print_told(repeats: int) -> None:
    """What the picture says that tracing cost, over what it did cost: under 1 is too little."""
    for method in ("fork", "spawn", "forkserver"):
        cell = one_by_one(method)
        pairs = all_pairs(cell, repeats, ((AUTO, PLAIN),))
        added = 1000 / 20 * median(pairs, AUTO, PLAIN, lambda a, b: a.own - b.own)
        told = median(pairs, AUTO, PLAIN, lambda a, b: a.told / (a.own - b.own))
        print_row(f"{cell.name}, added to each", added, form="{:+.0f} ms")
        print_row(f"{cell.name}, cost told over cost", told, 1.5)
        print_row(f"{cell.name}, cost over cost told", 1 / told, 1.5)


def text_ms(cell: BenchCell, repeats: int) -> float:
    """Milliseconds that a cell with a text of a megabyte takes longer than with one of a kilobyte."""
    short = replace(cell, name=f"{cell.name}, cut", body=cell.body.replace("150_000", "150"))
    with BenchKernel(STATES) as kernel:
        for each in (cell, short):
            kernel.measure(each)
        runs = [[kernel.measure(each) for each in (cell, short)] for _ in range(3 * repeats)]
    return 1000 * statistics.median(long.own + long.after - cut.own - cut.after for long, cut in runs)


def print_first(repeats: int) -> None:
    """The first cell of a kernel beside the later ones."""
    names = CALLS.name, PLAIN.name
    firsts: Pairs = {names: []}
    laters: Pairs = {names: []}
    for _ in range(repeats):
        with BenchKernel(CALLS) as calls, BenchKernel(PLAIN) as plain:
            for pairs in (firsts, laters):
                pairs[names].append((calls.measure(TEN_TRACKS), plain.measure(TEN_TRACKS)))
    print_row("ten tracks, to the picture, a kernel's first cell", after_ms(firsts, CALLS), form="{:.0f} ms")
    print_row("ten tracks, to the picture, a later one", after_ms(laters, CALLS), form="{:.0f} ms")


def print_children(repeats: int) -> None:
    """What a child process takes longer, until its target runs and until it has been joined."""
    for method, limit in (("spawn", 60.0), ("forkserver", None), ("fork", 10.0)):
        runs = all_pairs(child_start(method), repeats, ((AUTO, PLAIN),))
        start = 1000 * median(runs, AUTO, PLAIN, lambda a, b: a.reached - b.reached)
        whole = 1000 * median(runs, AUTO, PLAIN, lambda a, b: a.own - b.own)
        print_row(f"a child ({method}), until its target runs", start, limit, "{:+.0f} ms")
        print_row(f"a child ({method}), until it is joined", whole, form="{:+.0f} ms")


def print_families(repeats: int) -> None:
    """What it costs to record calls in children, and what many children cost afterwards."""
    for way in (CALLS, AUTO):
        calls = all_pairs(CALL_HEAVY_CHILDREN, repeats, ((way, BARE_CHILDREN),))
        ratio = median(calls, way, BARE_CHILDREN, lambda a, b: a.reached / b.reached)
        print_row(f"{CALL_HEAVY_CHILDREN.name}, {way.name}, over bare VizTracer in each", ratio, 1.25)
    for cell in (MANY_CHILDREN, MANY_BUSY_CHILDREN):
        many = all_pairs(cell, repeats, ((AUTO, PLAIN),))
        print_row(f"{cell.name}, end to picture", after_ms(many, AUTO), 2000, "{:.0f} ms")


def print_interrupts(repeats: int) -> None:
    """From the interrupt of a cell to its picture, in a kernel's first traced cell and in later ones."""
    for cell in (POOL_OF_SLEEPS, COMPUTING, SLEEPING_TASKS, POOL_OF_PROCESSES):
        firsts, laters = [], []
        for _ in range(repeats):
            with BenchKernel(AUTO) as kernel:
                firsts.append(kernel.interrupt(cell))
                laters.append(kernel.interrupt(cell))
        for which, seconds in (("a kernel's first cell", firsts), ("a later one", laters)):
            words = f"{cell.name}, interrupt to picture, {which}"
            print_row(words, 1000 * statistics.median(seconds), 1000, "{:.0f} ms")


def seconds_of(code: str, repeats: int) -> float:
    """Median of what a fresh interpreter prints."""
    command = [sys.executable, "-c", code]
    return statistics.median(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(repeats)
    )


def print_imports(repeats: int) -> None:
    """What loading it takes."""
    load = (
        "import time, IPython; from IPython.core.interactiveshell import InteractiveShell as S;"
        "shell = S.instance(); t = time.perf_counter();"
        "shell.run_line_magic('load_ext', 'concmagic'); print(time.perf_counter() - t)"
    )
    bare = "import time; t = time.perf_counter(); import concmagic; print(time.perf_counter() - t)"
    print_row("%load_ext where IPython is imported", 1000 * seconds_of(load, repeats), 50, "{:.0f} ms")
    print_row("import concmagic", 1000 * seconds_of(bare, repeats), form="{:.1f} ms")


def print_title(title: str) -> None:
    """A table's title, with the load of the machine: its runnable processes over 1, 5 and 15 minutes."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{title} (load {load} on {os.cpu_count()} cores)", flush=True)


def main(repeats: int) -> None:
    """Measure and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print(f"Python {sys.version.split()[0]}, {repeats} repeats")
    print_title("Measuring")
    cells = (THREAD_SLEEPS, TASK_SLEEPS, TASK_SWITCHES, CALL_HEAVY)
    table = {cell.name: all_pairs(cell, repeats) for cell in cells}
    print_cells(table)
    print_title("What was promised:")
    print_promises(table)
    print_sizes(repeats)
    print_threads(repeats)
    print_title("How it grows:")
    print_growth(repeats)
    print_title("Bounds:")
    print_bounds(min(repeats, 3))
    print_crowds(min(repeats, 3))
    print_told(min(repeats, 3))
    print_title("What observing takes, and what is said of it:")
    print_costs(9)
    print_title("Around it:")
    print_imports(repeats)
    print_first(repeats)
    print_children(repeats)
    print_families(repeats)
    print_title("Interrupted:")
    print_interrupts(repeats)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
