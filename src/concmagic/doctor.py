"""`%timeline --doctor`: what a bug report needs. Versions, the table of capabilities here, what failed."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import metadata

from concmagic import sentences
from concmagic._version import __version__
from concmagic.interpreter import capabilities
from concmagic.interpreter.borrowing import Capability
from concmagic.interpreter.capabilities import Row

_PACKAGES = ("viztracer", "ipython", "ipykernel", "cloudpickle", "uvloop", "joblib", "loky", "numpy")
_STYLE = "text-align:left;vertical-align:top"


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
        tried=tuple(capabilities.tried()),
        missing=tuple(f"{row.owner}.{row.name}" for row in capabilities.missing_names()),
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
    return ["", sentences.DOCTOR_HERE, *(f"{major}.{minor}" for major, minor in capabilities.VERSIONS)]


def _cells(row: Row, found: Capability) -> list[str]:
    here = sentences.DOCTOR_WORKS if found.ok else sentences.DOCTOR_FAILS
    return [sentences.CAPABILITIES[row.name][0], here, *(how or "-" for how in row.how)]


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)) for row in rows]


def _row(tag: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f'<{tag} style="{_STYLE}">{escape(cell)}</{tag}>' for cell in cells) + "</tr>"
