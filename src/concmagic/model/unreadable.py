"""Why a file cannot be read as a saved trace: kind, values, place. The words: `sentences/saved_files.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NoReturn

from concmagic.errors import ConcMagicError

Kind = Literal[
    # the file as a whole
    "no file",
    "failed",  # what the reading failed with
    "too deep",
    "too much",
    "too large",  # the limit in MB
    "later format",  # its number
    # one value in it
    "missing",
    "missing field",  # its name
    "object",
    "list",
    "text",
    "truth",
    "count",
    "core count",
    "time",
    "number",
    "pair",
    "id or other",
    "ids",
    "pairs",
    "triples",
    "problems",
    "texts",
    "names and counts",
    "word",
    "id",
    "depth",
    "whole numbers",
    "different names",
    "one of",  # each of them
    "row",  # how many values
    "column",  # how many values
    "state row",
    "state value",  # what is wrong with it
    "function row",
    # what it refers to
    "used id",
    "no track",
    "no facts",
    "no resource",
    "no function",
    "own ancestor",
    "before its start",
    "before the last end",
    "not sorted",
]


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong: its kind, and the values that its words say."""

    kind: Kind
    values: tuple[str | float | Wrong, ...] = ()


class UnreadableError(ConcMagicError):
    """A file that is no saved trace; `concmagic.load` makes a LoadError of it, in words."""

    def __init__(self, wrong: Wrong, place: str = "") -> None:
        super().__init__(wrong, place)
        self.wrong = wrong
        self.place = place  # in the file: "tracks[1].end_ns"; "" is the whole


def fail(place: str, kind: Kind, *values: str | float | Wrong) -> NoReturn:
    """Raise the error that names the place in the file."""
    raise UnreadableError(Wrong(kind, values), place)
