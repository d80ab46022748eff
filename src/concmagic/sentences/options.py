"""Options and headers: help, and what would be right instead."""

from __future__ import annotations

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
