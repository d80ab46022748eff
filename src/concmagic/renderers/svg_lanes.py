"""One lane of the static picture."""

from __future__ import annotations

from concmagic.renderers import svg_pen as pen
from concmagic.renderers.layout import Box, Row
from concmagic.renderers.measure import fit, fit_middle, text_width
from concmagic.renderers.palette import LIGHT, ORDER

ROW = 29.0
TALL = 23.0
THIN = 15.0
_CODES = {state: code for code, state in enumerate(ORDER)}
_THIN = frozenset(state for state in ORDER if LIGHT.states[state].thin)
_INDENT = 14.0


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
