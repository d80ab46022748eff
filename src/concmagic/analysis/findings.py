"""A Finding: one sentence with its numbers, its place and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What a lint found in one trace."""

    lint: str  # its kebab name
    severity: Literal["warning", "note"]
    message: str  # this case, in a sentence
    hint: str = ""  # what would help
    cost_s: float = 0.0  # seconds of wall time
    tracks: tuple[int, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    line: int = 0
