"""Runs random cells in a traced and a plain kernel side by side, and checks each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from queue import Empty

from tests.kernel.conftest import Kernel, Run, StartedCell
from tests.soak import checks, memory, stuck
from tests.soak.cells import Cell, random_cell
from tests.soak.faults import FAULTS, Fault, let_go, strike_sampler
from tests.soak.kernels import Kernels, started
from tests.soak.tally import Tally

_CAUGHT = b"KeyboardInterrupt caught in kernel"
_GLANCE_S = 2.0  # after which a kernel is asked whether it lives


class Broken(Exception):
    """The kernel died, or does not answer: the next cell needs a new one."""


class Soak:
    """One Python's soak; `with` ends its kernels."""

    def __init__(self, folder: Path, seed: int, patience_s: float, plants: Sequence[str] = ()) -> None:
        self._folder = folder
        self._seed = seed
        self._patience_s = patience_s
        self._plants = plants
        self._stack = ExitStack()
        self._kernels: Kernels | None = None
        self.tally = Tally()
        self.memory = memory.Memory()

    def __enter__(self) -> Soak:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def run(self, seconds: float, numbers: Iterable[int] | None = None) -> None:
        """Run cells until the time is over, or those of these numbers."""
        until = time.monotonic() + seconds
        for number in count(1) if numbers is None else numbers:
            if numbers is None and time.monotonic() > until:
                break
            kernels = self._running()
            cell = random_cell(self._seed, number)
            if "joblib" in cell.kind and not kernels.joblib:
                continue
            try:
                for words in self._one(kernels, cell):
                    self._fail(cell, words)
            except Broken as error:
                if kernels.traced.is_alive:
                    self._fail(cell, f"{error}\n{stuck.told(kernels.pid, kernels.log)}")
                else:
                    self._fail(cell, f"the kernel died: {kernels.log.read_text()[-4000:]}")
                self._stack.close()
                self._kernels = None
        grown = memory.grows(self.memory)
        if grown:
            self.tally.fail(None, grown)

    def _running(self) -> Kernels:
        if self._kernels is None:
            self.tally.kernels += 1
            self.memory = memory.Memory()
            self._stack = ExitStack()
            self._kernels = started(self._stack, self._folder / str(self.tally.kernels), self._plants)
        return self._kernels

    def _fail(self, cell: Cell, words: str) -> None:
        self.tally.fail(cell, words)
        print(f"\nFAILED seed {self._seed} cell {cell.number} ({cell.kind}; {cell.fault or 'no fault'})")
        print(f"  {words}\n  clicks: {cell.clicks}")
        print("\n".join(f"    {line}" for line in cell.source.splitlines()), flush=True)

    def _one(self, kernels: Kernels, cell: Cell) -> Iterator[str]:
        """Run one cell with its fault, and say what was wrong."""
        fault = FAULTS[cell.fault] if cell.fault else Fault()
        broken = [kernels.traced, kernels.plain] if fault.both else [kernels.traced]
        if fault.both:  # a fork has stopped the thread that writes the history: a cell starts it again
            self._answers(broken, "pass")
        self._silently(broken, fault.on)
        plain = kernels.plain.start(cell.plain) if cell.plain else None
        run, clicks, ended_s = self._traced(kernels, cell, fault)
        with self._patience("plain"):
            wanted = plain.wait(self._patience_s) if plain else None
        self._silently(broken, fault.off)
        self.tally.note(cell, clicks)
        if run is None:
            return
        yield from checks.differences(cell, run, wanted)
        yield from checks.too_late(cell, run, wanted, ended_s)
        if cell.after and run.status == "ok":
            with self._patience(cell.after):
                ours, theirs = (each.value(cell.after) for each in (kernels.traced, kernels.plain))
            if ours != theirs:
                yield f"{cell.after} is {ours} instead of {theirs}"
        if run.status != "ok":  # what it would have let go, and another traceback
            self._answers([kernels.traced, kernels.plain], "p = g = t = None\n1 / 0")
        yield from self._afterwards(kernels, cell, run)

    def _traced(self, kernels: Kernels, cell: Cell, fault: Fault) -> tuple[Run | None, int, float]:
        """What the cell did, how often it was clicked, and how long after the last click it ended.

        None where a click met ipykernel as it was answering, a millisecond after the cell's end: it says
        so in its log, and the answer is lost, as it is in a plain kernel.
        """
        said = kernels.log.stat().st_size
        struck = None if cell.fault_delay_s else strike_sampler(kernels.pid, fault.sampler)
        running = kernels.traced.start(cell.source)
        if cell.fault_delay_s:
            time.sleep(cell.fault_delay_s)  # a random moment is what is wanted, here and below
            struck = strike_sampler(kernels.pid, fault.sampler)
        clicks, since = 0, time.monotonic()
        for text, delay_s in cell.clicks:
            try:
                running.wait_for(text, self._patience_s)
            except AssertionError:  # it did not come so far: what it did instead is compared
                break
            time.sleep(delay_s)
            kernels.traced.interrupt()
            clicks, since = clicks + 1, time.monotonic()

        def is_lost() -> bool:
            return clicks > 0 and _CAUGHT in kernels.log.read_bytes()[said:]

        try:
            run = self._end_of(kernels.traced, running, is_lost)
        finally:
            let_go(struck)
        self.tally.lost_replies += run is None
        return run, clicks, time.monotonic() - since

    def _end_of(self, kernel: Kernel, running: StartedCell, is_lost: Callable[[], bool]) -> Run | None:
        limit = time.monotonic() + self._patience_s
        while True:
            try:
                return running.wait(_GLANCE_S)
            except (AssertionError, Empty, RuntimeError) as error:
                if kernel.is_alive and is_lost():
                    return None
                if not kernel.is_alive or time.monotonic() > limit:
                    raise Broken(f"did not end: {error!r}") from error

    def _afterwards(self, kernels: Kernels, cell: Cell, run: Run) -> Iterator[str]:
        with self._patience("the next cell"):
            yield from checks.next_cell(kernels.traced, cell.number, self._patience_s)
        with self._patience("saving and loading"):
            yield from checks.saved_again(kernels.traced, cell, self._patience_s)
        with self._patience("what was left"):
            left, memory_kb = checks.leftovers(kernels.traced, self._patience_s)
        cells = self.tally.cells.total()
        self.memory.traced.append((cells, *memory_kb))
        if left != {}:
            ours = checks.of_ours(left, cell, run)
            if ours != {}:
                yield f"left behind: {ours}"
            self._answers([kernels.traced], "before = state()")
        if cell.number % 4 == 0:
            with self._patience("plain"):
                self.memory.plain.append((cells, *checks.leftovers(kernels.plain, self._patience_s)[1]))

    def _answers(self, kernels: Sequence[Kernel], code: str) -> None:
        for kernel in kernels if code else ():
            with self._patience(f"no answer to {code!r}"):
                kernel.run(code, self._patience_s)

    def _silently(self, kernels: Sequence[Kernel], code: str) -> None:
        """Outside the history, which needs a thread of its own to be written."""
        for kernel in kernels if code else ():
            with self._patience(f"no answer to {code!r}"):
                kernel.value(f"exec({code!r})", self._patience_s)

    @contextmanager
    def _patience(self, words: str) -> Iterator[None]:
        """Raise Broken where a kernel does not answer in time, or is dead."""
        try:
            yield
        except (AssertionError, Empty, RuntimeError) as error:
            raise Broken(f"{words}: {error!r}") from error
