"""The Report: plain data, all that the renderers draw; `builder` makes one.

Runs in the kernel, after the cell.
"""

from __future__ import annotations

from dataclasses import dataclass

from concmagic.analysis import Finding
from concmagic.model.categories import Category
from concmagic.model.trace import Trace


@dataclass(frozen=True, slots=True)
class Chip:
    """One of the two large numbers: "concurrency", "3.9", "at most 4 tasks"."""

    label: str
    value: str
    note: str
    help: str = ""  # one sentence for the tooltip


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when the critical path lay on a track."""

    track: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """A wait that can never end: it is for a track that waits for this one, over some others or directly."""

    track: int
    start_ns: int
    end_ns: int
    whom: int | None  # the track that would have to end it


@dataclass(frozen=True, slots=True)
class BandPart:
    """A part of the band "where it went"; the parts sum to the wall time."""

    text: str  # "blocked in time.sleep"
    category: Category
    length_ns: int
    stretches: tuple[Stretch, ...] = ()  # of the critical path, in order; those whose track is known


@dataclass(frozen=True, slots=True)
class Curve:
    """A step curve for the strip: from times_ns[i] on the value is values[i]."""

    label: str  # "in flight", "on a core"
    times_ns: tuple[int, ...]
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LaneSummary:
    """What a lane is called, and what stands at its end: "blocking 300 ms ✓"."""

    track: int
    name: str
    text: str
    ok: bool | None  # True ✓, False ✗, None neither (left running, unknown)


@dataclass(frozen=True, slots=True)
class CategoryTotal:
    """A legend entry with its sum over the counted tracks; 0 if it is drawn on others only."""

    category: Category
    label: str  # "ready, kept waiting"
    length_ns: int


@dataclass(frozen=True, slots=True)
class Report:
    """One trace with its sentences, ready to be drawn."""

    trace: Trace
    headline: str
    chips: tuple[Chip, ...]
    findings: tuple[Finding, ...]
    no_findings: str  # the sentence that says that none was found; "" if some were
    band: tuple[BandPart, ...]
    curves: tuple[Curve, ...]
    lanes: tuple[LaneSummary, ...]
    legend: tuple[CategoryTotal, ...]
    cost: str  # "tracing cost about 1 %"
    cost_is_high: bool  # over 10 %
    footer: tuple[str, ...] = ()  # sentences: hidden tracks, lost events, limits
    stuck: tuple[Stuck, ...] = ()  # the waits of a deadlock
    question: str = ""  # --predict: the closed picture's title


@dataclass(frozen=True, slots=True)
class Told:
    """A finding as it is written: the message may be its hint alone."""

    warning: bool
    message: str
    hint: str


def findings_told(report: Report) -> list[Told]:
    """The findings in their order; of one that the headline has told already, only what to do."""
    told = []
    for finding in report.findings:
        said = bool(finding.hint) and finding.message in report.headline
        message, hint = (finding.hint, "") if said else (finding.message, finding.hint)
        told.append(Told(finding.severity == "warning", message, hint))
    return told


def notes_told(report: Report) -> list[str]:
    """The small print: that nothing was found is the quietest thing that a picture says."""
    return [note for note in (report.no_findings, *report.footer) if note]
