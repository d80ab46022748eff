"""What one borrowed capability answers when it is asked whether it is to be had here."""

from __future__ import annotations

from typing import NamedTuple


class Capability(NamedTuple):
    """Whether a program whose answer is known was answered so; if not, what differed."""

    ok: bool
    why: str = ""


WORKS = Capability(True)


def unless(flaw: str) -> Capability:
    """It works unless there is this flaw; "" is none."""
    return Capability(False, flaw) if flaw else WORKS


def missing(**found: object) -> Capability:
    """It works if all of these were found; what is None or False is named."""
    gone = [name for name, value in found.items() if value is None or value is False]
    return Capability(False, ", ".join(gone)) if gone else WORKS
