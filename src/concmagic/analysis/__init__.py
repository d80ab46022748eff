"""What a Trace amounts to: numbers, and Findings: what a lint found, its place and what it cost.

Runs after the cell, or wherever a saved trace is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from concmagic.model.findings import Values


@dataclass(frozen=True, slots=True)
class Finding:
    """What a lint found in one trace."""

    lint: str = ""  # its kebab name, put in by `lints.find`
    severity: Literal["warning", "note"] = "warning"  # … which makes a note of what cost little
    values: Values = field(kw_only=True)  # what its sentences say
    cost_s: float = 0.0  # seconds of wall time
    tracks: tuple[int, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    line: int = 0

    @property
    def message(self) -> str:
        """This case, in a sentence."""
        from concmagic.sentences.findings import message_of

        return message_of(self.values)

    @property
    def hint(self) -> str:
        """What would help, in a sentence; "" if nothing general does."""
        from concmagic.sentences.hints import hint_of

        return hint_of(self.values)
