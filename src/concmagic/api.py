"""What a notebook works with: the last trace, a loaded one, and its verbs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from concmagic import sentences
from concmagic.errors import ConcMagicError, LoadError
from concmagic.model import trace as model
from concmagic.model.reading import LIMIT_MB
from concmagic.model.trace import Named

if TYPE_CHECKING:
    import pandas

    from concmagic.analysis import Finding
    from concmagic.analysis.metrics import Metrics
    from concmagic.report import Report

Table = Literal["states", "slices", "tracks", "flows"]

_last: Trace | None = None


@dataclass(frozen=True)
class Trace(model.Trace):
    """One traced cell: the recorded data, and what can be derived from it."""

    disabled_lints: tuple[str, ...] = ()

    @classmethod
    def of(cls, trace: model.Trace, disabled_lints: tuple[str, ...] = ()) -> Trace:
        """Give plain recorded data its verbs."""
        recorded = {field.name: getattr(trace, field.name) for field in fields(model.Trace)}
        return cls(**recorded, disabled_lints=disabled_lints)

    @cached_property
    def metrics(self) -> Metrics:
        """The numbers: wall, concurrency, parallelism, sums by state, cost; NaN is unknown."""
        from concmagic.analysis.metrics import compute

        return compute(self)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the lints found, costliest first."""
        from concmagic.analysis.lints import find

        return find(self, self.metrics, disabled=self.disabled_lints)

    @cached_property
    def _words(self) -> sentences.StateWords:
        return sentences.StateWords(Named.of(self))

    @cached_property
    def _words_of_tracks(self) -> sentences.TrackWords:
        return sentences.TrackWords(self, Named.of(self))

    def detail_of(self, one: model.StateInterval | model.Flow | model.Track) -> str:
        """What a state says beside its reason, or an arrow carries: "cache, held by worker-1", "84 B".

        Of a track it is what stands beside its outcome: "ValueError: no", "by worker-1".
        """
        if isinstance(one, model.Track):
            return self._words_of_tracks.detail(one)
        return self._words.of_flow(one) if isinstance(one, model.Flow) else self._words.detail(one)

    def report(self, question: str = "", note: str = "", first: str = "") -> Report:
        """All that the renderers draw."""
        from concmagic.report.builder import build_report

        return build_report(self, self.metrics, self.findings, question=question, note=note, first=first)

    def to_pandas(self, table: Table = "states") -> pandas.DataFrame:
        """One table of the trace as a DataFrame; times in nanoseconds from the cell's start.

        Raises ConcMagicError if pandas is not installed or there is no such table.
        """
        from concmagic.model.columns import TABLES

        if table not in TABLES:
            raise ConcMagicError(sentences.no_such_table(table, sorted(TABLES)))
        try:
            import pandas
        except ImportError as error:
            raise ConcMagicError(sentences.PANDAS_IS_MISSING) from error
        return pandas.DataFrame(TABLES[table](self))

    def save(self, path: str | Path) -> Path:
        """Write the trace; the suffix says how: .html .svg .txt .json .json.gz.

        Raises OptionError for another suffix, OSError if the file cannot be written.
        """
        from concmagic.renderers import write

        return write(self.report(), Path(path).expanduser())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from concmagic.renderers.html import HtmlRenderer
        from concmagic.renderers.text import TextRenderer

        report = self.report()
        return {"text/html": HtmlRenderer().render(report), "text/plain": TextRenderer().render(report)}

    def __repr__(self) -> str:
        return f"<Trace {self.title!r}: {sentences.duration(self.wall_ns)}, {len(self.tracks)} tracks>"


def last() -> Trace:
    """The trace of the last traced cell.

    Raises ConcMagicError if none has been traced yet.
    """
    if _last is None:
        raise ConcMagicError(sentences.NO_TRACE_YET)
    return _last


def latest() -> Trace | None:
    """The trace of the last traced cell, if there is one."""
    return _last


def remember(trace: Trace) -> None:
    """Make this the trace that `last` answers."""
    global _last
    _last = trace


def load(path: str | Path, limit_mb: float = LIMIT_MB) -> Trace:
    """Read a trace that `Trace.save` wrote as .json or .json.gz; whatever loads can be drawn and saved.

    Raises LoadError if the file holds none, with the place where it is wrong, or if it unpacks to more
    than `limit_mb` megabytes.
    """
    from concmagic.model.reading import UnreadableError, read_document
    from concmagic.model.saved import from_plain

    try:
        document = read_document(Path(path), limit_mb)
        trace = from_plain(document.get("concmagic") if isinstance(document, dict) else None)
    except UnreadableError as error:
        raise LoadError(sentences.unreadable(path, error)) from error.__cause__
    return Trace.of(trace)
