"""The lanes for the script: which, in which order, the flows between them, and their boxes packed small."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from concmagic import sentences
from concmagic.model.columns import columns_of
from concmagic.model.trace import Flow, Group, Named, Trace, Track
from concmagic.renderers import schema
from concmagic.renderers.drawn_as import DrawnAs
from concmagic.renderers.lanes import Lane
from concmagic.renderers.layout import NO_JOB, JobLabels, labels_of
from concmagic.renderers.measure import one_line
from concmagic.renderers.palette import CODES
from concmagic.renderers.payload_calls import LaneOfTrack
from concmagic.renderers.time_axis import Span, merge, resolution_for, stacked
from concmagic.report import Report

MOST_LANES = 1_200
MOST_FLOWS = 800
_ENDED_NS = 1_000_000  # a wait that goes on for no longer was ended: sampled ones end a moment late
KINDS = ("spawn", "wake", "submit", "result", "send", "release", "join")
MOST_SEEN = 2_500  # boxes of the lanes seen at first
MOST_FOLDED = 10_000  # boxes within folds, fewer if there are many lanes
MOST_KINDS = 1_500
FOLD_BINS = 240
LONGEST = 160  # characters of one name or label
_NOTHING = schema.BoxKind(schema.NOTHING, full="", short="", place="", line=0)  # kind 0


@dataclass(frozen=True, slots=True)
class Placed:
    """A lane with the number of the lane that it is drawn under, -1 for none."""

    lane: Lane
    parent: int


def place(lanes: tuple[Lane, ...]) -> tuple[list[Placed], int]:
    """All lanes in drawing order, the first ones of each fold if there are too many."""
    placed: list[Placed] = []
    left_out = 0

    def visit(lane: Lane, parent: int) -> None:
        nonlocal left_out
        if len(placed) >= MOST_LANES:
            left_out += 1
            return
        number = len(placed)
        placed.append(Placed(lane, parent))
        for child in lane.children:
            visit(child, number)

    for lane in lanes:
        visit(lane, -1)
    return placed, left_out


def within_folds(placed: list[Placed]) -> set[int]:
    """The lanes that are not seen until a fold is opened."""
    hidden: set[int] = set()
    for index, one in enumerate(placed):
        if one.parent >= 0 and (one.parent in hidden or placed[one.parent].lane.is_fold):
            hidden.add(index)
    return hidden


def lane_of_track(placed: list[Placed]) -> dict[int, int]:
    """The number of the lane on which each track is drawn."""
    return {
        track.id: index
        for index, one in enumerate(placed)
        if not one.lane.is_fold
        for track in (*one.lane.tracks, *one.lane.told_too)
    }


def places_of_calls(
    placed: list[Placed], numbers: dict[int, int]
) -> tuple[list[LaneOfTrack], list[LaneOfTrack]]:
    """Lane and track of what is seen at first, and of what is within folds."""
    hidden = within_folds(placed)
    seen: list[LaneOfTrack] = []
    folded: list[LaneOfTrack] = []
    for track, lane in numbers.items():
        (folded if lane in hidden else seen).append((lane, track))
    return seen, folded


def packed_flows(trace: Trace, lane_of: dict[int, int], units: Callable[[float], int]) -> schema.Flows:
    """The flows between lanes, as columns; times as differences."""
    flows = [flow for flow in trace.flows if flow.source in lane_of and flow.target in lane_of]
    flows = [flow for flow in flows if flow.source != flow.target]  # a callback that was late on its loop
    if len(flows) > MOST_FLOWS:
        tracks = {track.id: track for track in trace.tracks}
        starts = {track.id: [i.start_ns for i in track.states] for track in trace.tracks}
        flows.sort(key=lambda flow: -_wait_ended(flow, tracks[flow.target], starts[flow.target]))
        flows = flows[:MOST_FLOWS]
    flows.sort(key=lambda flow: flow.target_ns)
    times = [units(flow.target_ns) for flow in flows]
    return schema.Flows(
        kind=[KINDS.index(flow.kind) for flow in flows],
        source=[lane_of[flow.source] for flow in flows],
        ago=[time - units(flow.source_ns) for flow, time in zip(flows, times, strict=True)],
        target=[lane_of[flow.target] for flow in flows],
        steps=[after - before for before, after in zip([0, *times], times, strict=False)],
    )


def _wait_ended(flow: Flow, target: Track, starts: list[int]) -> int:
    """How long the interval was that this flow ended; 0 if that went on: one of several awaited results."""
    before = bisect_left(starts, flow.target_ns) - 1
    if before < 0:
        return 0
    interval = target.states[before]
    goes_on = interval.end_ns - flow.target_ns > max(interval.length_ns // 20, _ENDED_NS)
    return 0 if goes_on else interval.length_ns


class Packer:
    """Packs boxes, and numbers the different kinds of them; likewise places."""

    def __init__(self, report: Report) -> None:
        self.columns = columns_of(report.trace)
        self._groups = {group.track: group for group in report.trace.groups}
        self._jobs = JobLabels(report.trace.jobs, report.trace.tracks)
        self._words = sentences.StateWords(Named.of(report.trace))
        self._drawn_as = DrawnAs(report.stuck)
        self._wall = max(report.trace.wall_ns, 1)
        self.unit_ns = 1
        while self._wall / self.unit_ns > 1_000_000:
            self.unit_ns *= 10
        self.kinds: list[schema.BoxKind | schema.MixedKind] = [_NOTHING]
        self._numbers: dict[tuple[object, ...], int] = {}
        self._place_numbers = {"": 0}
        self.places = [""]  # where tracks were made: often the same place
        self.resolution_ns = 0.0  # of the lanes seen at first
        self.coarse_ns = 0.0  # of those within folds

    def groups_of(self, lane: Lane) -> list[Group]:
        """The groups of tasks that a lane stands for."""
        if not self._groups:
            return []
        return [self._groups[track.id] for track in lane.tracks if track.id in self._groups]

    def units(self, time_ns: float) -> int:
        """A time in whole units."""
        return round(time_ns / self.unit_ns)

    def place(self, where: str) -> int:
        """The number of a place in `places`."""
        if where not in self._place_numbers:
            self._place_numbers[where] = len(self.places)
            self.places.append(where)
        return self._place_numbers[where]

    def rows(self, placed: list[Placed]) -> tuple[list[list[int]], int]:
        """The boxes of each lane, and how many intervals were merged into shares."""
        all_columns = self.columns
        hidden = within_folds(placed)
        single = {i: one.lane.tracks[0] for i, one in enumerate(placed) if not one.lane.is_fold}
        seen = all_columns.only(track for i, track in single.items() if i not in hidden)
        folded = all_columns.only(track for i, track in single.items() if i in hidden)
        self.resolution_ns = resolution_for(seen, self._wall, MOST_SEEN, float(self.unit_ns))
        most = max(MOST_FOLDED - 7 * len(placed), 3_500)
        self.coarse_ns = resolution_for(folded, self._wall, most, self.resolution_ns)
        of_seen, of_folded = iter(merge(seen, self.resolution_ns)), iter(merge(folded, self.coarse_ns))
        rows, merged = [], 0
        for index, one in enumerate(placed):
            if one.lane.is_fold:
                spans = stacked(all_columns.only(one.lane.tracks), self._wall, FOLD_BINS)
            else:
                spans = next(of_folded if index in hidden else of_seen)
                merged += sum(span.merged for span in spans if span.shares and index not in hidden)
            rows.append(self._row(one.lane, spans))
        return rows, merged

    def _row(self, lane: Lane, spans: list[Span]) -> list[int]:
        row: list[int] = []
        at = 0
        for span in spans:
            start, end = self.units(span.start_ns), self.units(span.end_ns)
            if start > at:
                row += [start - at, 0]
            row += [max(end - max(start, at), 0), self._kind(lane, span)]
            at = max(end, at)
        return row

    def _kind(self, lane: Lane, span: Span) -> int:
        if span.interval is None:
            return self._shares(span)
        interval = span.interval
        job = NO_JOB if lane.is_fold else self._jobs.at(lane.tracks[0].id, interval)
        code = CODES[self._drawn_as(lane.tracks[0].id, interval)]
        if len(self.kinds) >= MOST_KINDS:  # ever new details: keep the state, let the details go
            word = interval.state.value
            return self._number(schema.BoxKind(code, full=word, short=word, place="", line=0))
        labels = labels_of(interval, self._words, job)
        full, short = labels[0], job.label or (labels[-2] if len(labels) > 1 else labels[0])
        return self._number(
            schema.BoxKind(
                code,
                full=cut(full),
                short=cut(short),
                place=cut(sentences.place(interval.file, interval.line)),
                line=0 if interval.file else interval.line,
            )
        )

    def _shares(self, span: Span) -> int:
        """Shares in sixteenths: what is there at all stays visible, and few kinds are enough."""
        fine = schema.SIXTEENTHS if len(self.kinds) < MOST_KINDS else 4
        size = schema.SIXTEENTHS // fine
        parts = [max(round(share * fine), 1) * size if share > 0 else 0 for share in span.shares]
        return self._number(schema.MixedKind(schema.MIXED, parts))

    def _number(self, kind: schema.BoxKind | schema.MixedKind) -> int:
        key = (kind.code, *kind.shares) if isinstance(kind, schema.MixedKind) else kind
        if key not in self._numbers:
            self._numbers[key] = len(self.kinds)
            self.kinds.append(kind)
        return self._numbers[key]


def cut(text: str, longest: int = LONGEST) -> str:
    """One line, not longer than the script shows."""
    shown = one_line(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
