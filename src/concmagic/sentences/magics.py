"""What the magics say: options and their help, what running a cell can say, and what --doctor tells."""

from __future__ import annotations

from collections.abc import Sequence

from concmagic.problems import words_of
from concmagic.sentences.numbers import duration

OPTIONS_TITLE = "Options, before `for`:"
EXAMPLES_TITLE = "Examples:"
OPTION_HELP = {
    "workers": "how many at once (needs a `for` header)",
    "keep_going": "run every item, then raise what failed as one ExceptionGroup",
    "results_name": "bind the cell's value, under a header the list of the items' values",
    "trace_name": "bind the Trace",
    "save": "write the picture or the trace: .html .svg .txt .json .json.gz",
    "detail": "which calls: within a budget (auto), all (calls), none (states)",
    "predict": "fold the picture under this question",
    "timeout": "end the cell after this time",
    "show_all": "show the kernel's own tracks and library internals, too",
    "quiet": "no picture",
    "start_method": "how child processes start",
    "help": "this text",
}
MAGIC_DOES = {
    "asyncio": (
        "%%asyncio_trace runs the cell and draws its tasks; "
        "with a `for` header the cell is a loop body, run as one task per item."
    ),
    "threads": (
        "%%threads runs the cell and draws its threads; "
        "with a `for` header the cell is a loop body, run by a pool of threads."
    ),
    "procs": (
        "%%procs runs the cell and draws its processes; "
        "with a `for` header the cell is a loop body, run by a pool of processes."
    ),
    "timeline": "%%timeline runs the cell as it stands and draws whatever it uses: tasks, threads, processes.",
}
EXAMPLES = {
    "asyncio": (
        "  %%asyncio_trace                           a whole cell, which may `await`",
        "  %%asyncio_trace -w 10 for url in urls     one task per url, ten in flight",
    ),
    "threads": (
        "  %%threads                                 a whole cell that makes its own threads",
        "  %%threads -w 8 -r pages for url in urls   one job per url, eight at once",
    ),
    "procs": (
        "  %%procs --start-method spawn              a whole cell that makes its own processes",
        "  %%procs -w 4 for n in numbers             one job per number, four at once",
    ),
    "timeline": (
        "  %%timeline                                a whole cell",
        '  %%timeline --predict "Who is first?"      the picture folded under a question',
    ),
}
WHOLE_CELLS_ONLY = (
    "%%timeline takes whole cells only: a `for` header needs %%asyncio_trace, %%threads or %%procs."
)


def option_after_for(word: str) -> str:
    """An option in the header."""
    return f"Options stand before `for`: move {word} there (a subtraction is written with blanks, `a - b`)."


def option_twice(flag: str) -> str:
    """An option that is given twice."""
    return f"{flag} stands there twice; one is enough."


def help_stands_alone(flag: str) -> str:
    """Help was asked for beside other things."""
    return f"{flag} stands alone on the magic's line; nothing has run."


def option_takes_no_value(flag: str) -> str:
    """A switch with a value."""
    return f"{flag} takes no value: write {flag} alone."


def option_needs_value(flag: str, needs: str) -> str:
    """The value is missing."""
    return f"{flag} needs {needs} after it."


def wrong_value(flag: str, needs: str, value: str) -> str:
    """The value cannot be one."""
    return f"{flag} needs {needs}, not {value!r}."


def quote_not_closed(text: str) -> str:
    """A quote opens and never closes."""
    return f"A quote is not closed: {text}"


def no_such_option(magic: str, flag: str, meant: str) -> str:
    """Nobody knows this option."""
    hint = f"did you mean {meant}?" if meant else "-h shows the options."
    return f"{magic} has no option {flag}; {hint}"


def option_of_another(flag: str, magic: str) -> str:
    """Another magic knows this option."""
    if flag == "--start-method":
        return f"{magic} starts no processes: {flag} is an option of %%procs."
    return (
        f"{magic} takes whole cells only: {flag} is for loops, under %%asyncio_trace, %%threads or %%procs."
    )


def not_a_header(magic: str, word: str, whole_cells_only: bool) -> str:
    """A word that is neither an option nor the beginning of a header."""
    after = "nothing" if whole_cells_only else "nothing or a header like `for url in urls`"
    return f"{word!r} is no option of {magic}: after the options comes {after}."


def needs_a_header(flag: str, magic: str) -> str:
    """An option that means nothing for a whole cell."""
    return f"{flag} is for loops, and this is a whole cell: write {magic} {flag} … for item in items."


def one_name_twice(name: str) -> str:
    """-r and -o would bind the same name."""
    return f"-r and -o cannot both bind {name!r}: take two names."


def async_for_elsewhere(magic: str) -> str:
    """`async for` needs a loop to await on."""
    return f"{magic} cannot await: `async for` needs %%asyncio_trace."


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


DOCTOR_READS = "What is read of Python and of libraries beyond their interfaces, and tried just now:"
DOCTOR_ALL_WORKS = "All of it works here."
DOCTOR_WORKS = "works"
DOCTOR_FAILS = "FAILS"
DOCTOR_HERE = "here"
DOCTOR_LACKS = "Names that this version should have, and that are missing:"
DOCTOR_LAST = "The last trace told:"
DOCTOR_NO_LAST = "No cell has been traced yet."
DOCTOR_LAST_WELL = "The last trace told of no problem."
DOCTOR_NOT_INSTALLED = "not installed"

# By the names of the table of capabilities: what it is, and what is lost without it.
CAPABILITIES = {
    "calls": (
        "VizTracer's memory",
        "Calls of C functions have no names, and the budget of calls cannot end them.",
    ),
    "profiles": ("profile functions of all threads", "Calls of threads that were there before the cell."),
    "monitoring": ("sys.monitoring", "Calls, and each use of a lock."),
    "with locks": ("the lock of a `with`", "Which lock a `with` waits for, and who has it."),
    "value stack": ("values on a frame's stack", "Locks of `with`, and where locks were made."),
    "lock words": ("the word that a lock's waiters sleep on", "Which lock a sleeping thread waits for."),
    "GIL": ("the place of the GIL", "Who has the GIL, and who wants it."),
    "frames": ("frames of other threads", "Where threads stand when a cell is interrupted or hangs."),
    "threads": (
        "what threads run",
        "Names and ends of threads, what they died of, and locks that they joined by.",
    ),
    "executors": ("jobs of concurrent.futures", "Jobs of executors, and dropping them after an interrupt."),
    "task steps": ("steps of tasks", "Tasks and their states."),
    "task waits": ("fields of asyncio's objects", "Why tasks waited, and who woke them."),
    "running loops": ("which loop runs", "`asyncio.run` and `run_until_complete` inside a traced cell."),
    "process start": ("how processes start", "What child processes did, and when their own code began."),
    "imports": ("how Python imports modules", "What child processes imported."),
    "pools": ("the inside of multiprocessing's Pool", "Why a pool's workers do not start."),
    "messages": ("messages between processes", "Messages, and which worker had which job."),
    "process locks": ("locks of multiprocessing", "Who ended a wait of another process."),
    "pickling": ("packing code of the notebook", "Functions of the notebook in processes that are spawned."),
    "named resources": (
        "names of shared memory",
        "Removing shared memory of processes that an interrupt ended.",
    ),
    "notebook": ("how IPython runs cells", "Whether a cell awaits, and its own line numbers."),
    "texts": (
        "texts of warnings and errors",
        "What was never awaited, and advice for names without a value.",
    ),
}


def doctor_title(concmagic: str, python: str, implementation: str) -> str:
    """The first line."""
    return f"concmagic {concmagic} on {implementation} {python}"


def doctor_fails(why: str, lost: str) -> str:
    """A capability that is not to be had here: what differed, and what that costs."""
    return f"FAILS ({why}). Lost: {lost}" if why else f"FAILS. Lost: {lost}"


def doctor_count(failed: int, tried: int) -> str:
    """How many do not work."""
    return f"{failed} of {tried} do not work here:"
