"""The timeline of the static picture: lanes, axis, marks, arrows and the loupe."""

from __future__ import annotations

from concmagic import sentences
from concmagic.renderers import svg_pen as pen
from concmagic.renderers.layout import Arrow, Box, Layout, MarkBox, Row
from concmagic.renderers.measure import fit, fit_middle, one_line, text_width
from concmagic.renderers.palette import LIGHT, ORDER
from concmagic.renderers.svg_pen import LEFT, MARGIN, RIGHT, WIDTH, Part
from concmagic.report import Report

ROW = 29.0
TALL = 23.0
THIN = 15.0
_CODES = {state: code for code, state in enumerate(ORDER)}
_THIN = frozenset(state for state in ORDER if LIGHT.states[state].thin)
_INDENT = 14.0
_MARKS = 60


def draw_row(row: Row, y: float, margin: float, left: float, right: float, end: float) -> list[str]:
    """The lane's name, its boxes, and at its end what became of it."""
    return [
        *_name(row, y, margin, left),
        *_boxes(row.boxes, y),
        *_prints(row.prints, y),
        *_end(row, y, right, end),
    ]


def _name(row: Row, y: float, margin: float, left: float) -> list[str]:
    lane = row.lane
    group = lane.is_group
    x = margin + min(lane.depth, 4) * _INDENT
    sign = "▾ " if group else "▸ " if lane.is_fold else ""
    css = "b" if group else "q" if lane.is_fold or lane.machinery else ""
    size = 12.5 if lane.is_fold else 13.5
    shorten = fit if lane.is_fold else fit_middle
    name = shorten(sign + lane.name, left - 8 - x, size, bold=group)
    return [pen.text(x, y + ROW / 2 + 4.5, name, css, size=size)]


def _prints(places: tuple[float, ...], y: float) -> list[str]:
    """A small triangle above the lane for each print, all in one path."""
    ticks = (f"M{pen.n(x - 3)} {pen.n(y - 2)}h6l-3 5Z" for x in places)
    return [pen.path("".join(ticks), "t")] if places else []


def _boxes(boxes: tuple[Box, ...], y: float) -> list[str]:
    """Quiet states first, then the loud ones over them, so that a sliver of work is not painted over."""
    quiet = [box for box in boxes if box.state in _THIN]
    loud = [box for box in boxes if box.state is not None and box.state not in _THIN]
    shapes = [_box(box, y) for box in quiet]
    shapes += _shares([box for box in boxes if box.state is None], y)
    shapes += [_box(box, y) for box in loud]
    return shapes + [label for box in boxes for label in _label(box, y)]


def _box(box: Box, y: float) -> str:
    assert box.state is not None
    height = THIN if box.state in _THIN else TALL
    width = max(box.width, 0.8 if box.state in _THIN else 1.6)
    code = _CODES[box.state]
    css = f"s{code}" if width > 3 else f"s{code} m"
    return pen.rect(box.x, y + (ROW - height) / 2, width, height, css, 2.5 if width > 20 else 0)


def _shares(boxes: list[Box], y: float) -> list[str]:
    """Merged stretches as stacked areas, the loud states from the base line up.

    Each state's area reaches from the base line to its upper edge, the uppermost is painted first:
    that takes a third of the characters of single rectangles.
    """
    base = y + (ROW + TALL) / 2
    data = [""] * len(ORDER)
    for run in _runs(boxes):
        tops = [_tops(box, base) for box in run]
        for code in {code for box in run for code, share in enumerate(box.shares) if share > 0}:
            steps = _steps(run, [top[code] for top in tops])
            data[code] += f"M{pen.n(run[0].x)} {pen.n(base)}{steps}V{pen.n(base)}Z"
    return [pen.path(data[code], f"s{code} m") for code in reversed(range(len(ORDER))) if data[code]]


def _runs(boxes: list[Box]) -> list[list[Box]]:
    """Boxes that touch each other, together."""
    runs: list[list[Box]] = []
    for box in boxes:
        if runs and box.x - (runs[-1][-1].x + runs[-1][-1].width) < 0.06:
            runs[-1].append(box)
        else:
            runs.append([box])
    return runs


def _tops(box: Box, base: float) -> list[float]:
    """The upper edge of each state; what is there at all is seen."""
    tops, at = [], base
    for share in box.shares:
        at -= max(share * TALL, 0.6) if share > 0 else 0
        tops.append(at)
    return tops


def _steps(run: list[Box], tops: list[float]) -> str:
    """Up or down to each box's edge, and along it; equal neighbours are one step."""
    steps = ""
    for index, (box, top) in enumerate(zip(run, tops, strict=True)):
        following = pen.n(tops[index + 1]) if index + 1 < len(tops) else ""
        if index == 0 or pen.n(tops[index - 1]) != pen.n(top):
            steps += f"V{pen.n(top)}"
        if following != pen.n(top):
            steps += f"H{pen.n(box.x + max(box.width, 0.8))}"
    return steps


def _label(box: Box, y: float) -> list[str]:
    if box.state is None or box.width < 24:
        return []
    thin = box.state in _THIN
    size = 11.5 if thin else 13
    for label in box.labels:
        if text_width(label, size, bold=not thin) <= box.width - 12:
            css = f"k{_CODES[box.state]}" + ("" if thin else " b")
            return [pen.text(box.x + 7, y + ROW / 2 + size * 0.35, label, css, size=size)]
    return []


def _end(row: Row, y: float, right: float, end: float) -> list[str]:
    lane = row.lane
    middle = y + ROW / 2 + 4.5
    sign = {True: "✓", False: "✗", None: ""}[lane.ok]
    if lane.is_fold and lane.ok is not False:
        return [pen.text(right + 12, middle, fit(lane.text, end - right - 12, 11.5), "q", size=11.5)]
    shapes = [pen.text(right + 12, middle, sign, "b ok" if lane.ok else "b no", size=14)] if sign else []
    failed = lane.ok is False
    text = fit(lane.text, end - right - 32, 12.5, bold=failed)
    return [*shapes, pen.text(right + 32, middle, text, "no b" if failed else "q", size=12.5)]


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
