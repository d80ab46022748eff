"""Cells of one story each, run again and again: the first sentence is the same and right each time.

A row is a cell in which waits end because the cell itself ends them, or where one thing holds up all others.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.kernel.conftest import Kernel

sys.path += [str(Path(__file__).parents[1] / "kernel")]  # where a test finds what it imports
from tests.kernel.test_path_of_helpers import PROCESSES, THREADS
from tests.kernel.test_path_of_helpers import SETUP as HELPERS

# Of ten runs, beside nothing and beside eight busy loops.
QUIET, BUSY = 1.0, 0.9
SETUP = HELPERS + "\nimport asyncio, subprocess\nlock = threading.Lock()\n"

_SLEEPS = "time.sleep(0.4)\n"
_ENDS_IT_ITSELF = {
    "thread: Pipe.send, join": "%%threads\nours, theirs = fork.Pipe()\n"
    "t = threading.Thread(target=theirs.recv)\n"
    f"t.start()\n{_SLEEPS}ours.send(None)\nt.join()",
    "process: Pipe.send, join": "%%procs\nours, theirs = fork.Pipe()\np = fork.Process(target=theirs.recv)\n"
    f"p.start()\n{_SLEEPS}ours.send(None)\np.join()",
    "process: Queue.put, join": "%%procs\nq = fork.Queue()\n"
    "p = fork.Process(target=until_none, args=(q,))\n"
    f"p.start()\n{_SLEEPS}q.put(None)\np.join()",
    "idle executor": "%%threads\nwith ThreadPoolExecutor(2) as pool:\n"
    f"    pool.submit(int).result()\n    {_SLEEPS}",
    "idle thread pool": f"%%threads\nwith ThreadPool(2) as pool:\n    pool.apply(int)\n    {_SLEEPS}",
    "idle pool": f"%%procs\nwith fork.Pool(2) as pool:\n    pool.apply(int)\n    {_SLEEPS}",
    "Popen.terminate": f"%%procs\np = subprocess.Popen(['sleep', '60'])\n{_SLEEPS}p.terminate()\np.wait()",
    "task: Event.set": "%%asyncio_trace\ne = asyncio.Event()\nt = asyncio.create_task(e.wait())\n"
    "await asyncio.sleep(0.4)\ne.set()\nawait t",
    "task: cancel": "%%asyncio_trace\nt = asyncio.create_task(asyncio.sleep(60))\nawait asyncio.sleep(0.4)\n"
    "t.cancel()\nawait asyncio.wait([t])",
    "callbacks of a loop": "%%threads\nloop = asyncio.new_event_loop()\n"
    "def tick(left):\n    time.sleep(0.1)\n"
    "    loop.call_soon(tick, left - 1) if left else loop.stop()\nloop.call_soon(tick, 3)\n"
    "loop.run_forever()\nloop.close()",
}
_LOCKED = (
    "%%threads\ndef work():\n    with lock:\n        time.sleep({each})\n"
    "ts = [threading.Thread(target=work) for _ in range({threads})]\n"
    "for t in ts: t.start()\nfor t in ts: t.join()"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A cell, and what its first sentence has to say."""

    name: str
    cell: str
    says: str  # a pattern


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a row's cell, how often, and how many of these are right."""

    row: Row
    sentences: Counter[str]

    @property
    def right(self) -> int:
        """How often the most frequent right sentence was said."""
        return max((n for one, n in self.sentences.items() if re.search(self.row.says, one)), default=0)

    def __str__(self) -> str:
        told = "".join(f"\n      {n:3d} x {one}" for one, n in self.sentences.most_common())
        return f"{self.row.name:30s} {self.right} of {self.sentences.total()}{told}"


def rows() -> Iterator[Row]:
    """All of them."""
    for name, body in THREADS.items():
        yield Row(f"thread: {name}", f"%%threads\n{body}", "sle(ep|pt)")
    for name, body in PROCESSES.items():
        yield Row(f"process: {name}", f"%%procs\n{body}", "sle(ep|pt)")
    for name, cell in _ENDS_IT_ITSELF.items():
        yield Row(name, cell, "sle(ep|pt)")
    for threads, each in ((3, 0.2), (8, 0.1)):
        yield Row(f"one lock, {threads} threads", _LOCKED.format(threads=threads, each=each), r"\[lock")


def said(kernel: Kernel, row: Row, times: int) -> Said:
    """Run the cell so often."""
    sentences: Counter[str] = Counter()
    for _ in range(times):
        kernel.check(SETUP)
        kernel.check(row.cell)
        headline, findings = kernel.value(_SAID)
        sentences[" ".join((_masked(headline), *findings))] += 1
    return Said(row, sentences)


_SAID = (
    "(lambda trace: (trace.report().headline, [f'[{one.lint}]' for one in trace.findings"
    " if one.severity == 'warning']))(concmagic.last())"
)


def _masked(sentence: str) -> str:
    """Without its measured numbers; places and counts of what the cell made stay."""
    sentence = re.sub(r"\d[\d,.]*(\N{NO-BREAK SPACE}| )?(of \d[\d,.]*.)?(ms|s|µs|ns|%)\b", "#", sentence)
    sentence = re.sub(r"\b\d[\d,.]* of #", "# of #", sentence)
    return re.sub(r"^(All of its|# of) #", "#", sentence)
