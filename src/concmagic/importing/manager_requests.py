"""How many requests each process sent to managers, as counters of its track."""

from __future__ import annotations

from dataclasses import replace

from concmagic.importing.found import Found
from concmagic.model.states import ANSWERS, REQUESTS, Counter


def import_requests(found: Found) -> None:
    """Give each process the number of its requests, and how long it waited for their answers in all."""
    sent = {
        found.ids.known("process", process.pid, 0): (process, process.requests)
        for process in found.recording.processes
        if process.requests is not None
    }
    for index, track in enumerate(found.tracks):
        if track.id in sent:
            process, (many, took_ns) = sent[track.id]
            at_ns = found.clock.end_at(process.ended_ns)
            counters = (
                Counter(REQUESTS, "requests", ((at_ns, many),)),
                Counter(ANSWERS, "ns", ((at_ns, took_ns),)),
            )
            found.tracks[index] = replace(track, counters=(*track.counters, *counters))
