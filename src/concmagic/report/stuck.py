"""The waits of a deadlock: on which lanes they stand, and which one needs which other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from concmagic.analysis import Finding
from concmagic.model.findings import Deadlock
from concmagic.model.trace import StateInterval, Trace, Track
from concmagic.report import Stuck


def stuck_waits(trace: Trace, findings: Sequence[Finding]) -> Iterator[Stuck]:
    """The waits of each circle in which nobody can go on."""
    tracks = {track.id: track for track in trace.tracks}
    for finding in findings:
        if not isinstance(finding.values, Deadlock):
            continue
        waits = [link.wait for link in finding.values.links]
        for number in finding.tracks:
            wait = _of(tracks[number], waits) if number in tracks else None
            if wait is not None:
                whom = next((one for one in wait.facts.waits_for if one in finding.tracks), None)
                yield Stuck(number, wait.start_ns, wait.end_ns, whom)


def _of(track: Track, waits: Sequence[StateInterval]) -> StateInterval | None:
    return next((one for one in reversed(track.states) if one in waits), None)
