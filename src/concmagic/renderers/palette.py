"""How a category looks: fill, outline, hatching, ink, height and letter, on light and on dark.

Colour is never alone: each category differs from every other in hatching or height too, and those that are
met most (running, blocking, ready, the waits for each other, the waits outside) in lightness.
Cause before victim: BLOCKING is the strongest mark; waits for each other are seen, others recede.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from concmagic.model.categories import Category

Hatch = Literal["", "cross", "diagonal", "back", "bars", "dots"]
SHAPES = {  # of a hatching: the size of its tile, and a path in it
    "cross": (8, "M0 0L8 8M8 0L0 8"),
    "diagonal": (8, "M-2 2L2 -2M0 8L8 0M6 10L10 6"),
    "back": (8, "M-2 6L2 10M0 0L8 8M6 -2L10 2"),
    "bars": (6, "M3 0V6"),
    "dots": (5, "M2 2h1.5"),
}
STROKES = {"cross": 1.3, "diagonal": 2, "back": 2, "bars": 1.6, "dots": 1.3}  # px
ORDER = tuple(Category)  # the order of shares, stacks and codes, everywhere
CODES = {one: code for code, one in enumerate(ORDER)}
LETTERS = {  # one column each in a terminal; told apart without any colour
    Category.RUNNING: "█",
    Category.BLOCKING: "X",
    Category.READY: "▒",
    Category.NO_CORE: "░",
    Category.EACH_OTHER: "═",
    Category.STUCK: "#",
    Category.OUTSIDE: "─",
    Category.IDLE: "·",
    Category.STARTING: "s",
    Category.TRACING: "t",
    Category.UNKNOWN: "?",
}
TALL, MIDDLE, THIN, LOW = 23.0, 19.0, 15.0, 7.0  # heights of boxes
WRITING = {TALL: (13, True), MIDDLE: (12, True), THIN: (11.5, False)}  # size and boldness by a box's height
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"


@dataclass(frozen=True, slots=True)
class Look:
    """One category on one background; colours are #rrggbb."""

    fill: str
    stroke: str
    ink: str  # text on the fill
    hatch: Hatch = ""
    hatch_colour: str = ""
    height: float = TALL  # px; what is lower is painted first


@dataclass(frozen=True, slots=True)
class Theme:
    """All colours of the picture on one background."""

    name: str
    background: str
    panel: str
    text: str
    muted: str
    grid: str
    accent: str  # focus ring, selection
    good: str
    bad: str
    states: dict[Category, Look]


LIGHT = Theme(
    name="light",
    background="#ffffff",
    panel="#f1f4f8",
    text="#14181d",
    muted="#4f5967",
    grid="#dde2e8",
    accent="#0b57d0",
    good="#1a6e37",
    bad="#a8201a",
    states={
        Category.RUNNING: Look("#2c74ca", "#164681", "#ffffff"),
        Category.BLOCKING: Look("#a51d16", "#6f120d", "#ffffff", "cross", "#7d120c"),
        Category.READY: Look("#f6b73c", "#8a5a00", "#2b1c00", "diagonal", "#d8951b"),
        Category.NO_CORE: Look("#f6b73c", "#8a5a00", "#2b1c00", "back", "#fbe3b0"),
        Category.EACH_OTHER: Look("#b38fd0", "#67429a", "#220d3f", "bars", "#9f78c0", height=MIDDLE),
        Category.STUCK: Look("#d8695f", "#6f120d", "#220302", "bars", "#ca5c52"),
        Category.OUTSIDE: Look("#e6ebf1", "#768392", "#3d4754", height=THIN),
        Category.IDLE: Look("#f4f6f8", "#8b95a1", "#4b535d", height=LOW),
        Category.STARTING: Look("#d9f0ec", "#2a7f78", "#134a45", "back", "#b4ddd6", height=THIN),
        Category.TRACING: Look("#ffffff", "#767f8a", "#4b535d", "diagonal", "#d3d8de", height=THIN),
        Category.UNKNOWN: Look("#ffffff", "#767f8a", "#4b535d", "dots", "#a3abb5", height=THIN),
    },
)

DARK = Theme(
    name="dark",
    background="#15181d",
    panel="#20252d",
    text="#eef1f5",
    muted="#a9b3c0",
    grid="#2e353f",
    accent="#8ab4ff",
    good="#6fd08c",
    bad="#ff8a80",
    states={
        Category.RUNNING: Look("#6aa6ff", "#a9caff", "#06142b"),
        Category.BLOCKING: Look("#f0483e", "#ffc4bf", "#2a0402", "cross", "#f36a61"),
        Category.READY: Look("#ffc857", "#ffe0a0", "#241800", "diagonal", "#d9a23a"),
        Category.NO_CORE: Look("#ffc857", "#ffe0a0", "#241800", "back", "#fff0cf"),
        Category.EACH_OTHER: Look("#7b53c1", "#c3a9f5", "#ffffff", "bars", "#6a42b0", height=MIDDLE),
        Category.STUCK: Look("#b8463d", "#ffc4bf", "#ffffff", "bars", "#a53c33"),
        Category.OUTSIDE: Look("#2b333e", "#7d8a9a", "#c6d0dc", height=THIN),
        Category.IDLE: Look("#1b2027", "#6f7b8a", "#bcc6d2", height=LOW),
        Category.STARTING: Look("#12403c", "#58b5ab", "#c9f0ea", "back", "#1d5550", height=THIN),
        Category.TRACING: Look("#15181d", "#7f8894", "#a9b1bb", "diagonal", "#353c45", height=THIN),
        Category.UNKNOWN: Look("#15181d", "#7f8894", "#a9b1bb", "dots", "#59626e", height=THIN),
    },
)

THEMES = (LIGHT, DARK)


def as_plain(theme: Theme) -> dict[str, Any]:
    """The theme for the script: looks as a list in the order of their codes."""
    plain = asdict(theme)
    plain["states"] = [asdict(theme.states[one]) for one in ORDER]
    return plain
