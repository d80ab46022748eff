"""What running a cell can say."""

from __future__ import annotations

from collections.abc import Sequence

from concmagic.problems import words_of
from concmagic.sentences.numbers import duration

NO_TIMEOUT = (
    "--timeout cannot be kept: no thread can be started that would end the cell. It has not run; without "
    "--timeout it will."
)
SETTING_BUDGET = (
    "Events of calls that each process records under --detail auto; then the rest has states only."
)
SETTING_SAMPLER = "Whether a helper process asks the operating system who is on a core."
SETTING_LINTS = "Findings by name: {'gil-bound': False} switches one off."
SETTING_CANCEL = "Whether tasks that a cell leaves running on the kernel's loop are cancelled at its end."
LOOP_OF_ITS_OWN = (
    "Under another magic a cell cannot await on the kernel's event loop: this one ran on a loop of its own."
)
NEEDS_ASYNCIO_RUNNER = "A loop whose items are tasks needs asyncio: switch back with %autoawait asyncio."
TIMELINE_HELP = (
    "%timeline draws the last trace again; "
    "%timeline --save PATH writes it, as the suffix says: .html .svg .txt .json .json.gz; "
    "%timeline --doctor tells what works here, for a bug report"
)
MAGIC_HELP = "Run this cell and draw who ran, who was ready, who waited and for what; -h shows the options."
NO_BODY = "There is no code under this magic's line; -h shows the options."


def cell_timed_out(seconds: float) -> str:
    """Say that --timeout ended the cell."""
    return f"the cell was ended after {duration(seconds * 1e9)} (--timeout)"


PLAIN_CELLS_REFUSE_LOOP = (
    "A plain notebook cell refuses this code, as it runs the event loop that the notebook itself runs on:"
    " here that loop ran on inside the cell."
)


def loop_refused(call: str, argument: str) -> str:
    """Say why a loop could not be run, and what to write: `argument` is what the call was given, if anything."""
    instead = (
        f"write `await {argument}`" if argument else "await what is to end it, `await asyncio.Event().wait()`"
    )
    return f"This cell calls {call} while the loop that the notebook itself runs on is running: {instead} instead."


def loop_left_alone(calls: Sequence[str]) -> str:
    """Say what the cell called on the notebook's own loop that did nothing."""
    names = " and ".join(f"loop.{name}()" for name in calls)
    return f"{names} did nothing: the loop is the notebook's own, and goes on."


def ran_by(runner: str) -> str:
    """Say that the cell ran as %autoawait has it, and what is therefore not in the picture."""
    return f"This cell was run by {runner}, as %autoawait says: of tasks only those of asyncio are seen."


def handled_by_cell(what: str, after_ns: list[int], went_on_ns: int) -> str:
    """Interrupts that did not end the cell: its own code handled them."""
    when = " and after ".join(duration(ns) for ns in after_ns[:3])
    who = "--timeout interrupted the cell" if what == "timeout" else "Interrupted"
    return f"{who} after {when}: the cell's own code handled it, and went on for {duration(went_on_ns)}."


def too_old(name: str, found: str, needed: str) -> str:
    """Say which version of a tool is needed."""
    return f"concmagic needs {name} {needed} or newer, and this is {found}: %pip install -U {name}, then restart."


def saved(path: object) -> str:
    """Say where a trace was written."""
    return f"Saved {path}"


def not_saved(path: object, error: BaseException) -> str:
    """Say why --save wrote nothing."""
    return f"concmagic could not save {path} ({type(error).__name__}: {error})."


STOP_ITERATION_LEFT = "A plain cell raises StopIteration itself: a traced one that awaits is one coroutine, which makes this of it."


NO_TRACE_YET = "No cell has been traced yet: put %%asyncio_trace, %%threads, %%procs or %%timeline on one."


CELL_IN_A_CELL = (
    "A traced cell is running, and only one can be recorded at a time: the cell inside it has not run."
)


def picture_failed(error: BaseException) -> str:
    """Say that there is no picture; the cell's own result is not touched."""
    return f"concmagic could not draw this cell ({words_of(error)}); the cell itself is unharmed."


DRAWING_INTERRUPTED = (
    "The picture was interrupted while it was drawn: %timeline draws it. The cell had ended."
)


PANDAS_IS_MISSING = "This needs pandas: %pip install 'concmagic[pandas]'."


def no_such_table(table: str, tables: list[str]) -> str:
    """Say which tables there are."""
    return f"There is no table {table!r}; there are {', '.join(tables)}."


def no_such_suffix(name: str, suffixes: list[str]) -> str:
    """Say which files a trace can be saved as."""
    return f"A trace cannot be saved as {name!r}; the suffix says how: {' '.join(suffixes)}."
