"""The static picture's lanes under their axis, with marks and arrows; and the stretch drawn larger."""

from __future__ import annotations

from concmagic import sentences
from concmagic.renderers import svg_pen as pen
from concmagic.renderers.layout import Arrow, Layout, MarkBox
from concmagic.renderers.measure import fit, one_line, text_width
from concmagic.renderers.svg_lanes import ROW, draw_row
from concmagic.renderers.svg_page import LEFT, MARGIN, RIGHT, WIDTH, Part
from concmagic.report import Report

_MARKS = 60


def timeline(report: Report, layout: Layout, y: float) -> Part:
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
        shapes += draw_row(row, top + 24 + ROW * index, MARGIN, LEFT, RIGHT, WIDTH - MARGIN)
    shapes += [_arrow(arrow, top + 24) for arrow in layout.arrows]
    if not layout.rows:
        shapes.append(pen.text(LEFT, top + 36, sentences.NO_LANES, "q"))
        bottom += 20
    return Part(shapes, bottom + 10)


def loupe(report: Report, layout: Layout, y: float) -> Part:
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
        shapes += draw_row(row, top + 22 + ROW * index, MARGIN, LEFT, RIGHT, WIDTH - MARGIN)
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
