"""The picture for a terminal: a chart that fits 80 columns and needs no colour."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

from concmagic import sentences
from concmagic.model.categories import Category
from concmagic.model.columns import columns_of
from concmagic.renderers.lanes import Lane, arrange, moments_of, on_lane, visible
from concmagic.renderers.measure import columns, fit_columns, fit_columns_middle, number_of, one_line
from concmagic.renderers.palette import LETTERS, ORDER
from concmagic.renderers.time_axis import shares_over, ticks
from concmagic.report import Report, findings_told, notes_told

WIDTH = 80
_NAMES = 19
_ENDS = 21
_FINDINGS = 5
_LOW = "▁▂▃▄▅▆▇"  # running for a part of a cell
_MIXED = "▞"
_PRINTED = "╹"
_RUNNING = ORDER.index(Category.RUNNING)
_QUIET = range(ORDER.index(Category.EACH_OTHER), len(ORDER))


@dataclass(frozen=True, slots=True)
class _Chart:
    """How the 80 columns are shared out."""

    names: int
    plot: int
    ends: int


class TextRenderer:
    """Report → a Unicode chart, 80 columns wide at most."""

    def render(self, report: Report) -> str:
        """Draw the report as plain text, without a newline at its end."""
        lanes = visible(arrange(report))
        chart = _share_out(lanes)
        sections = (
            _wrapped(report.headline),
            _chips(report),
            _findings(report),
            _band(report),
            _lanes(report, lanes, chart),
            _legend(report),
            _notes(report),
        )
        return "\n\n".join("\n".join(section) for section in sections if section)


def _wrapped(text: str, first: str = "", then: str = "") -> list[str]:
    shown = one_line(text)
    lines = textwrap.wrap(
        shown,
        WIDTH,
        initial_indent=first,
        subsequent_indent=then,
        break_on_hyphens=False,
        max_lines=4,
        placeholder=" …",
    )
    return [fit_columns(line, WIDTH) for line in lines]


def _chips(report: Report) -> list[str]:
    chips = [one_line(f"{chip.label} {chip.value} ({chip.note})") for chip in report.chips]
    cost = f"! {report.cost}" if report.cost_is_high else report.cost
    return [fit_columns(line, WIDTH) for line in _joined([*chips, one_line(cost)], "   ")]


def _joined(parts: list[str], gap: str) -> list[str]:
    """As many parts on a line as fit."""
    lines: list[str] = []
    for part in (part for part in parts if part):
        if lines and columns(lines[-1] + gap + part) <= WIDTH:
            lines[-1] += gap + part
        else:
            lines.append(part)
    return lines


def _findings(report: Report) -> list[str]:
    lines: list[str] = []
    for told in findings_told(report)[:_FINDINGS]:
        lines += _wrapped(told.message, "▲ " if told.warning else "● ", "  ")
        lines += _wrapped(told.hint, "  → ", "    ")
    more = len(report.findings) - _FINDINGS
    if more > 0:
        lines.append("  " + sentences.more_findings(more))
    return lines


def _band(report: Report) -> list[str]:
    if not report.band:
        return []
    parts = " · ".join(sentences.band_label(part.length_ns, part.text) for part in report.band)
    total = max(sum(part.length_ns for part in report.band), 1)
    edges = np.cumsum([0, *(part.length_ns for part in report.band)]) / total * WIDTH
    cells = np.round(edges).astype(int)
    bar = "".join(
        LETTERS[part.category] * int(after - before)
        for part, before, after in zip(report.band, cells, cells[1:], strict=False)
    )
    return [*_wrapped(f"{sentences.WHERE_IT_WENT}: {parts}", "", "  "), bar]


def _share_out(lanes: list[Lane]) -> _Chart:
    names = min(max((columns(_name(lane)) for lane in lanes), default=0), _NAMES)
    ends = min(max((columns(_end(lane)) for lane in lanes), default=0), _ENDS)
    return _Chart(names, WIDTH - names - ends - 2, ends)


def _name(lane: Lane) -> str:
    sign = "▾ " if lane.is_group else "▸ " if lane.is_fold else ""
    return "  " * lane.depth + sign + lane.name


def _end(lane: Lane) -> str:
    sign = {True: "✓ ", False: "✗ ", None: ""}[lane.ok]
    text = one_line(lane.text)
    if lane.is_fold and columns(text) > _ENDS:
        text = text.rpartition(" · ")[2]  # of p50 · p95 · max, the last
    if columns(sign + text) > _ENDS:  # half a number says something else
        text = number_of(text) or text
    return sign + text


def _lanes(report: Report, lanes: list[Lane], chart: _Chart) -> list[str]:
    if not lanes:
        return [sentences.NO_LANES]
    wall = max(report.trace.wall_ns, 1)
    rows = [_axis(wall, chart), *_marks(report, wall, chart)]
    edges = np.linspace(0, wall, chart.plot + 1)
    moments = moments_of(report.trace)
    for lane in lanes:
        name = (fit_columns if lane.is_fold else fit_columns_middle)(_name(lane), chart.names)
        shares = shares_over(columns_of(report.trace).only(lane.tracks), edges)
        shares = shares / (np.diff(edges) * len(lane.tracks))
        cells = [_cell(shares[:, column]) for column in range(chart.plot)]
        for one in report.stuck:
            if one.track == lane.tracks[0].id and not lane.is_fold:
                inside = (edges[:-1] >= one.start_ns) & (edges[1:] <= one.end_ns)
                cells = [
                    LETTERS[Category.STUCK] if yes else cell for cell, yes in zip(cells, inside, strict=True)
                ]
        for at in on_lane(lane, moments, wall / chart.plot):
            cells[max(0, min(int(at / wall * chart.plot), chart.plot - 1))] = _PRINTED
        rows.append(
            f"{_padded(name, chart.names)} {''.join(cells)} {fit_columns(_end(lane), chart.ends)}".rstrip()
        )
    return rows


def _cell(shares: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    """One column: a state's own sign where it is nearly alone, else how much of it was running."""
    total = float(shares.sum())
    if total < 0.02:
        return " "
    alone = int(shares.argmax())
    if shares[alone] > 0.9 * total and (alone == _RUNNING or shares[_RUNNING] < 0.02):
        return LETTERS[ORDER[alone]]
    quiet = float(sum(shares[code] for code in _QUIET))
    if shares[_RUNNING] + quiet > 0.95 * total and shares[_RUNNING] > 0:
        level = shares[_RUNNING] / total * len(_LOW) + 1e-9  # a whole step is one, however it was summed
        return _LOW[min(int(level), len(_LOW) - 1)]
    return _MIXED


def _axis(wall_ns: int, chart: _Chart) -> str:
    row = [" "] * (chart.names + 1 + WIDTH)
    free = 0
    for time, label in ticks(0, wall_ns, max(chart.plot // 12, 1)):
        at = chart.names + 1 + min(int(time / wall_ns * chart.plot), chart.plot - 1)
        text = "|" + label
        if at < free or at + len(text) > WIDTH:
            continue
        row[at : at + len(text)] = text
        free = at + len(text) + 1
    return "".join(row).rstrip()


def _marks(report: Report, wall_ns: int, chart: _Chart) -> list[str]:
    row = " " * (chart.names + 1)
    for mark in sorted(report.trace.marks, key=lambda mark: mark.start_ns):
        at = chart.names + 1 + min(int(mark.start_ns / wall_ns * chart.plot), chart.plot - 1)
        text = "▼" + fit_columns(one_line(mark.label), 16)
        if columns(row) <= at and at + columns(text) <= WIDTH:
            row += " " * (at - columns(row)) + text + " "
    return [row.rstrip()] if row.strip() else []


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def _legend(report: Report) -> list[str]:
    entries = [
        f"{LETTERS[total.category]} {one_line(total.label)} {sentences.total(total.length_ns)}".rstrip()
        for total in report.legend
    ]
    if entries:
        entries += [f"{_LOW[0]}{_LOW[3]} {sentences.PARTLY_RUNNING}", f"{_MIXED} {sentences.SEVERAL}"]
    if report.trace.prints:
        entries.append(f"{_PRINTED} {sentences.PRINTED}")
    return _joined(entries, "   ")


def _notes(report: Report) -> list[str]:
    return [line for note in notes_told(report) for line in _wrapped(note, "", "  ")]
