"""What tracing costs: ratios taken in one run, beside plain, bare VizTracer and other tools.

    python benchmarks/run.py [repeats]

Every ratio is the median over the repeats of ratios between neighbours in time, so that a machine
that is slow for a while is slow for both; every second round runs the ways in the opposite order.
A round before the first does not count (it imports), but for the rows that say "first".
Seconds after the cell are what the reply took longer than under plain.
AsyncFlow is one of the columns where it is installed (`pip install wigglystuff`).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from cells import (
    CALL_HEAVY,
    GROWTH,
    MANY_TASKS,
    ON_EVERY_CORE,
    SHORT_THREADS,
    SIXTEEN_AT_THE_GIL,
    TASK_SLEEPS,
    TASK_SWITCHES,
    TEN_TRACKS,
    THREAD_SLEEPS,
    BenchCell,
    child_start,
)
from kernel import BenchKernel, Measured
from ways import BARE, CALLS, PLAIN, STATES, WAYS, Way

Runs = dict[str, list[Measured]]
OUR_WAYS = (STATES, PLAIN, CALLS)


def all_runs(cell: BenchCell, repeats: int, ways: Sequence[Way] = WAYS) -> Runs:
    """The cell in every way, each in a kernel of its own, as often as asked."""
    runs: Runs = {way.name: [] for way in ways}
    with ExitStack() as stack:
        kernels = {way.name: stack.enter_context(BenchKernel(way)) for way in ways}
        for name in runs:
            kernels[name].measure(cell)
        for number in range(repeats):
            for name in (tuple(runs), tuple(reversed(runs)))[number % 2]:
                runs[name].append(kernels[name].measure(cell))
    return runs


def median(runs: Runs, way: Way, base: Way, figure: Callable[[Measured, Measured], float]) -> float:
    """Median of a figure made of neighbours of two ways."""
    return statistics.median(figure(a, b) for a, b in zip(runs[way.name], runs[base.name], strict=True))


def over(runs: Runs, way: Way, base: Way) -> float:
    """The cell's own seconds one way over those another way."""
    return median(runs, way, base, lambda a, b: a.own / b.own)


def after_ms(runs: Runs, way: Way) -> float:
    """Milliseconds from the cell's end to the picture."""
    return 1000 * median(runs, way, PLAIN, lambda a, b: a.after - b.after)


def after_over_load(runs: Runs) -> float:
    """Seconds from the cell's end to the picture, over VizTracer's own load() of the same events."""
    load = statistics.median(each.load for each in runs[BARE.name])
    return after_ms(runs, CALLS) / 1000 / load


def print_row(text: str, value: float, limit: float | None = None, form: str = "{:.2f}x") -> None:
    """One line of a table, with its limit where there is one."""
    verdict = (
        "" if limit is None else f"   at most {form.format(limit)}: {'ok' if value <= limit else 'OVER'}"
    )
    print(f"  {text:58s} {form.format(value):>9s}{verdict}", flush=True)


def print_cells(table: dict[str, Runs]) -> None:
    """The first table: a cell a line, a way a column, own seconds over plain."""
    shown = [way for way in WAYS if way is not PLAIN]
    print("The cell itself, over plain (a name: the error with which the tool ran it not):")
    print(f"  {'cell':34s}{'plain':>10s}" + "".join(f"{way.name:>20s}" for way in shown))
    for name, runs in table.items():
        plain = 1000 * statistics.median(each.own for each in runs[PLAIN.name])
        print(f"  {name:34s}{plain:7.0f} ms" + "".join(f"{_against_plain(runs, way):>20s}" for way in shown))


def _against_plain(runs: Runs, way: Way) -> str:
    failed = [each.error for each in runs[way.name] if each.own != each.own]
    return (failed[0] or "did not run") if failed else f"{over(runs, way, PLAIN):.2f}x"


def print_promises(table: dict[str, Runs]) -> None:
    """Each promise of the first table's cells."""
    threads, tasks, switches, calls = (
        table[cell.name] for cell in (THREAD_SLEEPS, TASK_SLEEPS, TASK_SWITCHES, CALL_HEAVY)
    )
    print_row("thread sleeps, states, over plain", over(threads, STATES, PLAIN), 1.10)
    print_row("thread sleeps, calls, over plain", over(threads, CALLS, PLAIN), 1.10)
    print_row("task sleeps, states, over plain", over(tasks, STATES, PLAIN), 1.05)
    print_row("task sleeps, calls, over bare VizTracer", over(tasks, CALLS, BARE), 1.10)
    print_row("task switches, states, over plain", over(switches, STATES, PLAIN), 2.0)
    print_row("task switches, calls, over bare VizTracer", over(switches, CALLS, BARE), 1.25)
    print_row("2 x fib(24), calls, over bare VizTracer", over(calls, CALLS, BARE), 1.25)
    print_row("2 x fib(24), end to picture, over VizTracer's load()", after_over_load(calls), 2.5)


def print_sizes(repeats: int) -> None:
    """What comes after the cell: time to the picture, size of the output, growth."""
    many = all_runs(MANY_TASKS, repeats, OUR_WAYS)
    for way in (STATES, CALLS):
        print_row(f"1,000 tasks, end to picture, {way.name}", after_ms(many, way), 1000, "{:.0f} ms")
    kilobytes = max(each.html_bytes for each in many[CALLS.name] + many[STATES.name]) / 1000
    print_row("1,000 tasks, output", kilobytes, 250, "{:.0f} kB")
    ten = all_runs(TEN_TRACKS, 1, (CALLS,))[CALLS.name][0].html_bytes / 1000
    print_row("ten tracks, output", ten, 120, "{:.0f} kB")
    for cell in GROWTH:
        runs = all_runs(cell, repeats, (STATES, PLAIN))
        print_row(f"{cell.name}, states, over plain", over(runs, STATES, PLAIN))
        print_row(f"{cell.name}, end to picture", after_ms(runs, STATES), form="{:.0f} ms")


def print_threads(repeats: int) -> None:
    """What threads cost: the sampler beside them, and a thousand of them afterwards."""
    for cell, words, limit in (
        (SIXTEEN_AT_THE_GIL, "the sampler, 16 threads, a core free", 0.08),
        (ON_EVERY_CORE, "the sampler, every core taken", 0.02),
    ):
        runs = all_runs(cell, repeats, (STATES, PLAIN))
        print_row(
            f"{words}, of one core",
            statistics.median(each.sampler for each in runs[STATES.name]),
            limit,
            "{:.1%}",
        )
        print_row(f"{cell.name}, states, over plain", over(runs, STATES, PLAIN))
    short = all_runs(SHORT_THREADS, repeats, OUR_WAYS)
    for way in (STATES, CALLS):
        print_row(
            f"{SHORT_THREADS.name}, end to picture, {way.name}", after_ms(short, way), 1000, "{:.0f} ms"
        )
    print_row(f"{SHORT_THREADS.name}, states, over plain", over(short, STATES, PLAIN))


def print_first(repeats: int) -> None:
    """The first cell of a kernel beside the later ones."""
    firsts: Runs = {way.name: [] for way in (CALLS, PLAIN)}
    laters: Runs = {way.name: [] for way in (CALLS, PLAIN)}
    for way in (CALLS, PLAIN):
        for _ in range(repeats):
            with BenchKernel(way) as kernel:
                firsts[way.name].append(kernel.measure(TEN_TRACKS))
                laters[way.name].append(kernel.measure(TEN_TRACKS))
    print_row("ten tracks, to the picture, a kernel's first cell", after_ms(firsts, CALLS), form="{:.0f} ms")
    print_row("ten tracks, to the picture, a later one", after_ms(laters, CALLS), form="{:.0f} ms")


def print_children(repeats: int) -> None:
    """What a child process takes longer, until its target runs and until it has been joined."""
    ways = (Way("auto", "%load_ext concmagic", lambda cell: f"%%{cell.magic}\n{cell.timed}"), PLAIN)
    for method, limit in (("spawn", 60.0), ("forkserver", None), ("fork", 10.0)):
        runs = all_runs(child_start(method), repeats, ways)
        start = 1000 * median(runs, ways[0], PLAIN, lambda a, b: a.reached - b.reached)
        whole = 1000 * median(runs, ways[0], PLAIN, lambda a, b: a.own - b.own)
        print_row(f"a child ({method}), until its target runs", start, limit, "{:+.0f} ms")
        print_row(f"a child ({method}), until it is joined", whole, form="{:+.0f} ms")


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


def main(repeats: int) -> None:
    """Measure and print."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"Python {sys.version.split()[0]}, {repeats} repeats, {os.cpu_count()} cores, load {load}\n",
        flush=True,
    )
    cells = (THREAD_SLEEPS, TASK_SLEEPS, TASK_SWITCHES, CALL_HEAVY)
    table = {cell.name: all_runs(cell, repeats) for cell in cells}
    print_cells(table)
    print("\nWhat was promised:")
    print_promises(table)
    print_sizes(repeats)
    print_threads(repeats)
    print("\nAround it:")
    print_imports(repeats)
    print_first(repeats)
    print_children(repeats)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
