"""Lints about event loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from concmagic import sentences
from concmagic.analysis.findings import Finding
from concmagic.analysis.intervals import Pair, common, count_at_once, total, union
from concmagic.analysis.metrics import Metrics
from concmagic.trace.call_lines import call_text
from concmagic.trace.model import State, StateInterval, Trace, Track

FLOOR_NS = 10_000_000  # a loop that is held for less than this is not blocked


@dataclass(frozen=True, slots=True)
class Hold:
    """A stretch in which one task held its loop."""

    track: Track
    interval: StateInterval


def blocked_event_loop(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A task held the loop while others were ready. Not when nobody was: then nothing was lost."""
    for place, holds in _by_place(trace).items():
        native_id, pid = holds[0].track.native_id, holds[0].track.pid
        held = union((hold.interval.start_ns, hold.interval.end_ns) for hold in holds)
        victims = _victims(trace, pid, native_id, {hold.track.id for hold in holds}, held)
        lost = union(pair for pairs in victims.values() for pair in pairs)
        if not lost:
            continue
        most = count_at_once((pair for pairs in victims.values() for pair in pairs), trace.wall_ns).peak
        worst = max(holds, key=lambda hold: hold.interval.length_ns)
        yield Finding(
            lint="blocked-event-loop",
            severity="warning",
            message=_message(trace, worst, len(holds), total(held), most),
            hint=sentences.blocked_loop_hint(place[0]),
            cost_s=total(lost) / 1e9,
            tracks=tuple(sorted({hold.track.id for hold in holds})),
            start_ns=worst.interval.start_ns,
            end_ns=worst.interval.end_ns,
            line=worst.interval.line if not worst.interval.file else 0,
        )


def _message(trace: Trace, worst: Hold, times: int, held_ns: int, ready: int) -> str:
    interval = worst.interval
    if interval.state is State.BLOCKING:
        what = call_text(trace.source, interval.line, interval.reason) if not interval.file else ""
        what = what or interval.reason
    else:
        what = sentences.computing_in(worst.track.name)
    where = sentences.place(interval.file, interval.line) if interval.line else ""
    return sentences.blocked_loop(held_ns, trace.wall_ns, what, where, times, ready)


def _by_place(trace: Trace) -> dict[tuple[str, str, int, int], list[Hold]]:
    """Long holds by what they were: many at one place are one finding."""
    found: dict[tuple[str, str, int, int], list[Hold]] = defaultdict(list)
    for track in trace.tracks:
        if track.kind != "task" or track.role != "work":
            continue
        for interval in track.states:
            if interval.length_ns < FLOOR_NS:
                continue
            if interval.state is State.BLOCKING:
                place = (interval.reason, interval.file, interval.line, track.native_id)
                found[place].append(Hold(track, interval))
            elif interval.state in (State.RUNNING, State.UNKNOWN) and interval.reason != "merged":
                found["", track.file, track.line, track.native_id].append(Hold(track, interval))
    return found


def _victims(
    trace: Trace, pid: int, native_id: int, holders: set[int], held: list[Pair]
) -> dict[int, list[Pair]]:
    """Per task of the same loop the part of its READY that lies in the holds, if it was kept for long."""
    victims = {}
    for track in trace.tracks:
        if track.kind != "task" or (track.pid, track.native_id) != (pid, native_id):
            continue
        ready = [(one.start_ns, one.end_ns) for one in track.states if one.state is State.READY]
        kept = common(ready, held)
        if total(kept) >= FLOOR_NS // 10 and (track.id not in holders or len(holders) > 1):
            victims[track.id] = kept
    return victims
