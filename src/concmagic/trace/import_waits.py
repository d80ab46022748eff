"""What the waits of threads lack by themselves: at what, for whom, and where they turned into READY."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from concmagic import sentences
from concmagic.trace.cover import cut
from concmagic.trace.model import Flow, FlowKind, Job, State, StateInterval, Track

_AT_SOMETHING = frozenset(("socket", "read", "write", "select", "disk", "pipe"))
_LATE_NS = 1_000_000  # a worker notes its job's end after it has handed the result over
JOIN, RESULT = ("join",), ("result",)


def without_turns(
    blocked: Sequence[StateInterval], samples: Sequence[StateInterval], gap_ns: int = 0
) -> list[StateInterval]:
    """Blocking calls without the time at their end in which the thread, by samples, was READY.

    What it waited for was over then; the call was not, for it needs the GIL and a core to return. Of a
    `time.sleep(0)` nothing else is left.
    """
    turns = [one for one in samples if one.state is State.READY]
    begins = [one.start_ns for one in turns]
    kept = []
    for call in blocked:
        last = turns[index] if (index := bisect_left(begins, call.end_ns) - 1) >= 0 else None
        if last is None or last.end_ns + gap_ns < call.end_ns or last.end_ns <= call.start_ns:
            kept.append(call)
        elif last.start_ns > call.start_ns:
            kept.append(cut(call, call.start_ns, last.start_ns))
        elif last.end_ns < call.end_ns:
            kept.append(call)
    return kept


def with_places(waits: Sequence[StateInterval], samples: Sequence[StateInterval]) -> list[StateInterval]:
    """The waits with the address or file that samples saw in them."""
    told = [one for one in samples if one.detail]
    begins = [one.start_ns for one in told]
    found = []
    for wait in waits:
        detail = ""
        if wait.reason in _AT_SOMETHING and not wait.detail:
            index = bisect_right(begins, wait.start_ns) - 1
            inside = [one for one in told[max(index, 0) : index + 4] if _shared(one, wait) > 0]
            detail = max(inside, key=lambda one: _shared(one, wait)).detail if inside else ""
        found.append(replace(wait, detail=detail) if detail else wait)
    return found


def _shared(one: StateInterval, other: StateInterval) -> int:
    return min(one.end_ns, other.end_ns) - max(one.start_ns, other.start_ns)


@dataclass(frozen=True, slots=True)
class End:
    """What a wait can have been for: it ended at a moment, on a track."""

    at_ns: int
    track: int
    name: str
    begun_ns: int  # nobody waited for it before


def for_whom(
    tracks: Sequence[Track],
    ends: Sequence[End],
    reasons: Sequence[str],
    kind: FlowKind,
    words: Callable[[str], str],
) -> tuple[list[Track], list[Flow]]:
    """Waits of a kind with what they were for, the last that ended in that time; and the flows from there."""
    ordered = sorted(ends, key=lambda end: end.at_ns)
    moments = [end.at_ns for end in ordered]
    told, flows = [], []
    for track in tracks:
        states = list(track.states)
        for index, wait in enumerate(states):
            if wait.state is not State.WAITING or wait.reason not in reasons:
                continue
            until = wait.end_ns
            end = _last(ordered, moments, wait.start_ns, until + _LATE_NS, track.id)
            if end is not None:
                flows.append(Flow(kind, end.track, end.at_ns, track.id, max(until, end.at_ns), end.name))
                states[index] = replace(wait, detail=words(end.name)) if not wait.detail else wait
        told.append(replace(track, states=tuple(states)) if flows else track)
    return told, flows


def _last(ends: Sequence[End], moments: Sequence[int], start: int, until: int, own: int) -> End | None:
    index = bisect_right(moments, until) - 1
    while index >= 0 and moments[index] >= start:
        if ends[index].track != own and ends[index].begun_ns <= until:
            return ends[index]
        index -= 1
    return None


def joined(tracks: Sequence[Track]) -> tuple[list[Track], list[Flow]]:
    """Waits in `join`, with the thread that was joined."""
    ends = [
        End(track.end_ns, track.id, track.name, track.start_ns)
        for track in tracks
        if track.end_ns is not None and track.role == "work"
    ]
    return for_whom(tracks, ends, JOIN, "join", sentences.wait_of)


def with_results(tracks: Sequence[Track], jobs: Sequence[Job]) -> tuple[list[Track], list[Flow]]:
    """Waits for a job's result, with the job."""
    ends = [
        End(job.end_ns, job.track, job.label, job.submit_ns)
        for job in jobs
        if job.end_ns is not None and job.track is not None
    ]
    threads = [track for track in tracks if track.kind == "thread"]
    if not ends:
        return list(tracks), []
    told, flows = for_whom(threads, ends, RESULT, "result", sentences.wait_of)
    by_id = {track.id: track for track in told}
    return [by_id.get(track.id, track) for track in tracks], flows
