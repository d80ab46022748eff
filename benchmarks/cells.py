"""The cells that are measured. Each sets `began` and `ended`, so that every tool is timed alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BenchCell:
    """A body, the magic it belongs to, and whether it awaits."""

    name: str
    magic: str
    body: str
    awaits: bool = False

    @property
    def timed(self) -> str:
        """The body between two readings of the clock."""
        return f"import time\nbegan = time.perf_counter()\n{self.body}\nended = time.perf_counter()"


THREAD_SLEEPS = BenchCell(
    "64 sleeps of 20 ms on 8 threads",
    "threads",
    """\
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    list(pool.map(time.sleep, [0.02] * 64))""",
)

TASK_SLEEPS = BenchCell(
    "100 tasks x 20 sleeps of 5 ms",
    "asyncio_trace",
    """\
import asyncio
async def nap():
    for _ in range(20):
        await asyncio.sleep(0.005)
await asyncio.gather(*(nap() for _ in range(100)))""",
    awaits=True,
)

CALLS = BenchCell(
    "2 threads x fib(24)",
    "threads",
    """\
import threading
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
pair = [threading.Thread(target=fib, args=(24,)) for _ in range(2)]
for thread in pair:
    thread.start()
for thread in pair:
    thread.join()""",
)

TEN_TRACKS = BenchCell(
    "ten tasks",
    "asyncio_trace",
    """\
import asyncio
async def work(n):
    for step in range(5):
        await asyncio.sleep(0.002 * n)
await asyncio.gather(*(work(n) for n in range(9)))""",
    awaits=True,
)
