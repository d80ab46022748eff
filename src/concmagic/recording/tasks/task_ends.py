"""How a task ended, and where what it raised came from."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Any

from concmagic.code_owner import owner_of
from concmagic.interpreter.asyncio_fields import error_of
from concmagic.recording.labels import cut
from concmagic.recording.tasks.task_table import TaskEntry, user_name
from concmagic.records.recording import CodeLine

_LONGEST_TEXT = 200  # of an exception's text
_FRAMES_AT_EACH_END = 10  # of a traceback: endless recursion has a thousand


def note_end(entry: TaskEntry, task: Any, at_ns: int) -> None:
    """Write down how a finished task ended, without counting as someone who retrieved its exception."""
    entry.ended_ns = at_ns
    entry.name = user_name(task)
    if task.cancelled():
        entry.outcome = "cancelled"
        cancelling = getattr(task, "cancelling", None)
        entry.was_cancelled = cancelling is not None and cancelling() > 0
        return
    # Not task.exception(): that would silence asyncio's warning that nobody retrieved it.
    error = error_of(task)
    if error is None:
        entry.outcome = "returned"
        return
    entry.outcome = f"raised {cut(type(error).__name__)}"
    entry.exception = exception_text(error)
    entry.raised_in = frames_of(error)


def exception_text(error: BaseException) -> str:
    """One short line: "ValueError: too small"."""
    text = ""
    with suppress(Exception):  # an exception's own __str__ may fail: its name alone is told then
        text = " ".join(cut(str(error), _LONGEST_TEXT).split())
    kind = cut(type(error).__name__)
    return f"{kind}: {text}" if text else kind


def frames_of(error: BaseException) -> tuple[CodeLine, ...]:
    """The traceback as plain data, innermost last: it keeps no frame alive, and nothing in one."""
    found: list[CodeLine] = []
    at: TracebackType | None = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        if owner_of(code.co_filename) != "ours":
            found.append((code.co_filename, at.tb_lineno or 0, code.co_qualname))
        if len(found) > 2 * _FRAMES_AT_EACH_END:
            del found[_FRAMES_AT_EACH_END]
        at = at.tb_next
    return tuple(found)
