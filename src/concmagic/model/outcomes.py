"""How tracks, jobs and cells end: a kind, the exception and where it was raised, a signal, an exit code.

`str` of an outcome is its stable text, which recorders note and files of earlier builds hold: `outcome_of`
reads it back. Nothing else does: who asks how something ended asks `kind`, `error`, `by` or `code`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Literal, get_args

OutcomeKind = Literal[
    "unknown",
    "returned",
    "raised",
    "cancelled",
    "interrupted",
    "timed out",
    "destroyed",  # a task, while it waited
    "left running",  # it was not over when the cell was
    "not started",
    "lost",  # a job whose process ended first
    "killed",  # a process, by a signal
    "exited",  # a process, by itself, and told that something was wrong
    "ended",  # a process, by who ends what is left
]


@dataclass(frozen=True, slots=True)
class Function:
    """A function that slices and tracebacks name: where its definition stands, or the line it was at."""

    name: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How something ended. It equals its own text, so that `track.outcome == "returned"` can be asked."""

    kind: OutcomeKind = "unknown"
    error: str = ""  # the type of the exception that ended it
    message: str = ""  # that exception in words, its type first: "ValueError: no"
    traceback: tuple[Function, ...] = ()  # the way to it: the user's functions, innermost last
    by: str = ""  # of "killed" the signal: "SIGKILL"; of "ended" who did: "pool", "cell", "interrupt"
    code: int = 0  # of "exited"

    @property
    def place(self) -> Function | None:
        """Where the exception was raised, if that is known."""
        return self.traceback[-1] if self.traceback else None

    @property
    def stopped_by(self) -> str:
        """Of a cell what stopped it from outside: "interrupt" or "timeout"; "" is nothing."""
        if self.kind == "interrupted":
            return "interrupt"
        return "timeout" if self.kind == "raised" and self.error == "TimeoutError" else ""

    def __str__(self) -> str:
        match self.kind:
            case "raised":
                return f"raised {self.error}"
            case "killed":
                return f"killed by {self.by}"
            case "exited":
                return f"exit code {self.code}"
            case "ended":
                return f"ended by {_ENDERS.get(self.by, self.by)}"
            case "lost":
                return "lost: its process ended first"
        return self.kind if self else ""

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Outcome):
            return bool(_VALUES(self) == _VALUES(other))
        return str(self) == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __bool__(self) -> bool:
        return self.kind != "unknown"


_VALUES = attrgetter(*(field.name for field in fields(Outcome)))
UNKNOWN = Outcome()
RETURNED = Outcome("returned")
LEFT_RUNNING = Outcome("left running")
LOST = Outcome("lost")
_ENDERS = {"pool": "its pool", "cell": "the cell", "interrupt": "the interrupt"}
_OF_MORE = ("raised", "killed", "exited", "ended")  # kinds that have something beside them
_WHOLE = [Outcome(kind) for kind in get_args(OutcomeKind) if kind not in _OF_MORE]
_BY_TEXT = {str(one): one for one in [*_WHOLE, *(Outcome("ended", by=by) for by in _ENDERS)]}
_TEXT = re.compile(r"raised (?P<error>.*)|killed by (?P<by>.*)|exit code (?P<code>-?\d{1,10})", re.DOTALL)


@lru_cache(maxsize=1000)
def outcome_of(text: str) -> Outcome:
    """The outcome whose text this is; unknown for any other."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return _BY_TEXT.get(text, UNKNOWN)
    if match["code"]:
        return Outcome("exited", code=int(match["code"]))
    return Outcome("killed", by=match["by"]) if match["error"] is None else Outcome("raised", match["error"])
