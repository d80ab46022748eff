"""A saved file as plain data, or why it is none: bounded, so that a small file cannot fill the memory.

What is wrong is told by kind, values and place; `sentences/problems.py` has the words.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from concmagic.errors import ConcMagicError

LIMIT_MB = 256.0  # twice what a cell has that fills the buffer of `--detail calls`
_MB = 1 << 20
_GZIP = b"\x1f\x8b"


def read_document(path: Path, limit_mb: float) -> object:
    """What stands in the file, unpacked if it is packed.

    Raises UnreadableError if there is none, if it is no JSON, or if it holds more than the limit.
    """
    try:
        # Nothing else is opened: a pipe or a terminal would be waited for.
        if not path.is_file():
            fail("", "no file")
        return json.loads(_content(path, limit_mb), parse_constant=_refuse)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UnreadableError(Wrong("failed", (str(error),))) from error
    except RecursionError:
        raise UnreadableError(Wrong("too deep")) from None
    except MemoryError:
        raise UnreadableError(Wrong("too much")) from None


def _content(path: Path, limit_mb: float) -> bytes:
    most = int(limit_mb * _MB)
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        if packed:
            with gzip.open(file) as unpacked:
                content = unpacked.read(most + 1)
        else:
            content = file.read(most + 1)
    if len(content) > most:
        fail("", "too large", float(limit_mb))
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are no JSON


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
    "outcome",
    "outcomes and counts",
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
    "function rows",
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
