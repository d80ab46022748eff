"""What stands at a lane's end: how it ended, or what it mostly did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from concmagic import sentences
from concmagic.analysis.concurrency import is_gil_wait
from concmagic.analysis.intervals import total, union
from concmagic.model.trace import Job, Named, State, Trace, Track
from concmagic.report import LaneSummary

_WORTH_SAYING = 0.1  # share of a lane's life from which on a state is said
_MAIN_REASON = 0.8  # of all waits: then it alone is said
# Neither good nor bad: stopped from outside, or not over.
_NEITHER = ("unknown", "cancelled", "left running", "interrupted", "timed out", "destroyed", "ended")


def lane_summaries(trace: Trace) -> tuple[LaneSummary, ...]:
    """The text and the sign at each lane's end."""
    jobs: dict[int, list[Job]] = {}
    for job in trace.jobs:
        if job.track is not None:
            jobs.setdefault(job.track, []).append(job)
    words = sentences.TrackWords(trace, Named.of(trace))
    return tuple(_summary(trace, track, words.name(track), jobs.get(track.id, ())) for track in trace.tracks)


def _summary(trace: Trace, track: Track, name: str, jobs: Sequence[Job]) -> LaneSummary:
    ok = _ok(track)
    if track.outcome.kind not in ("returned", "unknown"):
        return LaneSummary(track.id, name, str(track.outcome), ok)
    failed = [job for job in jobs if job.outcome.kind == "raised"]
    if failed and track.kind != "task":  # a worker goes on, whatever its jobs raise
        ends: Counter[str] = Counter()  # by the type of the exception
        for job in failed:
            ends[job.outcome.error] += max(job.failed, 1)
        words = sentences.jobs_raised(ends, failed[0].label, sum(job.count for job in jobs))
        return LaneSummary(track.id, name, words, False)
    return LaneSummary(track.id, name, _what(trace, track), ok)


def _ok(track: Track) -> bool | None:
    if track.kind in ("loop", "gil"):
        return None
    if track.outcome.kind == "returned":
        return True
    is_pools = track.group and track.outcome.by == "SIGTERM"  # a pool ends its workers so
    return None if is_pools or track.outcome.kind in _NEITHER else False


def _what(trace: Trace, track: Track) -> str:
    """The state worth saying: a block before a kept waiting, that before running, that before waits."""
    spent = dict.fromkeys(State, 0)
    for one in track.states:
        spent[one.state] += one.length_ns
    life = sum(spent.values())
    if not life:
        return ""
    if track.kind == "gil":
        return sentences.gil_share(_contended(trace, track) / life)
    if track.kind == "loop":
        state = State.BLOCKING if spent[State.BLOCKING] >= _WORTH_SAYING * life else State.RUNNING
        return sentences.loop_share(spent[state] / life, state.value)
    for state in (State.BLOCKING, State.READY, State.RUNNING):
        if spent[state] >= _WORTH_SAYING * life:
            return sentences.lane_text(state.value, "", spent[state])
    state = max(spent, key=lambda each: spent[each])
    reason, length = _reason(track, state)
    if length < _MAIN_REASON * spent[state]:
        reason, length = "", spent[state]
    return sentences.lane_text(state.value, reason, length)


def _contended(trace: Trace, gil: Track) -> int:
    """How long a thread of this process wanted the GIL and did not have it."""
    threads = [track for track in trace.tracks if track.kind == "thread" and track.pid == gil.pid]
    return total(
        union((one.start_ns, one.end_ns) for track in threads for one in track.states if is_gil_wait(one))
    )


def _reason(track: Track, state: State) -> tuple[str, int]:
    """The reason that took longest, and how long."""
    by_reason: dict[str, int] = {}
    for one in track.states:
        if one.state is state:
            by_reason[one.reason] = by_reason.get(one.reason, 0) + one.length_ns
    return max(by_reason.items(), key=lambda pair: pair[1])
