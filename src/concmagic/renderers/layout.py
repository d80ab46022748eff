"""Report → lanes, boxes, ticks and arrows at a width: numbers only, no SVG and no terminal."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from concmagic import sentences
from concmagic.model.categories import Category
from concmagic.model.columns import StateColumns, columns_of
from concmagic.model.trace import Flow, Job, Named, State, StateInterval, Track
from concmagic.renderers.drawn_as import DrawnAs, needs
from concmagic.renderers.lanes import Lane, Moments, arrange, moments_of, on_lane, visible
from concmagic.renderers.measure import one_line
from concmagic.renderers.time_axis import (
    Scale,
    Shares,
    Span,
    Stretch,
    merge,
    resolution_for,
    stacked,
    ticks,
    typical_stretch,
)
from concmagic.report import Report

FINEST_PX = 1.5  # what is narrower is merged
MOST_SPANS = 700  # of one static picture: its size is bounded, whatever the trace
FOLD_BINS = 150
MOST_ARROWS = 6
TICK_PX = 96
QUEUED_NS, QUEUED_SHARE = 1_000_000, 0.05  # … and this of its run: a job's time in the queue is worth a word
PRINT_PX = 4  # ticks of prints do not touch
_START = attrgetter("start_ns")
_CROSSING = frozenset({"wake", "release", "send", "result"})


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a lane: one state, or the shares of several."""

    x: float
    width: float
    category: Category | None
    shares: Shares
    labels: tuple[str, ...]  # longest first: the first that fits is drawn


@dataclass(frozen=True, slots=True)
class Row:
    """A lane with its boxes; rows are numbered from the top by their place in the layout."""

    lane: Lane
    boxes: tuple[Box, ...]
    prints: tuple[float, ...] = ()  # where it printed, at most one in PRINT_PX


@dataclass(frozen=True, slots=True)
class Arrow:
    """A drawn flow between two rows."""

    x: float
    row: int
    to_x: float
    to_row: int


@dataclass(frozen=True, slots=True)
class MarkBox:
    """A user's mark: a moment (width 0) or a stretch."""

    x: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class Loupe:
    """A typical stretch of lanes that alternate too finely, on a scale of its own."""

    scale: Scale
    x: float  # where the stretch lies on the axis of the whole
    to_x: float
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """All that is placed along the time axis."""

    scale: Scale
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    marks: tuple[MarkBox, ...]
    arrows: tuple[Arrow, ...]
    needs: tuple[Arrow, ...]  # of a deadlock
    merged: int  # how many intervals are drawn as shares
    resolution_ns: float
    loupe: Loupe | None = None


def lay_out(report: Report, left: float, right: float) -> Layout:
    """Place a report between two horizontal positions."""
    wall = max(report.trace.wall_ns, 1)
    scale = Scale(0, wall, left, right)
    lanes = visible(arrange(report))
    columns = columns_of(report.trace)
    single = columns.only(lane.tracks[0] for lane in lanes if not lane.is_fold)
    resolution = resolution_for(single, wall, MOST_SPANS, FINEST_PX * scale.ns_per_pixel)
    writing = Writing(
        sentences.StateWords(Named.of(report.trace)),
        JobLabels(report.trace.jobs, report.trace.tracks),
        DrawnAs(report.stuck),
    )
    of_single = iter(merge(single, resolution))
    spans = [
        stacked(columns.only(lane.tracks), wall, FOLD_BINS) if lane.is_fold else next(of_single)
        for lane in lanes
    ]
    prints = moments_of(report.trace)
    return Layout(
        scale,
        tuple(
            Row(lane, _boxes(lane, found, scale, writing), _prints(lane, prints, scale))
            for lane, found in zip(lanes, spans, strict=True)
        ),
        tuple((scale.x(time), label) for time, label in ticks(0, wall, round((right - left) / TICK_PX))),
        tuple(_marks(report, scale)),
        _arrows(report.trace.flows, lanes, scale),
        _needs(report, lanes, scale),
        sum(span.merged for found in spans for span in found if span.shares and span.merged > 1),
        resolution,
        _loupe(typical_stretch(single, wall, resolution), lanes, scale, writing),
    )


def _loupe(stretch: Stretch | None, lanes: list[Lane], whole: Scale, writing: Writing) -> Loupe | None:
    if stretch is None:
        return None
    start, end = stretch.start_ns, stretch.end_ns
    scale = Scale(start, end, whole.left, whole.right)
    columns = StateColumns.of(stretch.tracks)
    spans = merge(columns, resolution_for(columns, end - start, MOST_SPANS, FINEST_PX * scale.ns_per_pixel))
    by_track = {lane.tracks[0].id: lane for lane in lanes if not lane.is_fold}
    of_stretch = [replace(by_track[track.id], depth=0, text="", ok=None) for track in stretch.tracks]
    return Loupe(
        scale,
        whole.x(start),
        whole.x(end),
        tuple(
            Row(lane, _boxes(lane, found, scale, writing))
            for lane, found in zip(of_stretch, spans, strict=True)
        ),
        tuple((scale.x(time), label) for time, label in ticks(start, end, 5)),
    )


class JobAt(NamedTuple):
    """The job a worker was at: its label, and how long it had been queued if that is worth a word."""

    label: str = ""
    queued_ns: int = 0


NO_JOB = JobAt()


def labels_of(interval: StateInterval, words: sentences.StateWords, job: JobAt = NO_JOB) -> tuple[str, ...]:
    """The words for an interval, from the fullest to the shortest; a job's label says most."""
    place = sentences.place(interval.file, interval.line)
    state = interval.state.value
    whole = sentences.state_words(state, interval.reason, words.detail(interval), place)
    tries = (
        *_of_job(job, state, whole, place),
        whole,
        sentences.state_words(state, interval.reason, "", place),
        sentences.state_words(state, interval.reason, "", ""),
        state,
    )
    return tuple(dict.fromkeys(one_line(each) for each in tries))


def _of_job(job: JobAt, state: str, words: str, place: str) -> tuple[str, ...]:
    if not job.label or state not in ("running", "waiting"):
        return ()
    told = sentences.job_words(job.label, words if state == "waiting" else f"{state} {place}".rstrip())
    queued = (sentences.job_queued(told, job.queued_ns),) if job.queued_ns else ()
    return (*queued, told, job.label) if state == "running" else (*queued, told)


class JobLabels:
    """Which job a worker was at, by track and time; a lane named after its only job needs no label."""

    def __init__(self, jobs: tuple[Job, ...], tracks: tuple[Track, ...] = ()) -> None:
        self._by_track: dict[int, list[tuple[int, int, JobAt]]] = {}
        names = {track.id: track.name for track in tracks}
        for job in jobs:
            if job.track is not None and job.start_ns is not None and names.get(job.track) != job.label:
                end = job.end_ns if job.end_ns is not None else job.start_ns
                queued = job.start_ns - job.submit_ns
                long = queued >= max(QUEUED_NS, QUEUED_SHARE * (end - job.start_ns))
                told = JobAt(sentences.jobs_in_one(job.label, job.count), queued if long else 0)
                self._by_track.setdefault(job.track, []).append((job.start_ns, end, told))
        for rows in self._by_track.values():
            rows.sort()

    def at(self, track: int, interval: StateInterval) -> JobAt:
        """The job in whose time the interval's middle lies."""
        rows = self._by_track.get(track)
        if not rows:
            return NO_JOB
        middle = (interval.start_ns + interval.end_ns) // 2
        found = bisect_right(rows, middle, key=lambda row: row[0]) - 1
        return rows[found][2] if found >= 0 and middle <= rows[found][1] else NO_JOB


@dataclass(frozen=True, slots=True)
class Writing:
    """What boxes are drawn as, and what is written on them."""

    words: sentences.StateWords
    jobs: JobLabels
    drawn_as: DrawnAs


def _boxes(lane: Lane, spans: list[Span], scale: Scale, writing: Writing) -> tuple[Box, ...]:
    boxes, track = [], lane.tracks[0].id
    for span in spans:
        x = scale.x(span.start_ns)
        width = scale.x(span.end_ns) - x
        if span.interval is None:
            boxes.append(Box(x, width, None, span.shares, ()))
        else:
            labels = labels_of(span.interval, writing.words, writing.jobs.at(track, span.interval))
            boxes.append(Box(x, width, writing.drawn_as(track, span.interval), (), labels))
    return tuple(boxes)


def _prints(lane: Lane, moments: Moments, scale: Scale) -> tuple[float, ...]:
    return tuple(scale.x(at) for at in on_lane(lane, moments, PRINT_PX * scale.ns_per_pixel))


def _marks(report: Report, scale: Scale) -> list[MarkBox]:
    marks = sorted(report.trace.marks, key=lambda mark: mark.start_ns)
    return [
        MarkBox(scale.x(mark.start_ns), scale.x(mark.end_ns) - scale.x(mark.start_ns), mark.label)
        for mark in marks
    ]


def _row_of(lanes: list[Lane]) -> dict[int, int]:
    """The row of each track that has one of its own."""
    return {lane.tracks[0].id: row for row, lane in enumerate(lanes) if not lane.is_fold}


def _needs(report: Report, lanes: list[Lane], scale: Scale) -> tuple[Arrow, ...]:
    row_of = _row_of(lanes)
    return tuple(
        Arrow(scale.x(one.at_ns), row_of[one.track], scale.x(one.at_ns), row_of[one.whom])
        for one in needs(report.stuck)
        if one.track in row_of and one.whom in row_of
    )


def _arrows(flows: tuple[Flow, ...], lanes: list[Lane], scale: Scale) -> tuple[Arrow, ...]:
    """Who woke whom, only where it is few enough to be read: many arrows say nothing."""
    row_of = _row_of(lanes)
    crossing = [
        flow
        for flow in flows
        if flow.kind in _CROSSING and flow.source in row_of and flow.target in row_of
        if flow.source != flow.target and lanes[row_of[flow.source]].tracks[0].kind != "loop"
    ]
    if len(crossing) > MOST_ARROWS:  # of several results that are awaited together the last one
        crossing = [
            flow
            for flow in crossing
            if flow.kind != "result" or not _goes_on_waiting(lanes[row_of[flow.target]].tracks[0], flow)
        ]
    return tuple(
        Arrow(scale.x(flow.source_ns), row_of[flow.source], scale.x(flow.target_ns), row_of[flow.target])
        for flow in (crossing if len(crossing) <= MOST_ARROWS else ())
    )


def _goes_on_waiting(track: Track, flow: Flow) -> bool:
    index = bisect_right(track.states, flow.target_ns, key=_START) - 1
    if index < 0:
        return False
    one = track.states[index]
    return one.state is State.WAITING and flow.target_ns < one.end_ns
