"""The static picture's page and pen: its measures, a section of it, and each shape as text."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from concmagic.renderers.measure import one_line
from concmagic.renderers.palette import FONT, ORDER, THEMES, Look, Theme

WIDTH = 980.0
MARGIN = 18.0
ENDS = 208.0  # room at the end of a lane
LEFT = MARGIN + 164.0  # after the lanes' names
RIGHT = WIDTH - MARGIN - ENDS


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
    """The hatchings, one pattern per hatched state, coloured by the style sheet."""
    shapes = {"cross": "M0 0L8 8M8 0L0 8", "diagonal": "M-2 2L2 -2M0 8L8 0M6 10L10 6", "dots": "M2 2h1.5"}
    parts = []
    for code, state in enumerate(ORDER):
        hatch = THEMES[0].states[state].hatch
        if hatch:
            size = 5 if hatch == "dots" else 8
            parts.append(
                f'<pattern id="h{code}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">'
                f'<rect width="{size}" height="{size}" class="b{code}"/>'
                f'<path d="{shapes[hatch]}" class="l{code}"/></pattern>'
            )
    return "<defs>" + "".join(parts) + "</defs>"


_BASE = (
    f"svg{{font:13px {FONT}}}"  # inherited: a text's own font-size goes before it
    ".h{font-size:20px;font-weight:700}.v{font-size:30px;font-weight:750}.b{font-weight:650}"
    ".n{font-size:14px}.f{font-size:11.5px}.e{text-anchor:end}.m{stroke:none!important}.i{font-style:italic}"
)


def _colours(theme: Theme) -> str:
    sheet = (
        f"text{{fill:{theme.text}}}.q{{fill:{theme.muted}}}.bg{{fill:{theme.background};stroke:{theme.grid}}}"
        f".p{{fill:{theme.panel}}}.g{{stroke:{theme.grid};fill:none}}.ok{{fill:{theme.good}}}"
        f".no{{fill:{theme.bad}}}.w{{fill:none;stroke:{theme.bad};stroke-width:1.5}}"
        f".a{{fill:none;stroke:{theme.text};stroke-opacity:.75}}"
        f".d{{stroke:{theme.muted};stroke-dasharray:2 3;fill:none}}.t{{fill:{theme.text}}}"
    )
    return sheet + "".join(_state(code, theme.states[state]) for code, state in enumerate(ORDER))


def _state(code: int, look: Look) -> str:
    fill = f"url(#h{code})" if look.hatch else look.fill
    sheet = f".s{code}{{fill:{fill};stroke:{look.stroke}}}.k{code}{{fill:{look.ink}}}"
    if look.hatch == "dots":  # dots behind letters make them hard to read
        sheet += f".k{code}{{paint-order:stroke;stroke:{look.fill};stroke-width:4;stroke-linejoin:round}}"
    if look.hatch:
        width = 1.3 if look.hatch != "diagonal" else 2
        sheet += f".b{code}{{fill:{look.fill}}}.l{code}{{stroke:{look.hatch_colour};stroke-width:{width}}}"
    return sheet
