"""`%timeline --doctor`, what a bug report needs: versions, the table of what is borrowed, what fails here.

The table says how each capability is had on each Python, and which program tries it. What it is and what is
lost without it stands under its name in `sentences/magics.py`.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module, metadata
from typing import NamedTuple

from concmagic import sentences
from concmagic._version import __version__
from concmagic.interpreter import borrowing
from concmagic.interpreter.borrowed import TABLE as NAMES
from concmagic.interpreter.borrowed import Borrowed
from concmagic.interpreter.borrowing import Capability

VERSIONS = ((3, 11), (3, 12), (3, 13), (3, 14), (3, 15))
_ALL = ("yes",) * len(VERSIONS)
_PACKAGES = ("viztracer", "ipython", "ipykernel", "cloudpickle", "uvloop", "joblib", "loky", "numpy")
_STYLE = "text-align:left;vertical-align:top"


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
    Row("imports", "imports"),
    Row("pools", "pool_internals", probe="probe_pools"),
    Row("messages", "process_internals", probe="probe_messages"),
    Row("process locks", "process_lock_internals"),
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


@dataclass(frozen=True, slots=True)
class Checkup:
    """All that is told; shown as text in a terminal and as a table in a notebook."""

    versions: tuple[tuple[str, str], ...]
    tried: tuple[tuple[Row, Capability], ...]
    missing: tuple[str, ...]  # names
    last: tuple[str, ...] | None  # problems of the last trace; None is that there is none

    @property
    def failed(self) -> tuple[tuple[Row, Capability], ...]:
        """What does not work here."""
        return tuple(each for each in self.tried if not each[1].ok)

    def text(self) -> str:
        """As plain text."""
        rows = [_headings(), *(_cells(*each) for each in self.tried)]
        parts = [
            _title(),
            *(f"  {name}: {version}" for name, version in self.versions),
            *("", sentences.DOCTOR_READS, *_aligned(rows)),
            *("", self._count(), *(f"  {line}" for line in self._faults())),
            *("", *self._rest()),
        ]
        return "\n".join(line.rstrip() for line in parts)

    def html(self) -> str:
        """As a plain HTML table."""
        first, *rows = [_headings(), *(_cells(*each) for each in self.tried)]
        versions = ", ".join(f"{name} {version}" for name, version in self.versions)
        body = "".join(_row("td", row) for row in rows)
        faults = "".join(f"<li>{escape(line)}</li>" for line in self._faults())
        rest = "".join(f"<p>{escape(line)}</p>" for line in self._rest())
        table = f"<table><thead>{_row('th', first)}</thead><tbody>{body}</tbody></table>"
        head = (
            f"<p><b>{escape(_title())}</b><br>{escape(versions)}</p><p>{escape(sentences.DOCTOR_READS)}</p>"
        )
        return f"<div>{head}{table}<p>{escape(self._count())}</p><ul>{faults}</ul>{rest}</div>"

    def _count(self) -> str:
        if not self.failed:
            return sentences.DOCTOR_ALL_WORKS
        return sentences.doctor_count(len(self.failed), len(self.tried))

    def _faults(self) -> list[str]:
        return [
            f"{sentences.CAPABILITIES[row.name][0]}: "
            + sentences.doctor_fails(found.why, sentences.CAPABILITIES[row.name][1])
            for row, found in self.failed
        ]

    def _rest(self) -> list[str]:
        lacks = [sentences.DOCTOR_LACKS, *self.missing] if self.missing else []
        if self.last is None:
            return [*lacks, sentences.DOCTOR_NO_LAST]
        told = [sentences.DOCTOR_LAST, *self.last] if self.last else [sentences.DOCTOR_LAST_WELL]
        return [*lacks, *told]


def check(last: Sequence[str] | None) -> Checkup:
    """Try everything now; `last` are the problems of the last trace, None if there is none."""
    return Checkup(
        versions=(("platform", platform.platform()), *((name, _version(name)) for name in _PACKAGES)),
        tried=tuple(tried()),
        missing=tuple(f"{row.owner}.{row.name}" for row in missing_names()),
        last=None if last is None else tuple(last),
    )


def _title() -> str:
    return sentences.doctor_title(__version__, platform.python_version(), platform.python_implementation())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return sentences.DOCTOR_NOT_INSTALLED


def _headings() -> list[str]:
    return ["", sentences.DOCTOR_HERE, *(f"{major}.{minor}" for major, minor in VERSIONS)]


def _cells(row: Row, found: Capability) -> list[str]:
    here = sentences.DOCTOR_WORKS if found.ok else sentences.DOCTOR_FAILS
    return [sentences.CAPABILITIES[row.name][0], here, *(how or "-" for how in row.how)]


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)) for row in rows]


def _row(tag: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f'<{tag} style="{_STYLE}">{escape(cell)}</{tag}>' for cell in cells) + "</tr>"
