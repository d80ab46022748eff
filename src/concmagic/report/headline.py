"""The first sentence: what took the time. A table of cases, the first that fits is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from concmagic import sentences
from concmagic.analysis import Finding
from concmagic.analysis.critical_path import PathPart, summarised
from concmagic.analysis.metrics import Metrics
from concmagic.analysis.path_lookup import places_of
from concmagic.model.findings import ChildDied
from concmagic.model.reasons import OUTSIDE
from concmagic.model.trace import State, Trace

_FINDING_SHARE = 0.2  # a finding that costs this share of the cell is the answer
BUSY_MACHINE = "busy-machine"  # a chip of its own, and seldom the answer
# What the cell did not notice; it comes before what took the time.
_UNNOTICED = (
    *("never-awaited", "exception-never-retrieved", "exception-in-thread", "job-failed-unseen"),
    "child-died",
)
_BLOCKS = ("blocked-event-loop", "many-small-blocks")
_SIDE_BY_SIDE = 1.5  # cores or overlap from which on "at once" is true
_HARDLY_OVERLAPS = 1.1  # work and waits for the outside in the cell's time: 1 is one after the other
_HARDLY = 0.05  # share of the time in which the GIL was wanted; NaN, not asked, is not less
_TAKING_TURNS = 1.2  # cores under which computing threads took turns
_MOST = 0.5  # "most of it"
TOO_SHORT_NS = 5_000_000  # of so short a cell shares and causes are chance
_NEXT_TO_NOTHING = 0.05  # a share too small to be worth a word

_NEXT_TO_ALL = 0.9

_GROUPS = ("ExceptionGroup", "BaseExceptionGroup")

Case = Callable[[Trace, Metrics, Sequence[Finding]], str]


def headline(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    """One sentence that answers; before it, if the cell did not end well, how it ended."""
    told = next((text for case in _CASES if (text := case(trace, metrics, findings))), "")
    if trace.outcome.kind == "returned":
        return f"{_unnoticed(findings)} {told}".strip()
    told = "" if trace.wall_ns < TOO_SHORT_NS else told
    how = _who_failed(trace) or sentences.ended_early(trace.outcome, trace.wall_ns)
    return f"{how} {told}".strip()


def _unnoticed(findings: Sequence[Finding]) -> str:
    """What failed although the cell did not; of several the first, and how many there are beside it.

    What a command's exit code means, the command alone knows.
    """
    failed = [
        one
        for one in findings
        if one.lint in _UNNOTICED
        and one.severity == "warning"
        and not (isinstance(one.values, ChildDied) and one.values.is_command)
    ]
    if not failed:
        return ""
    first = min(failed, key=lambda one: one.start_ns)
    return sentences.and_more_failed(first.message, len(failed) - 1)


def _who_failed(trace: Trace) -> str:
    """The one task, thread or job that raised the cell's exception, and who was cancelled then.

    Of several nothing tells whose it was: one may have been caught.
    """
    raised = [
        (track.end_ns, track.name, track.outcome)
        for track in trace.tracks
        if not track.host and track.kind in ("task", "thread") and track.end_ns is not None
    ]
    raised += [(job.end_ns, job.label, job.outcome) for job in trace.jobs if job.end_ns is not None]
    of_the_cell = [one for one in raised if one[2].kind == "raised" and _ends_the_cell(one[2].error, trace)]
    if len(of_the_cell) != 1:
        return ""
    at_ns, who, how = of_the_cell[0]
    cancelled = [name for end_ns, name, outcome in raised if outcome.kind == "cancelled" and end_ns >= at_ns]
    return sentences.failed_first(who, how, at_ns, cancelled)


def _ends_the_cell(error: str, trace: Trace) -> bool:
    """Whether the cell ended with this exception, or with a group in which it can be."""
    return trace.outcome.kind == "raised" and trace.outcome.error in (error, *_GROUPS)


def says_nothing_found(trace: Trace, metrics: Metrics) -> bool:
    """Whether that the checks found nothing is an answer at all.

    Not of a cell that did not end well, nor where one thing at a time is the whole story: neither was well.
    One that caught its interrupt and returned was interrupted all the same.
    """
    if trace.outcome.kind != "returned" or trace.stop is not None or trace.wall_ns < TOO_SHORT_NS:
        return False
    return not _one_at_a_time(metrics)


def _one_at_a_time(metrics: Metrics) -> bool:
    return 0 < metrics.overlap <= _HARDLY_OVERLAPS and metrics.concurrency_peak <= 1


def _costly_finding(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    """The costliest warning; a note only where there is none."""
    own = [finding for finding in findings if finding.lint != BUSY_MACHINE]
    warnings = [finding for finding in own if finding.severity == "warning"]
    for finding in sorted(warnings or own, key=lambda one: -one.cost_s):
        if finding.cost_s > 0 and finding.cost_s >= _FINDING_SHARE * trace.wall_s:
            return finding.message
    return ""


def _kept_from_cores(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    """Other programs are the answer only where nothing else is: on a shared machine they always take some."""
    if any(finding.severity == "warning" for finding in findings):
        return ""
    lost = [one for one in findings if one.lint == BUSY_MACHINE and one.cost_s >= _MOST * trace.wall_s]
    return lost[0].message if lost else ""


def _blocked_in_places(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    """Several calls blocked the loop, none of them for long enough to be the answer alone."""
    blocks = [finding for finding in findings if finding.lint in _BLOCKS]
    lost_s = sum(finding.cost_s for finding in blocks)
    if len(blocks) < 2 or lost_s < _FINDING_SHARE * trace.wall_s:
        return ""
    lines = sorted({finding.line for finding in blocks if finding.line})
    return sentences.blocked_in_places(lost_s * 1e9, trace.wall_ns, len(blocks), lines)


def _nothing_happened(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    return sentences.nothing_happened() if not trace.wall_ns or not trace.tracks else ""


def _too_short(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    return sentences.too_short(trace.wall_ns) if trace.wall_ns < TOO_SHORT_NS else ""


def _in_parallel(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    if metrics.parallelism < _SIDE_BY_SIDE or not metrics.parallelism > 0:
        return ""
    return sentences.computed_in_parallel(_who(metrics), metrics.parallelism, metrics.cores)


def _took_turns(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    """Several threads computed, and together used about one core."""
    busy = [
        track
        for track in trace.tracks
        if track.kind == "thread"
        and not track.host
        and track.id in metrics.by_track
        and metrics.by_track[track.id].running_s + metrics.by_track[track.id].ready_s > 0.2 * trace.wall_s
    ]
    used = metrics.parallelism
    if metrics.gil_contended < _HARDLY:  # they did without each other's GIL: others used the cores
        return ""
    if len(busy) < 2 or len({track.pid for track in busy}) > 1 or not _MOST <= used <= _TAKING_TURNS:
        return ""
    if metrics.cores < 2:
        return sentences.took_turns_on_one_core(len(busy))
    return sentences.took_turns(len(busy), used, metrics.cores)


def _overlapped(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    if not metrics.overlap >= _SIDE_BY_SIDE or metrics.unit_peak < 2:
        return ""
    useful_ns = metrics.overlap * trace.wall_ns
    computed = metrics.running_s * 1e9 / useful_ns
    what = sentences.DID_BOTH
    if computed <= _NEXT_TO_NOTHING:
        what = sentences.WAITED
    elif computed >= 1 - _NEXT_TO_NOTHING:
        what = sentences.COMPUTED
    return sentences.overlapped(metrics.unit_peak, _who(metrics), useful_ns, what, trace.wall_ns)


def _largest_part(trace: Trace, metrics: Metrics, findings: Sequence[Finding]) -> str:
    parts = [one for one in summarised(metrics.path) if _is_the_cells(one[0])]
    if not parts:
        return sentences.nothing_happened()
    part, length = parts[0]
    words = sentences.path_words(part.state.value, part.reason, part.phase)
    if part.state is State.UNKNOWN and length >= _MOST * trace.wall_ns:
        return sentences.mostly_unknown(length, trace.wall_ns)
    where = _where(metrics.path, part, length)
    alone = part.reason in OUTSIDE and _one_at_a_time(metrics)
    told = sentences.largest_part(length, trace.wall_ns, words, where, alone)
    without_core = sum(one.length_ns for one in metrics.path if _has_no_core(one))
    return sentences.and_no_core(told, without_core) if without_core > length else told


def _where(path: Sequence[PathPart], part: PathPart, length: int) -> str:
    """The place in which most of the part lies, and how much of it, unless that is next to all."""
    file, line, there = places_of(path, part)[0]
    if not line or there < _MOST * length:
        return ""
    where = sentences.place(file, line)
    return f"at {where}" if there >= _NEXT_TO_ALL * length else sentences.part_of_it(there, where)


def _is_the_cells(part: PathPart) -> bool:
    """Neither what is ours nor what other programs took."""
    return part.state is not State.TRACING and not _has_no_core(part)


def _has_no_core(part: PathPart) -> bool:
    return part.state is State.READY and part.reason == "core"


def _who(metrics: Metrics) -> str:
    kinds = [kind for kind in metrics.unit_kinds if kind != "cell"]
    return kinds[0] if len(kinds) == 1 else "unit"


_CASES: tuple[Case, ...] = (
    _nothing_happened,
    _too_short,
    _costly_finding,
    _blocked_in_places,
    _in_parallel,
    _took_turns,
    _overlapped,
    _kept_from_cores,
    _largest_part,
)
