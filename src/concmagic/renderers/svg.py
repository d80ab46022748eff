"""The static picture: what an untrusted, an exported or a printed notebook shows."""

from __future__ import annotations

from typing import Literal

from concmagic import sentences
from concmagic.model.categories import Category
from concmagic.renderers import svg_pen as pen
from concmagic.renderers.layout import Arrow, Layout, MarkBox, lay_out
from concmagic.renderers.measure import fit, one_line, text_width, wrap
from concmagic.renderers.palette import CODES
from concmagic.renderers.svg_pen import LEFT, MARGIN, RIGHT, ROW, WIDTH, Part
from concmagic.renderers.time_axis import thinned
from concmagic.report import Curve, Report, findings_told, notes_told

_FINDINGS = 3
_MARKS = 60
_ON_CORE, _IN_FLIGHT = CODES[Category.RUNNING], CODES[Category.OUTSIDE]


class SvgRenderer:
    """Report → SVG. "auto" follows the reader's system; "light" and "dark" are fixed."""

    def __init__(self, theme: Literal["auto", "light", "dark"] = "auto") -> None:
        self._theme = theme

    def render(self, report: Report) -> str:
        """Draw the report, 980 pixels wide and as high as it needs."""
        layout = lay_out(report, LEFT, RIGHT)
        shapes: list[str] = []
        y = MARGIN
        for section in (_headline, _chips, _band, _findings, _strips, _timeline, _loupe, _legend, _footer):
            part = section(report, layout, y)
            shapes += part.shapes
            y = part.bottom
        height = y + MARGIN - 6
        size = f'width="{WIDTH:.0f}" height="{height:.0f}" viewBox="0 0 {WIDTH:.0f} {height:.0f}"'
        title = f"<title>{pen.clean(report.headline)}</title>"
        card = pen.rect(0.5, 0.5, WIDTH - 1, height - 1, "bg", 10)
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{title}'
        return head + pen.style(self._theme) + pen.patterns() + card + "\n".join(shapes) + "</svg>"


def _headline(report: Report, layout: Layout, y: float) -> Part:
    lines = wrap(one_line(report.headline), WIDTH - 2 * MARGIN, 20, bold=True)
    return Part(
        [pen.text(MARGIN, y + 20 + 26 * i, row, "h") for i, row in enumerate(lines)],
        y + 26 * len(lines) + 10,
    )


def _chips(report: Report, layout: Layout, y: float) -> Part:
    shapes, x, height = [], MARGIN, 62.0
    for chip in report.chips:
        shown = fit(one_line(chip.value), 260, 30, bold=True)
        value = text_width(shown, 30, bold=True)
        width = max(240.0, value + text_width(chip.note, 14) + 44, text_width(chip.label, 13) + 32)
        shapes.append(pen.rect(x, y, width, height, "p", 8))
        shapes.append(pen.text(x + 16, y + 21, chip.label, "q"))
        shapes.append(
            f'<text x="{pen.n(x + 16)}" y="{pen.n(y + 50)}"><tspan class="v">{pen.clean(shown)}</tspan>'
            f'<tspan dx="10" class="q n">{pen.clean(chip.note)}</tspan></text>'
        )
        x += width + 12
    return Part([*shapes, *_cost(report, y)], y + height + 14)


def _cost(report: Report, y: float) -> list[str]:
    end = WIDTH - MARGIN
    if not report.cost_is_high:
        return [pen.text(end, y + 21, report.cost, "q", "end")]
    width = text_width(report.cost, 14, bold=True) + 24
    return [
        pen.rect(end - width, y + 2, width, 28, "w", 14),
        pen.text(end - 12, y + 21, report.cost, "no b n", "end"),
    ]


def _findings(report: Report, layout: Layout, y: float) -> Part:
    shapes: list[str] = []
    room = WIDTH - 2 * MARGIN - 24
    for told in findings_told(report)[:_FINDINGS]:
        sign, colour, css = ("▲", "no", "n b") if told.warning else ("●", "q", "n")
        shapes.append(pen.text(MARGIN + 2, y + 14, sign, colour))
        for row in wrap(one_line(told.message), room, 14, bold=told.warning, lines=2):
            shapes.append(pen.text(MARGIN + 24, y + 14, row, css))
            y += 20
        for row in wrap(one_line(told.hint), room, 13, lines=2):
            shapes.append(pen.text(MARGIN + 24, y + 12, row, "q"))
            y += 18
        y += 4
    more = len(report.findings) - _FINDINGS
    if more > 0:
        shapes.append(pen.text(MARGIN + 24, y + 12, sentences.more_findings(more), "q"))
        y += 20
    return Part(shapes, y + (8 if shapes else 0))


def _band(report: Report, layout: Layout, y: float) -> Part:
    """Where it went: a bar as wide as the picture, off the axis of time, and under it a list of all parts."""
    if not report.band:
        return Part([], y)
    shapes = [pen.text(MARGIN, y + 11, sentences.WHERE_IT_WENT, "q")]
    x, per_ns = MARGIN, (WIDTH - 2 * MARGIN) / max(sum(part.length_ns for part in report.band), 1)
    for part in report.band:
        width, code = part.length_ns * per_ns, CODES[part.category]
        shapes.append(pen.rect(x, y + 17, max(width, 2), 26, f"s{code}", 2))
        for label in (sentences.band_label(part.length_ns, part.text), sentences.duration(part.length_ns)):
            if text_width(label, 13, bold=True) <= width - 12:
                shapes.append(pen.text(x + 8, y + 34.5, label, f"b k{code}"))
                break
        x += width
    return _parts(report, shapes, y + 48)


def _parts(report: Report, shapes: list[str], y: float) -> Part:
    x, total = MARGIN, sum(part.length_ns for part in report.band)
    for part in report.band:
        told = fit(
            one_line(sentences.band_part(part.length_ns, part.text, total)), WIDTH - 2 * MARGIN - 20, 12
        )
        width = text_width(told, 12) + 36
        if x > MARGIN and x + width - 16 > WIDTH - MARGIN:
            x, y = MARGIN, y + 18
        shapes.append(pen.rect(x, y + 3, 12, 10, f"s{CODES[part.category]}", 2))
        shapes.append(pen.text(x + 18, y + 12, told, "q", size=12))
        x += width
    return Part(shapes, y + 26)


def _strips(report: Report, layout: Layout, y: float) -> Part:
    shapes: list[str] = []
    for index, curve in enumerate(report.curves[:2]):
        cores = report.trace.build.cores if index == 1 else 0
        peak = max(curve.values, default=0)
        height = 24.0 if index == 0 else 18.0
        shapes.append(pen.text(LEFT - 12, y + height - 4, curve.label, "q", "end"))
        shapes.append(pen.line(LEFT, y + height, RIGHT, y + height, "g"))
        shapes.append(
            pen.path(
                _area(curve, report, layout, y, height, max(peak, cores, 1)),
                f"s{_ON_CORE} m" if index else f"s{_IN_FLIGHT}",
            )
        )
        note = sentences.peak_of(peak, cores)
        shapes.append(pen.text(RIGHT + 12, y + height - 4, note, "q"))
        y += height + 7
    return Part(shapes, y + 4)


def _area(curve: Curve, report: Report, layout: Layout, y: float, height: float, top: float) -> str:
    """The area under a step curve, from the base line up."""
    points = thinned(curve, report.trace.wall_ns, 400)
    base = y + height
    data = f"M{pen.n(layout.scale.x(points[0][0]) if points else LEFT)} {pen.n(base)}"
    for time, value in points:
        data += f"H{pen.n(layout.scale.x(time))}V{pen.n(base - value / top * height)}"
    return data + f"H{pen.n(layout.scale.right)}V{pen.n(base)}Z"


def _timeline(report: Report, layout: Layout, y: float) -> Part:
    """Axis, marks, the lanes that are seen at first, and the arrows between them."""
    levels = _mark_levels(layout)
    top = y + 17 * (max(levels.values(), default=-1) + 1)
    bottom = top + 24 + ROW * len(layout.rows)
    shapes = _marks(levels, y, bottom)
    for x, label in layout.ticks:
        shapes.append(pen.line(x, top + 4, x, bottom, "g"))
        if x + text_width(label, 12) + 4 < WIDTH - MARGIN:
            shapes.append(pen.text(x + 5, top + 15, label, "q", size=12))
    for index, row in enumerate(layout.rows):
        shapes += pen.draw_row(row, top + 24 + ROW * index)
    shapes += [_arrow(arrow, top + 24) for arrow in layout.arrows]
    shapes += [_need(arrow, top + 24) for arrow in layout.needs]
    if not layout.rows:
        shapes.append(pen.text(LEFT, top + 36, sentences.NO_LANES, "q"))
        bottom += 20
    return Part(shapes, bottom + 10)


def _loupe(report: Report, layout: Layout, y: float) -> Part:
    """A typical stretch, larger: two lines lead from where it lies to its own axis."""
    larger = layout.loupe
    if larger is None:
        return Part([], y)
    top = y + 18
    bottom = top + 22 + ROW * len(larger.rows)
    length = sentences.duration(round(larger.scale.end_ns - larger.scale.start_ns))
    shapes = [
        pen.line(larger.x, y - 10, LEFT, top, "d"),
        pen.line(larger.to_x, y - 10, RIGHT, top, "d"),
        pen.line(LEFT, top, RIGHT, top, "g"),
        pen.text(LEFT - 12, top + 14, sentences.typical(length), "q", "end"),
    ]
    for x, label in larger.ticks:
        shapes.append(pen.line(x, top, x, bottom, "g"))
        if x + text_width(label, 12) + 4 < WIDTH - MARGIN:
            shapes.append(pen.text(x + 5, top + 14, label, "q", size=12))
    for index, row in enumerate(larger.rows):
        shapes += pen.draw_row(row, top + 22 + ROW * index)
    return Part(shapes, bottom + 10)


def _mark_levels(layout: Layout) -> dict[MarkBox, int]:
    """Two lines of labels at most; a mark without room for its label has none (level -1)."""
    free = [0.0, 0.0]
    levels: dict[MarkBox, int] = {}
    for mark in layout.marks[:_MARKS]:
        level = next((index for index, at in enumerate(free) if mark.x >= at), -1)
        levels[mark] = level
        if level >= 0:
            free[level] = mark.x + max(mark.width, text_width(_mark_label(mark), 12, bold=True) + 6) + 8
    return levels


def _mark_label(mark: MarkBox) -> str:
    return fit(one_line(mark.label), 150, 12, bold=True)


def _marks(levels: dict[MarkBox, int], y: float, bottom: float) -> list[str]:
    shapes = []
    for mark, level in levels.items():
        top = y + 17 * max(level, 0)
        shapes.append(pen.line(mark.x, top, mark.x, bottom, "d"))
        if mark.width > 1 and level >= 0:
            shapes.append(pen.rect(mark.x, top + 13, mark.width, 2, "t"))
            shapes.append(pen.line(mark.x + mark.width, top + 13, mark.x + mark.width, bottom, "d"))
        if level >= 0:
            shapes.append(pen.text(mark.x + 4, top + 10, _mark_label(mark), "b", size=12))
    return shapes


def _arrow(arrow: Arrow, top: float) -> str:
    down = 1 if arrow.to_row > arrow.row else -1
    y = top + ROW * arrow.row + ROW / 2 + down * 11
    to_y = top + ROW * arrow.to_row + ROW / 2 - down * 11
    x, back = arrow.to_x, to_y - down * 5
    shaft = f"M{pen.n(arrow.x)} {pen.n(y)}L{pen.n(x)} {pen.n(to_y)}"
    return pen.path(
        f"{shaft}M{pen.n(x - 3)} {pen.n(back)}L{pen.n(x)} {pen.n(to_y)}L{pen.n(x + 3)} {pen.n(back)}", "a"
    )


def _need(arrow: Arrow, top: float) -> str:
    """An arrow of a deadlock, from the middle of a lane to that of another."""
    y, to_y = (top + ROW * row + ROW / 2 for row in (arrow.row, arrow.to_row))
    x, back = arrow.x, to_y - (9 if to_y > y else -9)
    head = f"M{pen.n(x - 6)} {pen.n(back)}L{pen.n(x)} {pen.n(to_y)}L{pen.n(x + 6)} {pen.n(back)}Z"
    return pen.line(x, y, x, to_y, "x") + pen.path(head, "t")


def _legend(report: Report, layout: Layout, y: float) -> Part:
    shapes = [pen.line(MARGIN, y, WIDTH - MARGIN, y, "g")]
    x, y = MARGIN, y + 12
    for total in report.legend:
        code, length = CODES[total.category], sentences.total(total.length_ns)
        width = 32 + text_width(total.label, 13, bold=True) + text_width(length, 12.5) + 22
        if x + width > WIDTH - MARGIN and x > MARGIN:
            x, y = MARGIN, y + 26
        height = pen.HEIGHTS[total.category] * 0.8
        shapes.append(pen.rect(x, y + 10 - height / 2, 24, height, f"s{code}", min(3, height / 3)))
        shapes.append(
            f'<text x="{pen.n(x + 30)}" y="{pen.n(y + 15)}"><tspan class="b">{pen.clean(total.label)}</tspan>'
            f'<tspan dx="7" class="q">{pen.clean(length)}</tspan></text>'
        )
        x += width
    if report.trace.prints:
        shapes += [
            pen.path(f"M{pen.n(x + 2)} {pen.n(y + 7)}h8l-4 7Z", "t"),
            pen.text(x + 16, y + 15, sentences.PRINTED, "b"),
        ]
    return Part(shapes, y + 32)


def _footer(report: Report, layout: Layout, y: float) -> Part:
    notes = notes_told(report)
    if layout.merged:
        notes.append(sentences.merged_note(layout.merged, layout.resolution_ns))
    rows = [row for note in notes for row in wrap(one_line(note), WIDTH - 2 * MARGIN, 11.5, lines=2)]
    return Part(
        [pen.text(MARGIN, y + 10 + 16 * i, row, "q f") for i, row in enumerate(rows)], y + 16 * len(rows)
    )
