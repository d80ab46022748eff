"""What this interpreter supports: how it was built, and what the probe of a borrowed capability answers.

Asked of the build and not of its state: a free-threaded build that runs with the GIL, because an extension
turned it on, is laid out as a free-threaded one, and ends a recording as unsafely as one.
"""

from __future__ import annotations

import sys
from typing import Final, NamedTuple

# The documented text of `python -VV`. `sysconfig` knows it as Py_GIL_DISABLED, and costs a child up to 9 ms.
FREE_THREADED: Final = "free-threading build" in sys.version


def runs_without_gil() -> bool:
    """Whether this interpreter runs without the GIL at this moment."""
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


class Capability(NamedTuple):
    """Whether a program whose answer is known was answered so; if not, what differed."""

    ok: bool
    why: str = ""


WORKS = Capability(True)


def unless(flaw: str) -> Capability:
    """The answer of a probe that found this flaw; "" is none, and the capability works."""
    return Capability(False, flaw) if flaw else WORKS


def missing(**found: object) -> Capability:
    """The answer of a probe that looked for these by name; those that are None or False are missing."""
    gone = [name for name, value in found.items() if value is None or value is False]
    return Capability(False, ", ".join(gone)) if gone else WORKS
