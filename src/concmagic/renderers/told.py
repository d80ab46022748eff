"""What is said in words around the picture, the same in every renderer."""

from __future__ import annotations

from dataclasses import dataclass

from concmagic.report import Report


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
