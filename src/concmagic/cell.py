"""A cell on its way in, and what became of it on its way out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Shell = Any  # IPython's InteractiveShell or a subclass; few of the attributes that are used here have types


@dataclass(frozen=True, slots=True)
class Cell:
    """The text under the magic's line, and where it runs."""

    source: str  # as typed, without the magic's line
    namespace: dict[str, Any]
    file: str  # the name that its code objects carry
    first_line: int = 2  # the editor's number of the source's first line: the magic's own line is 1
    notebook: Mapping[str, int] = field(default_factory=dict)  # file names of the notebook's cells → count
    magic_line: str = ""  # as typed: "%%threads -w 8"


def _no_jobs() -> tuple[Any, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled cell: call `run` once. If `is_async`, it returns an awaitable of the value."""

    is_async: bool
    run: Callable[[], Any | Awaitable[Any]]
    jobs: Callable[[], tuple[Any, ...]] = _no_jobs  # the JobRecords of a `for` header, after the run
    note: str = ""  # a sentence for the picture: "8 workers (no -w: cores + 4)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the cell: a value, or the exception that ended it."""

    value: Any = None
    error: BaseException | None = None
    handled: tuple[
        tuple[str, int], ...
    ] = ()  # what the cell's own code handled ("interrupt", "timeout"), when
    notes: tuple[str, ...] = ()  # sentences of the runner's for the picture

    @property
    def word(self) -> str:
        """How the cell ended, in the words that a track's outcome uses."""
        if self.error is None:
            return "returned"
        if isinstance(self.error, KeyboardInterrupt):
            return "interrupted"
        return f"raised {type(self.error).__name__}"
