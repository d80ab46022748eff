"""Report → what the script draws: finished lanes, words and colours, packed small.

Times are whole units of `unit` ns and stored as differences, so that a box takes a few bytes.
The size is bounded: how many boxes, lanes, words and flows there are depends on constants here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from concmagic import sentences
from concmagic.model.columns import StateColumns
from concmagic.model.trace import Group, Named, Track
from concmagic.renderers import schema
from concmagic.renderers.drawn_as import needs
from concmagic.renderers.lanes import arrange, moments_of, on_lane
from concmagic.renderers.measure import fit_columns_middle, one_line
from concmagic.renderers.palette import CODES, FONT, ORDER, THEMES, as_plain
from concmagic.renderers.payload_calls import CallPacker
from concmagic.renderers.payload_lanes import (
    LONGEST,
    Packer,
    Placed,
    cut,
    lane_of_track,
    packed_flows,
    place,
    places_of_calls,
    within_folds,
)
from concmagic.renderers.time_axis import thinned, typical_stretch
from concmagic.report import BandPart, Report, findings_told, notes_told

MOST_CURVE = 500
MOST_STRETCHES = 200  # of one part of the band
MOST_TOLD = 100  # tracks, each with what the operating system knows of it
MOST_PRINTS = 250  # of one lane, four times as many of all
_TOO_FINE = 1 / 300  # of the cell: a turn that is shorter cannot be seen at first


def payload(report: Report) -> schema.Payload:
    """All that the script needs, as plain data for JSON."""
    placed, left_out = place(arrange(report))
    packer = Packer(report)
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
        "headline": report.headline,
        "chips": [schema.Chip(chip.label, chip.value, chip.note, chip.help) for chip in report.chips],
        "band": [_band_part(part, report.band, numbers, packer) for part in report.band],
        "legend": [
            schema.LegendEntry(CODES[total.category], total.label, sentences.total(total.length_ns))
            for total in report.legend
        ],
        "cost": schema.Cost(report.cost, report.cost_is_high),
        "notes": notes,
        "unit": packer.unit_ns,
        "wall": packer.units(report.trace.wall_ns),
        "lanes": _lanes(report, placed, packer),
        "places": packer.places,
        "rows": rows,
        "calls": packed_calls,
        "kinds": packer.kinds,
        "flows": packed_flows(report.trace, numbers, packer.units),
        "needs": [
            schema.Need(numbers[one.track], numbers[one.whom], packer.units(one.at_ns))
            for one in needs(report.stuck)
            if one.track in numbers and one.whom in numbers
        ],
        "findings": _findings(report, numbers, packer),
        "marks": [
            schema.Mark(cut(mark.label), packer.units(mark.start_ns), packer.units(mark.end_ns))
            for mark in report.trace.marks[:500]
        ],
        "prints": _prints(report, placed, packer),
        "loupe": _loupe(report, placed, packer),
        "curves": [_curve(report, index, packer) for index in range(min(2, len(report.curves)))],
        "source": _source(report),
        "themes": [as_plain(theme) for theme in THEMES],
        "font": FONT,
        "words": cast("schema.Words", sentences.PICTURE_WORDS),  # its lists are read as the schema says
    }


def _band_part(
    part: BandPart, band: Sequence[BandPart], numbers: dict[int, int], packer: Packer
) -> schema.BandPart:
    """The longest of its stretches; those of tracks without a lane of their own are not drawn."""
    drawn = [one for one in part.stretches if one.track in numbers]
    longest = sorted(drawn, key=lambda one: one.start_ns - one.end_ns)[:MOST_STRETCHES]
    steps: list[int] = []
    for one in sorted(longest, key=lambda one: one.start_ns):
        start = packer.units(one.start_ns)
        steps += numbers[one.track], start, packer.units(one.end_ns) - start
    total_ns = sum(one.length_ns for one in band)
    return schema.BandPart(
        length=part.length_ns,
        label=cut(sentences.band_label(part.length_ns, part.text)),
        told=cut(sentences.band_part(part.length_ns, part.text, total_ns)),
        code=CODES[part.category],
        steps=steps,
    )


def _room_for_names(lanes: int) -> int:
    """How many characters a lane's name may have: fewer if there are many lanes."""
    return min(max(30_000 // max(lanes, 1), 24), LONGEST)


def _lanes(report: Report, placed: list[Placed], packer: Packer) -> list[schema.Lane]:
    longest, tells_threads = _room_for_names(len(placed)), len(report.trace.tracks) <= MOST_TOLD
    words = sentences.TrackWords(report.trace, Named.of(report.trace))
    return [_lane(one, packer, words, longest, tells_threads) for one in placed]


def _lane(
    placed: Placed, packer: Packer, words: sentences.TrackWords, longest: int, tells_threads: bool
) -> schema.Lane:
    lane = placed.lane
    flags = schema.GROUP * lane.is_group + schema.FOLD * lane.is_fold + schema.MACHINERY * lane.machinery
    track = lane.tracks[0]
    said = "" if track.outcome.kind == "returned" else str(track.outcome)  # the script has that word
    detail = ": ".join(word for word in (said, words.detail(track)) if word)
    raised = words.raised_in(track)
    detail += f" · {raised}" if raised else ""
    if tells_threads and not lane.is_fold:
        detail = " · ".join(word for word in (detail, _of_thread(track)) if word)
    where = "" if lane.is_fold else cut(sentences.place(track.file, track.line))
    sums = _sums(packer.columns.only(lane.tracks), packer.groups_of(lane))
    return schema.Lane(
        name=fit_columns_middle(one_line(lane.name), longest),
        depth=lane.depth,
        flags=flags,
        ending={True: schema.ENDED_WELL, False: schema.ENDED_BADLY, None: 0}[lane.ok],
        text=cut(lane.text),
        parent=placed.parent,
        detail="" if lane.is_fold else cut(detail, 2 * LONGEST),
        place=packer.place(where),
        sums=[packer.units(length) for length in sums],
    )


def _of_thread(track: Track) -> str:
    """What the operating system knows of a thread."""
    if track.kind != "thread" or not track.native_id:
        return ""
    return sentences.of_thread(track.native_id, track.daemon, track.switches)


def _sums(columns: StateColumns, groups: Sequence[Group]) -> list[int]:
    """Nanoseconds by category, from all intervals, merged or not."""
    spent_ns = columns.spent_ns(groups)
    sums: list[int] = np.bincount(columns.category, spent_ns, len(ORDER)).astype(np.int64).tolist()
    while sums and not sums[-1]:
        sums.pop()
    return sums


def _findings(report: Report, numbers: dict[int, int], packer: Packer) -> list[schema.Finding]:
    return [
        schema.Finding(
            severity=finding.severity,
            message=told.message,
            hint=told.hint,
            lint=finding.lint,
            start=packer.units(finding.start_ns),
            end=packer.units(finding.end_ns),
            lanes=[numbers[track] for track in finding.tracks[:50] if track in numbers],
        )
        for finding, told in zip(report.findings, findings_told(report), strict=True)
    ]


def _prints(report: Report, placed: list[Placed], packer: Packer) -> list[schema.Prints]:
    """When each lane printed that did, as differences."""
    moments = moments_of(report.trace)
    finest = max(report.trace.wall_ns, 1) / MOST_PRINTS
    found: list[schema.Prints] = []
    for number, one in enumerate(placed):
        times = [packer.units(at) for at in on_lane(one.lane, moments, finest)]
        if times and sum(1 + len(prints.steps) for prints in found) < 4 * MOST_PRINTS:
            steps = [after - before for before, after in zip([0, *times], times, strict=False)]
            found.append(schema.Prints(number, steps))
    return found


def _loupe(report: Report, placed: list[Placed], packer: Packer) -> list[schema.Stretch]:
    """From when to when a typical stretch reaches, and its name; nothing where the whole shows it."""
    hidden, wall = within_folds(placed), max(report.trace.wall_ns, 1)
    seen = [one.lane for index, one in enumerate(placed) if index not in hidden and not one.lane.is_fold]
    columns = packer.columns.only(lane.tracks[0] for lane in seen)
    stretch = typical_stretch(columns, wall, wall * _TOO_FINE)
    if stretch is None:
        return []
    start, end = packer.units(stretch.start_ns), packer.units(stretch.end_ns)
    label = sentences.typical(sentences.duration(stretch.end_ns - stretch.start_ns))
    return [schema.Stretch(start, end, label)]


def _curve(report: Report, index: int, packer: Packer) -> schema.Curve:
    curve = report.curves[index]
    peak = max(curve.values, default=0)
    cores = report.trace.build.cores if index == 1 else 0
    points = thinned(curve, report.trace.wall_ns, MOST_CURVE)
    times = [packer.units(time) for time, _ in points]
    steps = [after - before for before, after in zip([0, *times], times, strict=False)]
    values = [round(value, 2) if value % 1 else int(value) for _, value in points]
    return schema.Curve(
        label=curve.label,
        steps=steps,
        values=values,
        top=max(peak, cores, 1),
        note=sentences.peak_of(peak, cores),
    )


def _source(report: Report) -> dict[str, str]:
    """The cell's lines that an interval names, by the editor's number: the magic's own line is 1."""
    named = {i.line for track in report.trace.tracks for i in track.states[:2_000] if not i.file and i.line}
    lines = dict(enumerate(report.trace.source.splitlines(), start=2))
    return {str(line): cut(lines[line].strip()) for line in sorted(named)[:200] if line in lines}
