"""Every sentence the user reads, as whole templates; numbers go through the functions on top."""

from __future__ import annotations

import math


def duration(ns: float) -> str:
    """Write a length of time for a reader: "0.4 µs", "12 ms", "1.25 s", "2 min 05 s"."""
    if math.isnan(ns):
        return "unknown"
    if ns < 0:
        return "-" + duration(-ns)
    if ns < 999.5:
        return f"{ns:.0f} ns"
    if ns < 999_500:
        return f"{_digits(ns / 1e3)} µs"
    if ns < 999_500_000:
        return f"{_digits(ns / 1e6)} ms"
    if ns < 59.95e9:
        return f"{_digits(ns / 1e9)} s"
    minutes, seconds = divmod(round(ns / 1e9), 60)
    return f"{minutes} min {seconds:02d} s"


def number(value: float) -> str:
    """Write a ratio or mean with two significant digits below ten: "3.9", "0.01", "12"."""
    if math.isnan(value):
        return "unknown"
    if value != 0 and abs(value) < 0.005:
        return "0.00" if value > 0 else "-0.00"
    if abs(value) < 0.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < 99.95 else f"{value:,.0f}"


def percent(share: float) -> str:
    """Write a share: "1 %", "under 1 %", "85 %"."""
    if math.isnan(share):
        return "unknown"
    if 0 < share < 0.005:
        return "under 1 %"
    return f"{share * 100:.0f} %"


def count(how_many: int, singular: str, plural: str = "") -> str:
    """Write "1 task", "4 tasks", "1,000 tasks"."""
    word = singular if how_many == 1 else plural or singular + "s"
    return f"{how_many:,} {word}"


def _digits(value: float) -> str:
    """Three significant digits at most, without trailing zeros after the point."""
    if value >= 99.95:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


# ---- the session and the public functions ----------------------------------------------------

NO_TRACE_YET = "No cell has been traced yet: put %%asyncio_trace, %%threads, %%procs or %%timeline on one."


def recorder_failed(name: str, error: BaseException) -> str:
    """Say which source of evidence is missing, and why."""
    return f"The {name} recorder failed, its evidence is missing ({type(error).__name__}: {error})."


def picture_failed(error: BaseException) -> str:
    """Say that there is no picture; the cell's own result is not touched."""
    why = f"{type(error).__name__}: {error}"
    return f"concmagic could not draw this cell ({why}); the cell itself is unharmed."


def not_a_trace(path: object, error: BaseException) -> str:
    """Say what `load` reads."""
    why = f"{type(error).__name__}: {error}"
    return f"{path} is no trace that concmagic saved as .json or .json.gz ({why})."


PANDAS_IS_MISSING = "This needs pandas: %pip install 'concmagic[pandas]'."


def no_such_table(table: str, tables: list[str]) -> str:
    """Say which tables there are."""
    return f"There is no table {table!r}; there are {', '.join(tables)}."


def no_such_suffix(name: str, suffixes: list[str]) -> str:
    """Say which files a trace can be saved as."""
    return f"A trace cannot be saved as {name!r}; the suffix says how: {' '.join(suffixes)}."


# ---- the picture -----------------------------------------------------------------------------

WHERE_IT_WENT = "where it went"
FEW_KEYS = "Click into the picture, then ? shows the keys."


def more_lanes(how_many: int, kind: str) -> str:
    """Name a fold beside lanes that stay."""
    return f"+ {how_many:,} more {_plural(how_many, kind)}"


def all_lanes(how_many: int, kind: str) -> str:
    """Name a fold of a whole family."""
    return f"{how_many:,} {_plural(how_many, kind)}"


def helpers(how_many: int) -> str:
    """Name the fold of what no user made."""
    return f"+ {count(how_many, 'helper')}"


def failed_of(how_many: int) -> str:
    """Say at a fold's end that some of it failed."""
    return f"{how_many:,} failed"


def spread(lengths_ns: list[int]) -> str:
    """Say how long the lanes of a fold took: median, slow ones, slowest."""
    ordered = sorted(lengths_ns)
    picked = [duration(ordered[round((len(ordered) - 1) * share)]) for share in (0.5, 0.95, 1)]
    units = {text.rpartition(" ")[2] for text in picked}
    p50, p95, most = (
        [text.rpartition(" ")[0] for text in picked[:2]] + picked[2:] if len(units) == 1 else picked
    )
    return f"p50 {p50} · p95 {p95} · max {most}"


def state_words(state: str, reason: str, detail: str, place: str) -> str:
    """Say what a track did, as it stands in a box: "ready, loop held by blocker", "sleep 0.5 s"."""
    what = " ".join(word for word in (reason, detail) if word)
    if state == "waiting":
        return what or "waiting"
    if state == "blocking":
        return f"blocking the loop: {' '.join(word for word in (what, place) if word)}".rstrip(": ")
    if state == "unknown":
        return f"not recorded: {what}" if what else "not recorded"
    if state == "running":
        return f"running {place}" if place and not what else f"{what} {place}".strip() or "running"
    return f"{state}, {what}" if what else state


def job_words(job: str, state: str, place: str) -> str:
    """Say which job a worker was at: "n=5, running line 4"."""
    return f"{job}, {state} {place}".rstrip()


def place(file: str, line: int) -> str:
    """Say where: "line 4" of this cell, "In[12]:4", "db.py:88"."""
    if not line:
        return file
    return f"{file}:{line}" if file else f"line {line}"


def mixed(shares: list[tuple[str, float]]) -> str:
    """Say what is in a stretch that is too fine to be drawn one by one."""
    return " · ".join(f"{percent(share)} {word}" for word, share in shares)


def merged_note(stretches: int, shown_from_ns: float) -> str:
    """Say that the picture is coarser than the recording."""
    what = count(stretches, "stretch", "stretches")
    return f"{what} shorter than {duration(shown_from_ns)} are drawn merged, as shares; all sums are exact."


def folded_note(shown_from_ns: float) -> str:
    """Say that lanes within folds are drawn coarser still."""
    return f"Within folds, stretches shorter than {duration(shown_from_ns)} are drawn as shares."


def lanes_left_out(how_many: int) -> str:
    """Say that lanes are in sums and folds only."""
    return f"{count(how_many, 'lane')} can be seen only within their fold: save the trace to see each."


def calls_left_out(tracks: int) -> str:
    """Say that some lanes of a fold do not show their calls."""
    lanes = count(tracks, "lane")
    return f"The calls of {lanes} within folds are not in the picture: save the trace to see them."


def calls_of(track: str) -> str:
    """Name the line of a track's calls in a viewer."""
    return f"{track}: calls"


def picture_alt(headline: str, numbers: str) -> str:
    """The picture for one who cannot see it."""
    return f"Timeline. {headline} {numbers}".strip()


def _plural(how_many: int, kind: str) -> str:
    plural = "processes" if kind == "process" else f"{kind}s"
    return kind if how_many == 1 else plural


NO_LANES = "Nothing ran that has a lane of its own."


def more_findings(how_many: int) -> str:
    """Say that the picture shows the costliest findings only."""
    return f"+ {count(how_many, 'more finding')}"


def band_label(length_ns: int, text: str) -> str:
    """A part of the band: how long, and what."""
    return f"{duration(length_ns)} {text}".rstrip()


def and_more(text: str, how_many: int) -> str:
    """A list's last shown entry, with how many follow."""
    return f"{text} + {how_many}"


def peak_of(peak: int, of: int) -> str:
    """The highest value of a curve, of a ceiling where there is one."""
    return f"at most {peak:,} of {of:,}" if of else f"at most {peak:,}"


# asyncio's tasks


def tasks_lost(error: str) -> str:
    return f"Recording asyncio's tasks stopped in the middle of the cell ({error})."


def foreign_loop_unseen(package: str, error: Exception) -> str:
    return f"The tasks on loops of this {package} could not be recorded ({type(error).__name__}: {error})."


def hook_replaced(name: str) -> str:
    return f"Something else replaced asyncio's {name} during the cell and was left in place."


# ---- running a cell --------------------------------------------------------------------------

SETTING_BUDGET = (
    "Events of calls that each process records under --detail auto; then the rest has states only."
)
SETTING_SAMPLER = "Whether a helper process asks the operating system who is on a core."
SETTING_LINTS = "Findings by name: {'gil-bound': False} switches one off."
SETTING_CANCEL = "Whether tasks that a cell leaves running on the kernel's loop are cancelled at its end."
LOOP_OF_ITS_OWN = (
    "Under another magic a cell cannot await on the kernel's event loop: this one ran on a loop of its own."
)
NEEDS_ASYNCIO_RUNNER = "A cell that awaits needs asyncio's loop: switch back with %autoawait asyncio."
TIMELINE_HELP = (
    "%timeline draws the last trace again; "
    "%timeline --save PATH writes it, as the suffix says: .html .svg .txt .json .json.gz"
)
MAGIC_HELP = "Run this cell and draw who ran, who was ready, who waited and for what; -h shows the options."
NO_BODY = "There is no code under this magic's line; -h shows the options."


def cell_timed_out(seconds: float) -> str:
    """Say that --timeout ended the cell."""
    return f"the cell was ended after {duration(seconds * 1e9)} (--timeout)"


def too_old(name: str, found: str, needed: str) -> str:
    """Say which version of a tool is needed."""
    return f"concmagic needs {name} {needed} or newer, and this is {found}: %pip install -U {name}, then restart."


def saved(path: object) -> str:
    """Say where a trace was written."""
    return f"Saved {path}"


def not_saved(path: object, error: BaseException) -> str:
    """Say why --save wrote nothing."""
    return f"concmagic could not save {path} ({type(error).__name__}: {error})."


# ---- recording calls -------------------------------------------------------------------------


def tool_is_busy(name: str) -> str:
    """Another tool records in this process, so the cell has not run."""
    return f"{name} is recording in this process, and only one tool can. Stop it first: the cell has not run."


def hook_name(hook: object) -> str:
    """Name a profile hook by its function or type, with the module it comes from."""
    named = hook if hasattr(hook, "__qualname__") else type(hook)
    module = getattr(named, "__module__", None)
    name = named.__qualname__
    return f"The profile hook {name if module in (None, 'builtins') else f'{module}.{name}'}"


def native_calls_not_recorded(flaw: str) -> str:
    """This VizTracer's memory is not as expected, so its events are read the slow, safe way."""
    return (
        f"Native calls were not recorded: this VizTracer lays out its memory in a way "
        f"that is not known here ({flaw}). Python functions were."
    )


def first_calls_overwritten() -> str:
    """The ring of events went round."""
    return "More calls were made than fit, and the first of them were overwritten."


def tracer_evicted() -> str:
    """The cell itself started another VizTracer or freed its monitoring tool."""
    return "The cell used another profiler, which ended the recording of calls."


def tracer_gave_up() -> str:
    """VizTracer ends by itself when a return does not fit its stack of calls."""
    return (
        "VizTracer lost track of the call stack (code that switches stacks, such as greenlets, "
        "does that) and recorded no calls from then on."
    )


def threads_not_reached() -> str:
    """Python 3.11 without the C function that sets another thread's profile function."""
    return "Threads that were there before the cell could not be reached: their calls were not recorded."


# --- the sampler ---

NO_SAMPLER_HERE = (
    "Who is on a core cannot be sampled on this system (it has no /proc): "
    "waits for the GIL and for locks are not told apart."
)


def sampler_lost(error: BaseException) -> str:
    """The helper process did not start, did not answer or has died."""
    kind = type(error).__name__
    return f"The sampler was lost ({kind}: {error}): what only it sees is unknown in this cell."


# What the script of the picture says; {x} is filled in there.
PICTURE_WORDS = {
    "canvas": "Timeline. Arrow keys move, plus and minus zoom, Home shows all, question mark lists the keys.",
    "keys": (
        "Ctrl/⌘ + wheel or pinch: zoom · wheel: zoom, once you clicked into the picture · drag or ← →: move · "
        "↑ ↓: choose a lane · + −: zoom · Home: all · Backspace or u: undo a zoom · Enter: fold · "
        "Esc: leave · ?: this list"
    ),
    "hint": "Click a lane for details. ? shows the keys.",
    "hintCalls": "Click a lane for details and calls. ? shows the keys.",
    "calls": ["{n} × {name}", "{n} shorter calls", "{x} in all", "{n} deeper calls are not drawn"],
    "noCalls": "calls were not recorded from here on",
    "fit": "Fit",
    "undo": "Undo zoom",
    "where": "where it went",
    "noLanes": NO_LANES,
    "zoomTo": "Show this on the timeline",
    "highlight": "Highlight this state",
    "merged": "Too fine to be drawn one by one",
    "length": "for {x}",
    "since": "from {x}",
    "alive": "In all",
    "returned": "returned",
    "flows": [
        ["started by {x}", "started {x}"],
        ["woken by {x}", "woke {x}"],
        ["submitted by {x}", "submitted to {x}"],
        ["result from {x}", "result to {x}"],
        ["sent by {x}", "sent to {x}"],
        ["released by {x}", "released {x}"],
        ["{x} ended", "joined by {x}"],
    ],
    "states": ["running", "blocking the loop", "ready", "waiting", "starting", "not recorded"],
}


# ---- options and headers ---------------------------------------------------------------------

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
    """The same option again."""
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


# ---- child processes -------------------------------------------------------------------------


def cannot_be_sent(name: str, why: str) -> str:
    """Say that a function or class of the notebook cannot go to a child."""
    return f"{name} cannot be sent to a child process: {why}"


def variable_cannot_be_sent(name: str, variable: str, kind: str) -> str:
    """Say which variable keeps a function or class from going to a child."""
    return (
        f"{name} cannot be sent to a child process: it uses the variable {variable!r}, "
        f"and a {kind} cannot be pickled. Make it inside the child."
    )


def argument_cannot_be_sent(place: str, kind: str, variable: str) -> str:
    """Say which argument of a Process cannot go to the child."""
    which = f"{place} (the variable {variable!r})" if variable else place
    return f"{which} cannot be sent to a child process: a {kind} cannot be pickled."


def pool_cannot_start(why: str) -> str:
    """Say why a pool was stopped."""
    return f"the workers of this pool cannot start: {why}"


def died_at_start(name: str, exit_code: int | None) -> str:
    """Say that a worker died before it could take a job, when it told nothing itself."""
    return f"{name} died at its start ({ended_how(exit_code)})"


def ended_how(exit_code: int | None) -> str:
    """How a process ended: "exit code 1", "killed by SIGKILL"."""
    if exit_code is None:
        return "its exit code is not known"
    if exit_code >= 0:
        return f"exit code {exit_code}"
    import signal

    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"killed by signal {-exit_code}"


def child_never_started(name: str, why: str) -> str:
    """Say that a child could not start."""
    return f"{name} could not start: {why}"


def child_left_running(name: str) -> str:
    """Say what is missing of a child that has outlived its cell."""
    return f"{name} was still running when the cell ended: its calls and threads are not here."


def child_told_nothing(name: str, exit_code: int | None) -> str:
    """Say what is missing of a child that was ended before it could hand over."""
    return f"{name} handed nothing over ({ended_how(exit_code)}): its calls and threads are missing."


PARTLY_RUNNING = "running for a part"
SEVERAL = "several, too fine"
RETURN_IN_BODY = (
    "A loop body has no `return`: end it with the value as its last line, or an item with `continue`"
)
YIELD_IN_BODY = "A loop body cannot `yield`: its value is that of its last line"
BREAK_IN_BODY = "A loop whose items run at the same time has no `break`: `continue` ends one item"
STAR_IN_BODY = "`import *` cannot be in a loop body: put it in a cell before this one"
FUTURE_IN_BODY = "`from __future__` cannot be in a loop body: put it in a cell before this one"
MAGIC_IN_BODY = "A child process has no IPython: a body under %%procs takes no %magic, no !command"


def at_line(sentence: str, line: int) -> str:
    """A sentence about one line of the cell."""
    return f"{sentence} (line {line})."


def await_in_body(model: str) -> str:
    """Threads and processes have no event loop."""
    return f"%%{model} cannot await: for a body with `await` use %%asyncio_trace."


def await_in_header(header: str) -> str:
    """The header awaits where there is no event loop."""
    return f"Only %%asyncio_trace can await in a header: {header}"


def global_of_header(name: str) -> str:
    """`global` of a name that the header binds."""
    return f"`global {name}` cannot be: the header gives each item a {name} of its own."


def target_is_no_name(target: str) -> str:
    """The header's target stores into something."""
    return f"A header binds names, as in `for url in urls` or `for a, b in pairs`; {target} is none."


def bad_header(header: str, why: str | None) -> str:
    """Python cannot read the header."""
    return f"Python cannot read this header ({why}): {header}. It is written like `for url in urls`."


def body_in_header(header: str) -> str:
    """There are statements behind the colon."""
    return f"The loop's body stands under the magic's line, not on it: {header}"


def is_local_to_item(name: str) -> str:
    """A body reads a name that it assigns."""
    return (
        f"What a loop body assigns is local to each item, like a function's: "
        f"`global {name}` makes {name} the notebook's."
    )


def item_note(number: int, of: int | None, label: str) -> str:
    """Which item an exception belongs to."""
    return f"item {number:,} of {of:,}: {label}" if of is not None else f"item {number:,}: {label}"


def items_failed(how_many: int, of: int) -> str:
    """The title of an ExceptionGroup."""
    return f"{how_many:,} of {count(of, 'item')} failed"


def more_values(how_many: int) -> str:
    """What the display of a long list leaves out."""
    return f"… {how_many:,} more …"


def workers_note(how_many: int | None, model: str) -> str:
    """How many run at once where -w does not say it."""
    if how_many is None:
        return "No -w: every item has its task at once."
    if model == "procs":
        return f"{count(how_many, 'worker')} (no -w: one per usable core)."
    return f"{count(how_many, 'worker')} (no -w: cores + 4, at most 32)."


def sentence(text: str) -> str:
    """Begin with a capital letter."""
    return text[:1].upper() + text[1:]


def worker_did_not_start(name: str, exit_code: int | None, why: str) -> str:
    """A worker ended before it could run anything."""
    return f"{name} could not start: {why or f'it ended with exit code {exit_code}'}."


def worker_died(name: str, exit_code: int | None) -> str:
    """A worker was killed in the middle of an item."""
    how = "" if exit_code is None else f" ({'signal ' if exit_code < 0 else 'exit code '}{abs(exit_code)})"
    return f"{name} died while it ran this item{how}"


RESULT_CANNOT_BE_SENT = (
    "The value of the body's last line cannot be sent back to the notebook: end the body with one that can."
)
ITEM_CANNOT_BE_SENT = "The item cannot be sent to another process."


# ---- the trace -------------------------------------------------------------------------------

EVENT_LOOP = "event loop"
STARTING_PYTHON = "Python"
UNPICKLING = "imports, unpickling"


def held_by(who: str, how_many: int) -> str:
    """Who kept a task from running: one that held the loop, or many in turn."""
    if who:
        return f"held by {who}"
    return f"{count(how_many, 'step')} of others first" if how_many else ""


def longest_step(length_ns: int, who: str) -> str:
    """The longest step or callback of a loop."""
    return f"longest step {duration(length_ns)}" + (f" ({who})" if who else "")


def scheduling_delay(p50_ns: int, p99_ns: int, max_ns: int) -> str:
    """How long tasks were ready before they had their step."""
    delays = f"p50 {duration(p50_ns)}, p99 {duration(p99_ns)}, at most {duration(max_ns)}"
    return f"ready before a step: {delays}"


def lock_held_by(who: str) -> str:
    """Who had the lock that a task waited for."""
    return f"(held by {who})"


def in_pool(name: str) -> str:
    """Where an executor job ran."""
    return f"in {name}"


def cancelled_by(who: str) -> str:
    """Who cancelled a task."""
    return f"by {who}" if who else ""


def merged_steps(how_many: int) -> str:
    """Say that a state stands for many short steps: its length is exact, its place is not."""
    return f"{count(how_many, 'short step')}, summed"


def evidence_unreadable(what: str, error: BaseException) -> str:
    """Say which evidence could not be read."""
    return f"The recorded {what} could not be read ({type(error).__name__}: {error})."


def newer_format(number: object) -> str:
    """A saved trace of a later version."""
    return f"This trace was saved by a later concmagic (format {number}); install that version to read it."


# ---- findings --------------------------------------------------------------------------------

LINT_BLOCKED_EVENT_LOOP = "A task that does not await keeps every other task of its event loop from running."
LINT_LEFT_RUNNING = "What a cell leaves running goes on behind later cells."
LINT_EXCEPTION_IN_THREAD = "An exception ends its thread only; the cell does not see it."
LINT_CHILD_DIED = "A child process that dies takes its result with it."
LEFT_RUNNING_HINT = "Wait for it: await the task, join the thread or process, or leave the pool's with block."
EXCEPTION_IN_THREAD_HINT = "A thread pool's future.result() would raise it here."
NO_FINDINGS = "The checks found nothing that made this cell slower."


def lint_failed(name: str, error: BaseException) -> str:
    """A check that could not be made."""
    return f"The check {name} failed ({type(error).__name__}: {error})."


def computing_in(name: str) -> str:
    """What held the loop where it was no blocking call."""
    return f"a step of {name}"


def blocked_loop(
    held_ns: int, wall_ns: int, what: str, where: str, times: int, ready: int, who: str = ""
) -> str:
    """The loop was held while others were ready."""
    at = f" at {where}" if where else ""
    often = f", {times:,} times," if times > 1 else ""
    were = "was" if ready == 1 else "were"
    return (
        f"For {of_total(held_ns, wall_ns)} nobody else could run: {what}{at}{often} "
        f"blocked the loop while {count(ready, 'task')} {were} ready{f' ({who})' if who else ''}."
    )


def blocked_loop_hint(called: str) -> str:
    """What would help."""
    if called == "time.sleep":
        return "await asyncio.sleep(…) lets the others run meanwhile."
    if called:
        return f"await asyncio.to_thread(…) moves {called} off the loop, or use its async counterpart."
    return "Computing belongs into a process, or between awaits: await asyncio.sleep(0) now and then."


def of_total(part_ns: float, total_ns: float) -> str:
    """Write a part of a whole with one unit where both have it: "300 of 352 ms", "1.2 of 6 s"."""
    part, whole = duration(part_ns), duration(total_ns)
    number_text, _, unit = part.partition(" ")
    return f"{number_text} of {whole}" if unit and whole.endswith(f" {unit}") else f"{part} of {whole}"


def names(all_names: list[str], most: int) -> str:
    """Write "a", "a and b", "a, b and 3 more"."""
    if len(all_names) <= most:
        *first, last = all_names
        return f"{', '.join(first)} and {last}" if first else last
    return f"{', '.join(all_names[: most - 1])} and {len(all_names) - most + 1:,} more"


def left_running(all_names: list[str], kind: str, most: int) -> str:
    """What goes on after the cell."""
    verb = "is" if len(all_names) == 1 else "are"
    return f"{names(all_names, most)} {verb} still running after the cell."


def exception_in_thread(name: str, error: str) -> str:
    """A thread that died of an exception."""
    return f"Thread {name} ended with {error.removeprefix('raised ')}; the cell went on without its result."


def child_died(name: str, outcome: str, detail: str) -> str:
    """A child process that did not end well."""
    how = f"ended with {outcome}" if outcome.startswith("exit code") else f"was {outcome}"
    return f"Process {name} {how}{f': {detail}' if detail else ''}."


def child_died_hint(outcome: str) -> str:
    """The usual cause of this end."""
    if outcome == "killed by SIGKILL":
        return "The operating system does this to a process that needs more memory than there is."
    if outcome == "killed by SIGSEGV":
        return "It crashed in native code: python -X faulthandler shows where."
    return ""


# ---- threads and the GIL ---------------------------------------------------------------------

GIL = "GIL"
GIL_FREE = "free"
NO_GIL = "This Python has no GIL: its threads can compute side by side."
LINT_GIL_BOUND = "Only the thread that has the GIL computes in Python; more threads do not make it faster."
LINT_FEW_CORES = "More workers that compute than cores to compute on only take turns on the cores."
LINT_UNEVEN_WORK = "Where one worker gets more than its share, the others are idle until it has ended."
LINT_OVERSUBSCRIBED = "Where workers and the threads of their libraries outnumber the cores, they take turns."
FEW_CORES_HINT = "As many workers as cores would take as long, and less memory."
UNEVEN_WORK_HINT = "Hand out smaller pieces, the largest first, so that all end together."
OVERSUBSCRIBED_HINT = "One thread per worker, by OMP_NUM_THREADS=1 or threadpoolctl, leaves each a core."


def gil_share(contended: float) -> str:
    """What stands at the end of the GIL's lane."""
    return f"contended {percent(contended)}"


def gil_bound(threads: int, contended_ns: float, wall_ns: float, used: float, cores: int) -> str:
    """Threads that compute, one at a time."""
    return (
        f"For {of_total(contended_ns, wall_ns)} threads wanted the GIL while another had it: "
        f"{count(threads, 'thread')} computed, on {number(used)} of {count(cores, 'core')}."
    )


def gil_bound_hint(saved_ns: float) -> str:
    """What processes might give: an upper bound, from this run's own times."""
    return (
        f"%%procs might take up to {duration(saved_ns)} less, but for starting the processes, "
        "if what the work reads can be pickled."
    )


def few_cores(workers: int, kind: str, cores: int, lasting_ns: float, wall_ns: float) -> str:
    """More workers that compute than cores."""
    return (
        f"For {of_total(lasting_ns, wall_ns)} more {kind} computed than there are cores: "
        f"up to {number(workers)} on the {count(cores, 'core')} that this kernel may use."
    )


def uneven_work(last: str, alone_ns: float, wall_ns: float, workers: int) -> str:
    """One worker computed long after the others had ended."""
    return (
        f"{last} computed on its own for {of_total(alone_ns, wall_ns)}: "
        f"of {count(workers, 'worker')} it was the last to end."
    )


def oversubscribed(native: float, workers: float, cores: int) -> str:
    """Libraries' own threads beside workers that fill the cores already."""
    return (
        f"Native threads of libraries wanted {number(native)} cores beside {number(workers)} workers "
        f"that computed at once, on {count(cores, 'core')}."
    )


# Findings about asyncio

LINT_MANY_SMALL_BLOCKS = "Blocking calls that are short, but many, keep the tasks of a loop waiting."
LINT_STARVED_TASK = "A task that is seldom served although it is ready."
LINT_SEQUENTIAL_AWAITS = "Waits that do not need each other, one after the other, take their sum."
LINT_NEVER_AWAITED = "Calling an async function only makes a coroutine: without await nothing of it runs."
LINT_NEVER_RETRIEVED = "A task keeps its exception to itself until somebody awaits it."
LINT_CONCURRENCY_CAPPED = "A semaphore bounds how many are in flight; the others queue."
LINT_DEADLOCK = "Tasks that wait for each other in a circle wait for ever."
STARVED_HINT = (
    "Tasks are served in turn: fewer of them at once, or fewer steps each, lets this one run more often."
)
NEVER_RETRIEVED_HINT = "Await the task, or let asyncio.TaskGroup do it: then its exception is raised."
DEADLOCK_HINT = "Take locks in the same order everywhere, and let no task await one that awaits it."
CAPPED_HINT = "A larger bound lets more wait at once, if the other side can take it."


def small_blocks(times: int, what: str, where: str, held_ns: int, wall_ns: int, who: str) -> str:
    """Many short blocking calls."""
    at = f" at {where}" if where else ""
    return (
        f"{what}{at} blocked the loop {times:,} times, together for "
        f"{of_total(held_ns, wall_ns)}, while others were ready ({who})."
    )


def starved(name: str, ready_ns: int, life_ns: int) -> str:
    """A task that seldom had its turn."""
    return f"{name} was ready but not served for {of_total(ready_ns, life_ns)} of its life, far longer than the others."


def never_awaited(name: str, how_many: int, where: str) -> str:
    """A coroutine that never ran."""
    at = f" at {where}" if where else ""
    often = f" {how_many:,} times" if how_many > 1 else ""
    return f"{name}() was called{often}{at} and never awaited: nothing of it ran."


def never_awaited_hint(name: str) -> str:
    """What was probably meant."""
    return f"await {name}(…), or asyncio.create_task({name}(…)) to let it run beside the rest."


def never_retrieved(name: str, error: str) -> str:
    """A task that failed unseen."""
    return f"Task {name} failed with {error.removeprefix('raised ')}, and nothing asked for its result."


def sequential_awaits(how_many: int, what: str, where: str, took_ns: int, saved_ns: int) -> str:
    """Waits one after the other that need not be."""
    return (
        f"{how_many:,} × await {what} at {where} waited one after the other, {duration(took_ns)} in all: "
        f"at once they would take about {duration(saved_ns)} less."
    )


def sequential_awaits_hint(what: str, in_loop: bool) -> str:
    """How to wait at once."""
    if in_loop:
        return f"await asyncio.gather(*({what} for …)), or one task each in an asyncio.TaskGroup."
    return f"await asyncio.gather({what}, {what}, …), or one task each in an asyncio.TaskGroup."


def capped(most: int, name: str, where: str, queued: int, wait_ns: int) -> str:
    """A semaphore that bounds how many are in flight."""
    what = f"`{name}`" if name else "a semaphore"
    return f"Never more than {most:,} in flight: {what}, {where}; {queued:,} queued for {duration(wait_ns)}."


def waits_for(name: str, what: str, where: str, whom: str) -> str:
    """One link of a wait-for chain."""
    at = f" ({where})" if where else ""
    return f"{name} waits for {what}{f', held by {whom}' if whom else ''}{at}"


def deadlock(links: list[str]) -> str:
    """A cycle of waits."""
    return f"Deadlock: {', '.join(links)}."


def still_waiting(links: list[str]) -> str:
    """What a task waited for when the time was up."""
    return f"{', '.join(links)}."


# ---- the report ------------------------------------------------------------------------------

IN_FLIGHT = "in flight"
ON_A_CORE = "on a core"
OTHER_PARTS = "other, each shorter"
STATE_LABELS = {
    "running": "running",
    "blocking": "blocking the loop",
    "ready": "ready, kept waiting",
    "waiting": "waiting",
    "starting": "starting",
    "unknown": "not recorded",
}
CONCURRENCY_HELP = (
    "How many units of work (tasks, jobs, threads or processes) had begun and not ended, on average over "
    "the cell; one that waits for another it started does not count."
)
PARALLELISM_HELP = "How many threads or processes computed at the same instant, on average over the cell."
PARALLELISM_FROM_CLOCK = (
    "CPU time divided by wall time, because for part of the cell it was not recorded who was on a core."
)

# What a wait is called in "where it went"; others are "waiting for …".
_WAITS = {
    "": "waiting",
    "sleep": "sleeping",
    "events": "waiting for events",
    "select": "waiting for I/O",
    "socket": "waiting for the network",
    "for work": "waiting for work",
    "thread start": "starting threads",
    "subprocess": "waiting for a subprocess",
    "lock": "waiting for a lock",
    "read": "reading",
    "write": "writing",
    "disk": "waiting for the disk",
    "database": "waiting for a database",
    "join": "waiting for an end (join)",
    "pool": "waiting for a pool",
    "result": "waiting for a result",
    "task": "waiting for a task",
    "merged": "waiting",
}


def path_words(state: str, reason: str, detail: str) -> str:
    """Name a part of "where it went"."""
    if state == "running":
        return "computing"
    if state == "blocking":
        return f"blocked in {reason}" if reason else "blocked"
    if state == "ready":
        return "ready, wanting the GIL" if reason == "GIL" else "ready, kept waiting"
    if state == "waiting":
        return _WAITS.get(reason, f"waiting for {reason}")
    if state == "starting":
        return f"starting {detail}" if detail == STARTING_PYTHON else "starting"
    return "not recorded"


def ended_early(outcome: str, wall_ns: int) -> str:
    """How a cell ended that did not return."""
    if outcome == "interrupted":
        return f"Interrupted after {duration(wall_ns)}."
    return f"{outcome[:1].upper()}{outcome[1:]} after {duration(wall_ns)}."


def nothing_happened() -> str:
    """An empty trace."""
    return "There was nothing to see in this cell."


def computed_in_parallel(who: str, used: float, cores: int) -> str:
    """More than one core computed at once."""
    whose = f"{_plural(2, who)} computed" if who != "unit" else "the work was computed"
    return f"On average {number(used)} of {count(cores, 'core')} worked at once: {whose} side by side."


def took_turns(how_many: int, used: float, cores: int) -> str:
    """Threads that computed one at a time."""
    return f"{how_many:,} threads took turns: {number(used)} of {count(cores, 'core')} used on average."


def took_turns_on_one_core(how_many: int) -> str:
    """Threads that computed one at a time because there is one core."""
    return f"{how_many:,} threads took turns on the only core."


def overlapped(peak: int, who: str, useful_ns: float, wall_ns: int) -> str:
    """Waits and work that lay side by side."""
    whose = f"{count(peak, who, _plural(2, who))} at once" if who != "unit" else f"{peak:,} at once"
    return f"Up to {whose}: {duration(useful_ns)} of waiting and computing fit into {duration(wall_ns)}."


def mostly_unknown(part_ns: int, wall_ns: int) -> str:
    """When evidence is missing, that is the answer."""
    return f"For {of_total(part_ns, wall_ns)} it was not recorded what the cell did."


def largest_part(part_ns: int, wall_ns: int, words: str, where: str, alone: bool) -> str:
    """What the cell's end waited for longest."""
    at = f", at {where}" if where else ""
    one_by_one = ", one thing at a time" if alone else ""
    if words.startswith(("blocked", "ready")):
        return f"{_capital(of_total(part_ns, wall_ns))} was spent {words}{at}."
    if part_ns >= 0.99 * wall_ns:
        return f"All of its {duration(wall_ns)} went into {words}{at}{one_by_one}."
    return f"{_capital(of_total(part_ns, wall_ns))} went into {words}{at}{one_by_one}."


def at_most_units(peak: int, kinds: list[str]) -> str:
    """The note of the concurrency chip."""
    if len(kinds) == 1:
        return f"at most {peak:,} {_plural(peak, kinds[0])}"
    return f"at most {peak:,} at once"


def and_the_cell(note: str) -> str:
    """The cell itself was at work beside them."""
    return f"{note} and the cell"


def at_most_cores(peak: int, cores: int, certain: bool) -> str:
    """The note of the parallelism chip; where the peak was not seen, only the cores are told."""
    of = count(cores, "core")
    return f"at most {peak:,} of {of}" if certain else f"of {of}, from CPU time"


def tracing_cost(share: float) -> str:
    """What tracing took of the cell."""
    return f"tracing cost about {percent(share)}" if share >= 0.005 else "tracing cost under 1 %"


def hidden_tracks(threads: int, tasks: int) -> str:
    """Say what is left out of the picture."""
    parts = [count(n, f"{kind}") for n, kind in ((threads, "thread"), (tasks, "task")) if n]
    if not parts:
        return ""
    return (
        f"{' and '.join(parts)} of the kernel's own {'is' if threads + tasks == 1 else 'are'} hidden (--all)."
    )


def calls_kept(until_ns: int) -> str:
    """Say that the budget for calls was used up."""
    return f"Calls were recorded for the first {duration(until_ns)} only; states are whole."


def steps_merged(how_many: int) -> str:
    """Say that not every step was kept by itself."""
    return f"{count(how_many, 'short step')} of tasks were summed; totals are exact."


def native_threads(cores: float) -> str:
    """CPU time that no Python thread explains."""
    return f"Native threads (BLAS, OpenMP and the like) used {number(cores)} more cores on average."


def loop_share(share: float, state: str) -> str:
    """What stands at the end of an event loop's lane."""
    return f"{percent(share)} {'blocked' if state == 'blocking' else 'busy'}"


def lane_text(state: str, reason: str, length_ns: int) -> str:
    """What stands at a lane's end: "blocking 300 ms", "sleep 1.2 s"."""
    word = "not recorded" if state == "unknown" else reason or state
    return f"{word} {duration(length_ns)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
