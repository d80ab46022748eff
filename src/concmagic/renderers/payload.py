"""Report → what the script draws: finished lanes, words and colours, packed small.

Times are whole units of `unit` ns and stored as differences, so that a box takes a few bytes.
The size is bounded: how many boxes, lanes, words and flows there are depends on constants here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from concmagic import sentences
from concmagic.analysis.findings import Finding
from concmagic.renderers.curves import thinned
from concmagic.renderers.lanes import Lane, arrange
from concmagic.renderers.layout import NO_JOB, JobLabels, labels_of
from concmagic.renderers.loupe import typical_stretch
from concmagic.renderers.measure import fit_columns_middle, one_line
from concmagic.renderers.palette import FONT, ORDER, THEMES, as_plain
from concmagic.renderers.payload_calls import CallPacker
from concmagic.renderers.payload_flows import packed_flows
from concmagic.renderers.payload_lanes import Placed, lane_of_track, place, places_of_calls, within_folds
from concmagic.renderers.print_ticks import moments_of, on_lane
from concmagic.renderers.spans import Span, merge, resolution_for, stacked
from concmagic.renderers.told import Told, findings_told, notes_told
from concmagic.report import Report
from concmagic.trace.columns import StateColumns, columns_of
from concmagic.trace.model import Track

MOST_SEEN = 2_500  # boxes of the lanes seen at first
MOST_FOLDED = 10_000  # boxes within folds, fewer if there are many lanes
MOST_KINDS = 1_500
MOST_CURVE = 500
MOST_TOLD = 100  # tracks, each with what the operating system knows of it
MOST_PRINTS = 250  # of one lane, four times as many of all
FOLD_BINS = 240
_TOO_FINE = 1 / 300  # of the cell: a turn that is shorter cannot be seen at first
_LONGEST = 160  # characters of one name or label
_CODES = {state: code for code, state in enumerate(ORDER)}


def payload(report: Report) -> dict[str, Any]:
    """All that the script needs, as plain data for JSON."""
    placed, left_out = place(arrange(report))
    packer = _Packer(report)
    rows, merged = packer.rows(placed)
    notes = notes_told(report)
    notes += [sentences.merged_note(merged, packer.resolution_ns)] if merged else []
    if packer.coarse_ns > packer.resolution_ns:
        notes.append(sentences.folded_note(packer.coarse_ns))
    notes += [sentences.lanes_left_out(left_out)] if left_out else []
    numbers = lane_of_track(placed)
    calls = CallPacker(report.trace, packer.units, packer.unit_ns)
    packed_calls = calls.pack(*places_of_calls(placed, numbers))
    notes += [sentences.calls_left_out(calls.left_out)] if calls.left_out else []
    return {
        **_sentences(report, notes),
        "unit": packer.unit_ns,
        "wall": packer.units(report.trace.wall_ns),
        "lanes": [_lane(one, packer, _room_for_names(len(placed))) for one in placed],
        "places": packer.places,
        "rows": rows,
        "calls": packed_calls,
        "kinds": packer.kinds,
        "flows": packed_flows(report.trace, numbers, packer.units),
        "findings": [
            _finding(finding, told, numbers, packer)
            for finding, told in zip(report.findings, findings_told(report), strict=True)
        ],
        "marks": [
            [_cut(mark.label), packer.units(mark.start_ns), packer.units(mark.end_ns)]
            for mark in report.trace.marks[:500]
        ],
        "prints": _prints(report, placed, packer),
        "loupe": _loupe(report, placed, packer),
        "curves": [_curve(report, index, packer) for index in range(min(2, len(report.curves)))],
        "source": _source(report),
        "themes": [as_plain(theme) for theme in THEMES],
        "font": FONT,
        "words": sentences.PICTURE_WORDS,
    }


def _sentences(report: Report, notes: list[str]) -> dict[str, Any]:
    return {
        "headline": report.headline,
        "chips": [[chip.label, chip.value, chip.note, chip.help] for chip in report.chips],
        "band": [
            [part.length_ns, sentences.band_label(part.length_ns, part.text), _CODES[part.state]]
            for part in report.band
        ],
        "legend": [
            [_CODES[total.state], total.label, sentences.duration(total.length_ns)] for total in report.legend
        ],
        "cost": [report.cost, report.cost_is_high],
        "notes": notes,
    }


class _Packer:
    """Packs boxes, and numbers the different kinds of them."""

    def __init__(self, report: Report) -> None:
        self.columns = columns_of(report.trace)
        self.has_few_lanes = len(report.trace.tracks) <= MOST_TOLD
        self._jobs = JobLabels(report.trace.jobs, report.trace.tracks)
        self._wall = max(report.trace.wall_ns, 1)
        self.unit_ns = 1
        while self._wall / self.unit_ns > 1_000_000:
            self.unit_ns *= 10
        self.kinds: list[list[Any]] = [[-1, "", "", "", []]]  # 0: nothing is drawn
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._place_numbers = {"": 0}
        self.places = [""]  # where tracks were made: often the same place
        self.resolution_ns = 0.0  # of the lanes seen at first
        self.coarse_ns = 0.0  # of those within folds

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
        code = _CODES[interval.state]
        if len(self.kinds) >= MOST_KINDS:  # ever new details: keep the state, let the details go
            return self._number((code, interval.state.value, interval.state.value, "", 0))
        labels = labels_of(interval, job)
        full, short = labels[0], job.label or (labels[-2] if len(labels) > 1 else labels[0])
        place = sentences.place(interval.file, interval.line)
        return self._number(
            (code, _cut(full), _cut(short), _cut(place), 0 if interval.file else interval.line)
        )

    def _shares(self, span: Span) -> int:
        """Shares in sixteenths: what is there at all stays visible, and few kinds are enough."""
        fine = 16 if len(self.kinds) < MOST_KINDS else 4
        parts = tuple(max(round(share * fine), 1) * (16 // fine) if share > 0 else 0 for share in span.shares)
        return self._number((-2, parts))

    def _number(self, key: tuple[Any, ...]) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self.kinds)
            self.kinds.append([-2, list(key[1])] if key[0] == -2 else list(key))
        return self._numbers[key]


def _room_for_names(lanes: int) -> int:
    """How many characters a lane's name may have: fewer if there are many lanes."""
    return min(max(30_000 // max(lanes, 1), 24), _LONGEST)


def _lane(placed: Placed, packer: _Packer, longest: int) -> list[Any]:
    lane = placed.lane
    flags = lane.is_group + 2 * lane.is_fold + 4 * lane.machinery
    outcome = {True: 1, False: 2, None: 0}[lane.ok]
    track = lane.tracks[0]
    said = "" if track.outcome == "returned" else track.outcome  # the script has that word
    detail = ": ".join(word for word in (said, track.outcome_detail) if word)
    detail += f" · {track.raised_in}" if track.raised_in else ""
    if packer.has_few_lanes and not lane.is_fold:
        detail = " · ".join(word for word in (detail, _of_thread(track)) if word)
    where = "" if lane.is_fold else _cut(sentences.place(track.file, track.line))
    return [
        fit_columns_middle(one_line(lane.name), longest),
        lane.depth,
        flags,
        outcome,
        _cut(lane.text),
        placed.parent,
        "" if lane.is_fold else _cut(detail, 2 * _LONGEST),
        packer.place(where),
        [packer.units(length) for length in _sums(packer.columns.only(lane.tracks))],
    ]


def _of_thread(track: Track) -> str:
    """What the operating system knows of a thread."""
    if track.kind != "thread" or not track.native_id:
        return ""
    return sentences.of_thread(track.native_id, track.daemon, track.switches)


def _sums(columns: StateColumns) -> list[int]:
    """Nanoseconds by state, from all intervals, merged or not."""
    sums: list[int] = np.bincount(columns.code, columns.length_ns, len(ORDER)).astype(np.int64).tolist()
    while sums and not sums[-1]:
        sums.pop()
    return sums


def _finding(finding: Finding, told: Told, numbers: dict[int, int], packer: _Packer) -> list[Any]:
    lanes = [numbers[track] for track in finding.tracks[:50] if track in numbers]
    start, end = packer.units(finding.start_ns), packer.units(finding.end_ns)
    return [finding.severity, told.message, told.hint, finding.lint, start, end, lanes]


def _prints(report: Report, placed: list[Placed], packer: _Packer) -> list[list[int]]:
    """Of each lane that printed: its number, then when, as differences."""
    moments = moments_of(report.trace)
    finest = max(report.trace.wall_ns, 1) / MOST_PRINTS
    found: list[list[int]] = []
    for number, one in enumerate(placed):
        times = [packer.units(at) for at in on_lane(one.lane, moments, finest)]
        if times and sum(map(len, found)) < 4 * MOST_PRINTS:
            steps = [after - before for before, after in zip([0, *times], times, strict=False)]
            found.append([number, *steps])
    return found


def _loupe(report: Report, placed: list[Placed], packer: _Packer) -> list[Any]:
    """From when to when a typical stretch reaches, and its name; nothing where the whole shows it."""
    hidden, wall = within_folds(placed), max(report.trace.wall_ns, 1)
    seen = [one.lane for index, one in enumerate(placed) if index not in hidden and not one.lane.is_fold]
    columns = packer.columns.only(lane.tracks[0] for lane in seen)
    stretch = typical_stretch(columns, wall, wall * _TOO_FINE)
    if stretch is None:
        return []
    start, end = packer.units(stretch.start_ns), packer.units(stretch.end_ns)
    return [start, end, sentences.typical(sentences.duration(stretch.end_ns - stretch.start_ns))]


def _curve(report: Report, index: int, packer: _Packer) -> list[Any]:
    curve = report.curves[index]
    peak = max(curve.values, default=0)
    cores = report.trace.build.cores if index == 1 else 0
    points = thinned(curve, report.trace.wall_ns, MOST_CURVE)
    times = [packer.units(time) for time, _ in points]
    steps = [after - before for before, after in zip([0, *times], times, strict=False)]
    values = [round(value, 2) if value % 1 else int(value) for _, value in points]
    return [curve.label, steps, values, max(peak, cores, 1), sentences.peak_of(peak, cores)]


def _source(report: Report) -> dict[str, str]:
    """The cell's lines that an interval names, by the editor's number: the magic's own line is 1."""
    named = {i.line for track in report.trace.tracks for i in track.states[:2_000] if not i.file and i.line}
    lines = dict(enumerate(report.trace.source.splitlines(), start=2))
    return {str(line): _cut(lines[line].strip()) for line in sorted(named)[:200] if line in lines}


def _cut(text: str, longest: int = _LONGEST) -> str:
    shown = one_line(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
