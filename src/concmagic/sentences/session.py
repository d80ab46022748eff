"""What the session and the public functions say."""

from __future__ import annotations

NO_TRACE_YET = "No cell has been traced yet: put %%asyncio_trace, %%threads, %%procs or %%timeline on one."

CELL_IN_A_CELL = (
    "A traced cell is running, and only one can be recorded at a time: the cell inside it has not run."
)


def words_of(error: BaseException) -> str:
    """An error's type and message; what it is made of may be the user's, and fail in its turn."""
    kind = type(error).__name__
    try:
        message = str(error)
    except Exception:
        return kind
    return f"{kind}: {message}" if message else kind


def recorder_failed(name: str, error: BaseException) -> str:
    """Say which source of evidence is missing, and why."""
    return f"The {name} recorder failed, its evidence is missing ({words_of(error)})."


def call_not_noted(name: str, error: str) -> str:
    """Say what is missing where noting a call failed; the call itself went as ever."""
    return f"Not every call of {name} could be noted, what it would tell is missing ({error})."


def own_thread_failed(error: BaseException) -> str:
    """Say that one of our own threads came to an end before its time; the cell ran as ever."""
    kind = type(error).__name__
    return f"A thread of concmagic's own failed, what it would have noted is missing ({kind}: {error})."


def thread_not_recorded(error: BaseException) -> str:
    """Say that a thread is missing; it ran as ever."""
    return f"One of the cell's threads could not be recorded ({words_of(error)})."


def marks_left_out(kept: int) -> str:
    """More marks than are kept."""
    return f"Only the first {kept:,} marks are kept."


def texts_cut(how_many: int, longest: int) -> str:
    """Names, labels and messages that are shown in part; each of them says how long it is."""
    what = "1 name or text is" if how_many == 1 else f"{how_many:,} names and texts are"
    return f"{what} longer than {longest} characters and shown cut."


def picture_failed(error: BaseException) -> str:
    """Say that there is no picture; the cell's own result is not touched."""
    return f"concmagic could not draw this cell ({words_of(error)}); the cell itself is unharmed."


def borrowed_lost(owner: str, name: str, why: str, serves: str) -> str:
    """Say what is not seen because a name of Python's or of a library's is not what it was."""
    return f"{owner}.{name} is {why} here: {serves} may be missing."


DRAWING_INTERRUPTED = (
    "The picture was interrupted while it was drawn: %timeline draws it. The cell had ended."
)


def runner_failed(error: BaseException) -> str:
    """Say that what of ours runs a cell has failed; the cell ran, or its end is told, as ever."""
    return (
        f"What concmagic puts around a cell to run it failed ({words_of(error)}): "
        "interrupts, --timeout and loops of the cell's own may not have worked as they do elsewhere."
    )


PANDAS_IS_MISSING = "This needs pandas: %pip install 'concmagic[pandas]'."


def no_such_table(table: str, tables: list[str]) -> str:
    """Say which tables there are."""
    return f"There is no table {table!r}; there are {', '.join(tables)}."


def no_such_suffix(name: str, suffixes: list[str]) -> str:
    """Say which files a trace can be saved as."""
    return f"A trace cannot be saved as {name!r}; the suffix says how: {' '.join(suffixes)}."
