"""What has to hold after a cell: it ended as the plain one, and the kernel is as it was before."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from tests.kernel.conftest import Kernel, Run
from tests.soak.cells import Cell

SETTLED_S = 20.0  # only ever reached where something was left
# What Python prints, also in a plain kernel, where a click meets a callback of `os.fork` or a destructor:
# neither can raise.
_IN_A_FORK = re.compile(
    r"Exception ignored in(?: atfork callback|: <function (?:_(?:after|before|release|acquire)|\w+\.__del__))"
)
# What IPython prints, likewise, where a click meets a callback of its kernel's.
_IN_A_CALLBACK = re.compile(r"Error in callback <bound method DisplayPublisher\._on_post_execute .*\n")
# And where a second click meets it as it formats the traceback of the first: this, and its own traceback.
_IN_A_TRACEBACK = "Unexpected exception formatting exception. Falling back to standard exception\n"
_OF_A_CELL = ("active children", "children", "open files", "threads", "native threads", "tasks")
_STOPPED_S = 5.0  # from a click to the end of what does not clean up: a second, and a busy machine
_LATE_S = 4.0  # the picture, children that load what records, and a busy machine


def differences(cell: Cell, run: Run, plain: Run | None) -> Iterator[str]:
    """What the cell did otherwise than it should have, in words."""
    if run.ename == "KeyboardInterrupt" and cell.may_be_stopped:
        wanted = run  # the click came in time
    elif plain is not None:
        wanted = plain
    else:
        wanted = Run("error" if cell.error else "ok", cell.error)
    if run.ename != wanted.ename and not _pool_in_pieces(cell, run):
        yield f"error {_error(run)} instead of {_error(wanted)}"
    elif cell.same_text and plain is not None and run.evalue != wanted.evalue:
        yield f"error text {run.evalue!r} instead of {wanted.evalue!r}"
    value = wanted.result_text if plain is not None else cell.value
    if run.result_text != value and wanted is not run:
        yield f"value {run.result_text} instead of {value}"
    stdout = _without_ipythons(cell, wanted) if plain is not None else cell.stdout
    if stdout is not None and _without_ipythons(cell, run) != stdout:
        yield f"stdout {run.stdout!r} instead of {stdout!r}"
    yield from _strange_words(cell, run, wanted)


def _without_ipythons(cell: Cell, run: Run) -> str:
    stdout = _IN_A_CALLBACK.sub("", run.stdout)
    return stdout.replace(_IN_A_TRACEBACK, "") if len(cell.clicks) > 1 else stdout


def _pool_in_pieces(cell: Cell, run: Run) -> bool:
    """What it raises, also in a plain kernel, where a click met it as it started, or a worker in a message.

    A Pool empties its queue of jobs as it ends, also of the half of one that a worker had not read.
    """
    if cell.kind == "stopped pool":
        return "_help_stuff_finish" in run.traceback_text
    told = "cannot join thread before it is started", "A process in the process pool was terminated abruptly"
    return cell.kind == "stopped process executor" and run.evalue.startswith(told)


def _error(run: Run) -> str:
    return f"{run.ename} ({run.evalue})" if run.ename else "none"


def _strange_words(cell: Cell, run: Run, wanted: Run) -> Iterator[str]:
    if "/concmagic/" in run.traceback_text:
        yield f"a frame of ours in the traceback: {run.traceback_text}"
    ipythons = len(cell.clicks) > 1 and _IN_A_TRACEBACK in run.stdout
    if ipythons or (_IN_A_FORK.search(run.stderr) and run.ename == "KeyboardInterrupt"):
        return
    for word in ("concmagic/", "Traceback (most"):
        if word in run.stderr and word not in wanted.stderr:
            yield f"stderr: {run.stderr[-1500:]}"
            return


def next_cell(kernel: Kernel, number: int, patience_s: float) -> Iterator[str]:
    """What is wrong with a plain cell that comes next."""
    code = "await asyncio.sleep(0, 6*7)" if number % 4 == 0 else "6*7"
    run = kernel.run(code, patience_s)
    if (run.status, run.result_text, run.stdout) != ("ok", "42", ""):
        yield f"the next cell, {code}: {run.ename} {run.evalue} {run.result_text} {run.stdout!r}"


def saved_again(kernel: Kernel, cell: Cell, patience_s: float) -> Iterator[str]:
    """What differs when the trace of this cell was saved and loaded."""
    if "-o traced" in cell.source.partition("\n")[0]:
        differs = kernel.value("_again()", patience_s)
        if differs is not True:
            yield f"its trace, saved and loaded, has other {differs}"


def leftovers(kernel: Kernel, patience_s: float) -> tuple[object, tuple[int, int]]:
    """What was left in the kernel, {} for nothing, and its memory in kB: in use, and resident."""
    limit = time.monotonic() + min(SETTLED_S, patience_s)
    while True:
        kernel.check("probed = changed(before, state()), _memory()", patience_s)
        left, memory_kb = kernel.value("probed", patience_s)
        if left == {} or time.monotonic() > limit:
            return left, memory_kb
        time.sleep(0.1)


def of_ours(left: object, cell: Cell, run: Run) -> object:
    """What was left, without what a cell itself leaves when it is stopped before it has tidied up."""
    untidy = (cell.may_be_stopped or len(cell.clicks) > 1) and run.ename == "KeyboardInterrupt"
    if isinstance(left, dict) and (untidy or _pool_in_pieces(cell, run)):
        return {name: what for name, what in left.items() if name not in _OF_A_CELL}
    return left


def too_late(cell: Cell, run: Run, plain: Run | None, ended_s: float) -> Iterator[str]:
    """A cell that took its time: from the last click to its end, or beside the plain one."""
    if cell.clicks and not cell.may_be_stopped and ended_s > _STOPPED_S:
        yield f"ended {ended_s:.1f} s after the last click"
    if not cell.clicks and plain is not None and run.seconds > 3 * plain.seconds + _LATE_S:
        yield f"took {run.seconds:.1f} s, plain {plain.seconds:.1f} s"
