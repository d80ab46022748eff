"""What loop bodies, their headers and child processes can say."""

from __future__ import annotations

from concmagic.sentences.numbers import count


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


CHILDREN_ENDED = "the cell was interrupted, and the processes that had this job were ended."


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


def more_characters(how_many: int) -> str:
    """What the display of one long value leaves out."""
    return f"… {how_many:,} more characters …"


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
