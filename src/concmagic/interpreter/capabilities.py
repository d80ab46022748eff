"""One table: each capability that is borrowed, how it is had on each Python, and the program that tries it.

What is lost without one stands under its name in `sentences/magics.py`; `%timeline --doctor` prints both.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NamedTuple

from concmagic.interpreter import borrowing
from concmagic.interpreter.borrowed import TABLE as NAMES
from concmagic.interpreter.borrowed import Borrowed
from concmagic.interpreter.borrowing import Capability

VERSIONS = ((3, 11), (3, 12), (3, 13), (3, 14), (3, 15))
_ALL = ("yes",) * len(VERSIONS)


class Row(NamedTuple):
    """One capability; `how` by the Pythons of `VERSIONS`, "" is that it is not needed there."""

    name: str
    module: str
    how: tuple[str, ...] = _ALL
    probe: str = "probe"

    def here(self) -> str:
        """How it is had on this Python; one that is newer than the table is taken for the last."""
        version = sys.version_info[:2]
        return self.how[VERSIONS.index(version)] if version in VERSIONS else self.how[-1]

    def tried(self) -> Capability:
        """What its program answers here. Never raises."""
        try:
            answer: Capability = getattr(import_module(f"concmagic.interpreter.{self.module}"), self.probe)()
        except Exception as error:
            return Capability(False, f"{type(error).__name__}: {error}")
        return answer


TABLE = (
    Row("calls", "viztracer_tracer"),
    Row("profiles", "profiler_hooks", ("yes", "", "", "", ""), "probe_profiles"),
    Row("monitoring", "profiler_hooks", ("", "yes", "yes", "yes", "yes"), "probe_monitoring"),
    Row(
        "with locks",
        "lock_internals",
        ("samples", "instructions", "instructions", "calls", "calls"),
        "probe_with",
    ),
    Row("value stack", "value_stack", ("yes", "yes", "yes", "", "")),
    Row("lock words", "lock_internals", ("yes", "yes", "yes", "", ""), "probe_words"),
    Row("GIL", "gil", ("search", "search", "offsets", "offsets", "offsets")),
    Row("frames", "frames_and_threads", probe="probe_frames"),
    Row("threads", "frames_and_threads", probe="probe_threads"),
    Row("executors", "pool_internals", probe="probe_executors"),
    Row("task steps", "task_steps"),
    Row("task waits", "asyncio_internals", probe="probe_fields"),
    Row("running loops", "asyncio_internals", probe="probe_running"),
    Row("process start", "process_internals", probe="probe_start"),
    Row("pools", "pool_internals", probe="probe_pools"),
    Row("messages", "process_internals", probe="probe_messages"),
    Row("pickling", "notebook_internals", probe="probe_pickling"),
    Row("named resources", "process_internals", probe="probe_names"),
    Row("notebook", "notebook_internals", probe="probe_cells"),
    Row("texts", "notebook_internals", probe="probe_texts"),
)


def tried() -> list[tuple[Row, Capability]]:
    """What is needed on this Python, and what came of trying it."""
    return [(row, row.tried()) for row in TABLE if row.here()]


def missing_names() -> list[Borrowed]:
    """Names of the other table that this Python and the loaded libraries should have, and lack."""
    return [row for row in NAMES if _is_due(row) and _is_missing(row)]


def _is_due(row: Borrowed) -> bool:
    return not row.inside and row.since <= sys.version_info[:2] < row.until


def _is_missing(row: Borrowed) -> bool:
    owner = _loaded(row.owner)
    return owner is not borrowing.ABSENT and borrowing.raw(owner, row.name) is borrowing.ABSENT


def _loaded(name: str) -> object:
    """The module or class of this name, if its module is loaded."""
    parts = name.split(".")
    for many in range(len(parts), 0, -1):
        found: object = sys.modules.get(".".join(parts[:many]), borrowing.ABSENT)
        if found is not borrowing.ABSENT:
            for part in parts[many:]:
                found = getattr(found, part, borrowing.ABSENT)
            return found
    return borrowing.ABSENT
