"""The static picture's page and pen: its measures and style, each shape as text, and a lane made of them."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from concmagic.renderers.layout import Box, Row
from concmagic.renderers.measure import fit, fit_middle, number_of, one_line, text_width
from concmagic.renderers.palette import (
    CODES,
    FONT,
    LIGHT,
    ORDER,
    SHAPES,
    STROKES,
    TALL,
    THEMES,
    WRITING,
    Look,
    Theme,
)

WIDTH = 980.0
MARGIN = 18.0
ENDS = 208.0  # room at the end of a lane
LEFT = MARGIN + 164.0  # after the lanes' names
RIGHT = WIDTH - MARGIN - ENDS
ROW = 29.0
_INDENT = 14.0
HEIGHTS = {one: LIGHT.states[one].height for one in ORDER}
QUIET = frozenset(one for one in ORDER if HEIGHTS[one] < TALL)
_BASE = (
    f"svg{{font:13px {FONT}}}"  # inherited: a text's own font-size goes before it
    ".h{font-size:20px;font-weight:700}.v{font-size:30px;font-weight:750}.b{font-weight:650}"
    ".n{font-size:14px}.f{font-size:11.5px}.e{text-anchor:end}.m{stroke:none!important}.i{font-style:italic}"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the picture: its shapes and where the next one begins."""

    shapes: list[str]
    bottom: float


def n(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")


def clean(text: str) -> str:
    """Escape a text for SVG; characters that XML forbids would lose the whole picture."""
    return escape(one_line(text))


def text(
    x: float,
    y: float,
    content: str,
    css: str = "",
    anchor: str = "start",
    size: float = 0,
    clipped: float = 0,
) -> str:
    """One line of text; `css` are class names of `style`."""
    attributes = f' class="{css}"' if css else ""
    attributes += f' text-anchor="{anchor}"' if anchor != "start" else ""
    attributes += f' font-size="{n(size)}"' if size else ""
    attributes += f' textLength="{n(clipped)}" lengthAdjust="spacingAndGlyphs"' if clipped else ""
    return f'<text x="{n(x)}" y="{n(y)}"{attributes}>{clean(content)}</text>'


def rect(x: float, y: float, width: float, height: float, css: str, radius: float = 0) -> str:
    """A rectangle with class names."""
    corner = f' rx="{n(radius)}"' if radius else ""
    size = f'width="{n(width)}" height="{n(height)}"'
    return f'<rect x="{n(x)}" y="{n(y)}" {size}{corner} class="{css}"/>'


def path(data: str, css: str) -> str:
    """A path with class names."""
    return f'<path d="{data}" class="{css}"/>'


def line(x: float, y: float, to_x: float, to_y: float, css: str) -> str:
    """A straight line with class names."""
    return path(f"M{n(x)} {n(y)}L{n(to_x)} {n(to_y)}", css)


def style(theme: str) -> str:
    """The style sheet: one theme, or light with dark for readers whose system is dark ("auto")."""
    light, dark = THEMES
    chosen = {"light": light, "dark": dark}.get(theme, light)
    sheet = _BASE + _colours(chosen)
    if theme == "auto":
        sheet += "@media(prefers-color-scheme:dark){" + _colours(dark) + "}"
    return f"<style>{sheet}</style>"


def patterns() -> str:
    """The hatchings, one pattern per hatched category, coloured by the style sheet."""
    parts = []
    for code, one in enumerate(ORDER):
        hatch = THEMES[0].states[one].hatch
        if hatch:
            size, shape = SHAPES[hatch]
            parts.append(
                f'<pattern id="h{code}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">'
                f'<rect width="{size}" height="{size}" class="b{code}"/>'
                f'<path d="{shape}" class="l{code}"/></pattern>'
            )
    return "<defs>" + "".join(parts) + "</defs>"


def _colours(theme: Theme) -> str:
    sheet = (
        f"text{{fill:{theme.text}}}.q{{fill:{theme.muted}}}.bg{{fill:{theme.background};stroke:{theme.grid}}}"
        f".p{{fill:{theme.panel}}}.g{{stroke:{theme.grid};fill:none}}.ok{{fill:{theme.good}}}"
        f".no{{fill:{theme.bad}}}.w{{fill:none;stroke:{theme.bad};stroke-width:1.5}}"
        f".x{{stroke:{theme.text};stroke-width:2.5}}"
        f".a{{fill:none;stroke:{theme.text};stroke-opacity:.75}}"
        f".d{{stroke:{theme.muted};stroke-dasharray:2 3;fill:none}}.t{{fill:{theme.text}}}"
    )
    return sheet + "".join(_look(code, theme.states[one]) for code, one in enumerate(ORDER))


def _look(code: int, look: Look) -> str:
    fill = f"url(#h{code})" if look.hatch else look.fill
    sheet = f".s{code}{{fill:{fill};stroke:{look.stroke}}}.k{code}{{fill:{look.ink}}}"
    if look.hatch == "dots":  # dots behind letters make them hard to read
        sheet += f".k{code}{{paint-order:stroke;stroke:{look.fill};stroke-width:4;stroke-linejoin:round}}"
    if look.hatch:
        width = STROKES[look.hatch]
        sheet += f".b{code}{{fill:{look.fill}}}.l{code}{{stroke:{look.hatch_colour};stroke-width:{width}}}"
    return sheet


def draw_row(row: Row, y: float) -> list[str]:
    """The lane's name, its boxes, and at its end what became of it."""
    return [
        *_name(row, y),
        *_boxes(row.boxes, y),
        *_prints(row.prints, y),
        *_end(row, y),
    ]


def _name(row: Row, y: float) -> list[str]:
    lane = row.lane
    group = lane.is_group
    x = MARGIN + min(lane.depth, 4) * _INDENT
    sign = "▾ " if group else "▸ " if lane.is_fold else ""
    css = "b" if group else "q" if lane.is_fold or lane.machinery else ""
    size = 12.5 if lane.is_fold else 13.5
    shorten = fit if lane.is_fold else fit_middle
    name = shorten(sign + lane.name, LEFT - 8 - x, size, bold=group)
    return [text(x, y + ROW / 2 + 4.5, name, css, size=size)]


def _prints(places: tuple[float, ...], y: float) -> list[str]:
    """A small triangle above the lane for each print, all in one path."""
    ticks = (f"M{n(x - 3)} {n(y - 2)}h6l-3 5Z" for x in places)
    return [path("".join(ticks), "t")] if places else []


def _boxes(boxes: tuple[Box, ...], y: float) -> list[str]:
    """What is low first, then the loud over it, so that a sliver of work is not painted over."""
    quiet = [box for box in boxes if box.category in QUIET]
    loud = [box for box in boxes if box.category is not None and box.category not in QUIET]
    shapes = [_box(box, y) for box in quiet]
    shapes += _shares([box for box in boxes if box.category is None], y)
    shapes += [_box(box, y) for box in loud]
    return shapes + [label for box in boxes for label in _label(box, y)]


def _box(box: Box, y: float) -> str:
    assert box.category is not None
    height = HEIGHTS[box.category]
    width = max(box.width, 0.8 if box.category in QUIET else 1.6)
    code = CODES[box.category]
    css = f"s{code}" if width > 3 else f"s{code} m"
    return rect(box.x, y + (ROW - height) / 2, width, height, css, 2.5 if width > 20 else 0)


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
            data[code] += f"M{n(run[0].x)} {n(base)}{steps}V{n(base)}Z"
    return [path(data[code], f"s{code} m") for code in reversed(range(len(ORDER))) if data[code]]


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
        following = n(tops[index + 1]) if index + 1 < len(tops) else ""
        if index == 0 or n(tops[index - 1]) != n(top):
            steps += f"V{n(top)}"
        if following != n(top):
            steps += f"H{n(box.x + max(box.width, 0.8))}"
    return steps


def _label(box: Box, y: float) -> list[str]:
    if box.category is None or box.width < 24:
        return []
    size, bold = WRITING.get(HEIGHTS[box.category], (0, False))
    for label in box.labels if size else ():
        if text_width(label, size, bold=bold) <= box.width - 12:
            css = f"k{CODES[box.category]}" + (" b" if bold else "")
            return [text(box.x + 7, y + ROW / 2 + size * 0.35, label, css, size=size)]
    return []


def _end(row: Row, y: float) -> list[str]:
    lane = row.lane
    middle = y + ROW / 2 + 4.5
    sign = {True: "✓", False: "✗", None: ""}[lane.ok]
    if lane.is_fold and lane.ok is not False:
        return [text(RIGHT + 12, middle, fit(lane.text, ENDS - 12, 11.5), "q", size=11.5)]
    shapes = [text(RIGHT + 12, middle, sign, "b ok" if lane.ok else "b no", size=14)] if sign else []
    failed = lane.ok is False
    told = fit(lane.text, ENDS - 32, 12.5, bold=failed)
    if told != lane.text:  # half a number says something else
        told = number_of(lane.text) or told
    return [*shapes, text(RIGHT + 32, middle, told, "no b" if failed else "q", size=12.5)]
