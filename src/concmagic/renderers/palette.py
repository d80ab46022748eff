"""How a state looks: fill, outline, hatching, ink and letter, on light and on dark.

Colour is never alone: each state differs from every other in hatching, outline or height too.
Cause before victim: BLOCKING is the strongest mark, READY the second, WAITING recedes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from concmagic.model.trace import State

Hatch = Literal["", "cross", "diagonal", "dots"]
ORDER = tuple(State)  # the order of shares, stacks and codes, everywhere
CODES = {state: code for code, state in enumerate(ORDER)}
LETTERS = {  # one column each in a terminal; told apart without any colour
    State.RUNNING: "█",
    State.BLOCKING: "X",
    State.READY: "▒",
    State.WAITING: "─",
    State.STARTING: "s",
    State.TRACING: "t",
    State.UNKNOWN: "?",
}
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"


@dataclass(frozen=True, slots=True)
class Look:
    """One state on one background; colours are #rrggbb."""

    fill: str
    stroke: str
    ink: str  # text on the fill
    hatch: Hatch = ""
    hatch_colour: str = ""
    thin: bool = False  # drawn at half the lane's height: nothing happens there


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
    states: dict[State, Look]


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
        State.RUNNING: Look("#1f5fae", "#164681", "#ffffff"),
        State.BLOCKING: Look("#b3261e", "#6f120d", "#ffffff", "cross", "#8a1811"),
        State.READY: Look("#f6b73c", "#8a5a00", "#2b1c00", "diagonal", "#d8951b"),
        State.WAITING: Look("#f4f6f8", "#768392", "#3d4754", thin=True),
        State.STARTING: Look("#efe7fb", "#7a4fc0", "#4a2d80", thin=True),
        State.TRACING: Look("#ffffff", "#767f8a", "#4b535d", "diagonal", "#d3d8de", thin=True),
        State.UNKNOWN: Look("#ffffff", "#767f8a", "#4b535d", "dots", "#a3abb5", thin=True),
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
        State.RUNNING: Look("#6aa6ff", "#a9caff", "#06142b"),
        State.BLOCKING: Look("#ff6f66", "#ffd0cc", "#2a0402", "cross", "#e04a41"),
        State.READY: Look("#f4b740", "#ffe0a0", "#241800", "diagonal", "#d09420"),
        State.WAITING: Look("#1f252d", "#7d8a9a", "#bcc6d2", thin=True),
        State.STARTING: Look("#2b2240", "#a487e0", "#d9c9ff", thin=True),
        State.TRACING: Look("#15181d", "#7f8894", "#a9b1bb", "diagonal", "#353c45", thin=True),
        State.UNKNOWN: Look("#15181d", "#7f8894", "#a9b1bb", "dots", "#59626e", thin=True),
    },
)

THEMES = (LIGHT, DARK)


def as_plain(theme: Theme) -> dict[str, Any]:
    """The theme for the script: states as a list in the order of their codes."""
    plain = asdict(theme)
    plain["states"] = [asdict(theme.states[state]) for state in ORDER]
    return plain
