"""What tracing costs: ratios taken in one run, beside plain, bare VizTracer and other magics.

    python benchmarks/run.py [repeats]

Every figure is the median over the repeats of ratios between neighbours in time, so that a machine
that is slow for a while is slow for both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from cells import CALLS, TASK_SLEEPS, TEN_TRACKS, THREAD_SLEEPS, BenchCell
from kernel import BenchKernel, Reply

SETUP = """\
%load_ext concmagic
%load_ext viztracer
%load_ext pyinstrument
from viztracer import VizTracer
load_seconds = float("nan")
"""

BARE = """\
import time as _time
_tracer = VizTracer(verbose=0, register_global=False, tracer_entries=1_000_000)
_tracer.start()
{body}
_tracer.stop()
_began = _time.perf_counter()
_events = _tracer.load()
load_seconds = _time.perf_counter() - _began
_tracer.clear()
del _tracer, _events
"""

WAYS: dict[str, Callable[[BenchCell], str]] = {
    "plain": lambda cell: cell.timed,
    "concmagic states": lambda cell: f"%%{cell.magic} --detail states\n{cell.timed}",
    "concmagic calls": lambda cell: f"%%{cell.magic} --detail calls\n{cell.timed}",
    "bare VizTracer": lambda cell: BARE.format(body=cell.timed),
    "%%viztracer": lambda cell: f"%%viztracer\n{cell.timed}",
    "%%pyinstrument": lambda cell: f"%%pyinstrument\n{cell.timed}",
}


@dataclass(frozen=True)
class Measured:
    """One cell run one way: its own seconds, those until the reply, VizTracer's load, the output."""

    own: float
    reply: Reply
    load: float


def measure(kernel: BenchKernel, cell: BenchCell, way: str) -> Measured:
    """Run the cell once; `own` is NaN where the tool cannot run it."""
    kernel.run("began = ended = float('nan')")
    reply = kernel.run(WAYS[way](cell))
    return Measured(kernel.value("ended - began"), reply, kernel.value("load_seconds"))


def ratio(runs: dict[str, list[Measured]], way: str, base: str) -> float:
    """Median of one way's own seconds over another's."""
    return statistics.median(a.own / b.own for a, b in zip(runs[way], runs[base], strict=True))


def row(text: str, value: float, limit: float | None = None, form: str = "{:.2f}x") -> str:
    """One line of the second table."""
    verdict = (
        "" if limit is None else f"  (at most {form.format(limit)}: {'ok' if value <= limit else 'OVER'})"
    )
    return f"  {text:62s} {form.format(value):>9s}{verdict}"


def all_runs(kernel: BenchKernel, cell: BenchCell, repeats: int) -> dict[str, list[Measured]]:
    """Every way, one after another, as often as asked; one round before does not count."""
    runs: dict[str, list[Measured]] = {way: [] for way in WAYS}
    for round_number in range(repeats + 1):
        for way, taken in runs.items():
            measured = measure(kernel, cell, way)
            if round_number:
                taken.append(measured)
    return runs


def print_cells(table: dict[str, dict[str, list[Measured]]]) -> None:
    """The first table: a cell a line, a way a column, own seconds over plain."""
    print("\nThe cell itself, over plain:")
    print(f"  {'cell':34s}" + "".join(f"{way:>18s}" for way in WAYS))
    for name, runs in table.items():
        cells = [_against_plain(runs, way) for way in WAYS]
        print(f"  {name:34s}" + "".join(f"{text:>18s}" for text in cells))


def _against_plain(runs: dict[str, list[Measured]], way: str) -> str:
    failed = [run.reply.error for run in runs[way] if run.own != run.own]
    return (failed[0] or "did not run") if failed else f"{ratio(runs, way, 'plain'):.2f}x"


Runs = dict[str, list[Measured]]


def print_promises(threads: Runs, tasks: Runs, calls: Runs) -> None:
    """The second table: each promise with its limit."""
    states, traced, bare = "concmagic states", "concmagic calls", "bare VizTracer"
    print(row("thread sleeps, states, over plain", ratio(threads, states, "plain"), 1.10))
    print(row("thread sleeps, calls, over plain", ratio(threads, traced, "plain"), 1.10))
    print(row("task sleeps, states, over plain", ratio(tasks, states, "plain"), 1.05))
    print(row("task sleeps, calls, over bare VizTracer", ratio(tasks, traced, bare), 1.10))
    print(row("2 x fib(24), calls, over bare VizTracer", ratio(calls, traced, bare), 1.25))
    print(row("2 x fib(24), end to picture, over load()", after_the_cell(calls), 2.5))


def after_the_cell(runs: dict[str, list[Measured]]) -> float:
    """Seconds from the cell's end to the picture, over VizTracer's own load() of the same events."""
    pairs = zip(runs["concmagic calls"], runs["plain"], runs["bare VizTracer"], strict=True)
    return statistics.median(
        ((traced.reply.seconds - traced.own) - (plain.reply.seconds - plain.own)) / bare.load
        for traced, plain, bare in pairs
    )


def extension_ms(repeats: int) -> float:
    """Milliseconds that loading the extension takes where IPython is imported already."""
    code = (
        "import time, IPython; from IPython.core.interactiveshell import InteractiveShell as S;"
        "shell = S.instance(); t = time.perf_counter();"
        "shell.run_line_magic('load_ext', 'concmagic'); print(time.perf_counter() - t)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(repeats)
    ]
    return statistics.median(seconds) * 1000


def main(repeats: int) -> None:
    """Measure and print."""
    table: dict[str, dict[str, list[Measured]]] = {}
    with BenchKernel() as kernel:
        kernel.run(SETUP)
        for cell in (THREAD_SLEEPS, TASK_SLEEPS, CALLS):
            table[cell.name] = all_runs(kernel, cell, repeats)
        ten = measure(kernel, TEN_TRACKS, "concmagic calls").reply.html_bytes
    print(f"Python {sys.version.split()[0]}, {repeats} repeats, medians of paired ratios")
    print_cells(table)
    print("\nWhat was promised:")
    print_promises(*(table[cell.name] for cell in (THREAD_SLEEPS, TASK_SLEEPS, CALLS)))
    print(row("%load_ext where IPython is imported", extension_ms(repeats), 50, "{:.0f} ms"))
    print(row("output of a cell of ten tracks", ten / 1000, 120, "{:.0f} kB"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
