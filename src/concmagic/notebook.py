"""The cell as the notebook knows it: the name of its code and the editor's line numbers."""

from __future__ import annotations

from concmagic.cell import Cell, Shell
from concmagic.interpreter.frames import getframe
from concmagic.interpreter.notebook_internals import cell_numbers


def cell_of(shell: Shell, magic: str, line: str, body: str) -> Cell:
    """The cell whose magic runs right now."""
    names = cell_numbers(shell)
    file = _file_that_runs(names)
    raw = _raw_text(shell)
    if file is None or not _ends_with(raw, body):  # the magic was called by code: its text is its own
        number = shell.execution_count
        file = shell.compile.cache(f"%%{magic} {line}\n{body}", number)
        raw = ""
    first_line = _line_count(raw) - _line_count(body) + 1 if raw else 2
    return Cell(body, shell.user_ns, file, first_line, dict(names), f"%%{magic} {line}".rstrip())


def _file_that_runs(names: dict[str, int]) -> str | None:
    frame = getframe()
    while frame is not None:
        if frame.f_code.co_filename in names:
            return frame.f_code.co_filename
        frame = frame.f_back  # type: ignore[assignment]
    return None


def is_running_cell(shell: Shell) -> bool:
    """Whether IPython runs a cell, at whose end it will tell us."""
    return getattr(shell.displayhook, "exec_result", None) is not None


def _raw_text(shell: Shell) -> str:
    """The cell as typed, the magic's line included; "" if no cell runs."""
    result = getattr(shell.displayhook, "exec_result", None)
    return str(result.info.raw_cell) if result is not None and result.info is not None else ""


def _ends_with(raw: str, body: str) -> bool:
    """Whether the body is the cell's end; IPython may have taken indentation and empty lines off."""
    typed = [line.strip() for line in raw.rstrip().splitlines()]
    code = [line.strip() for line in body.rstrip().splitlines()]
    return bool(typed) and (not code or typed[-len(code) :] == code)


def _line_count(text: str) -> int:
    return len(text.splitlines())
