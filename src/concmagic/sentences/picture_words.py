"""The words that the picture's script writes: its keys, buttons and details."""

from __future__ import annotations

from concmagic.sentences.picture import NO_LANES, PRINTED, WHERE_IT_WENT
from concmagic.sentences.states_and_waits import CATEGORY_LABELS

PICTURE_WORDS = {
    "canvas": "Timeline. Arrow keys move, plus and minus zoom, Home shows all, question mark lists the keys.",
    "keys": (
        "Ctrl/⌘ + wheel or pinch: zoom · drag or ← →: move · "
        "↑ ↓: choose a lane · p: the path through the lanes · + −: zoom · Home: all · Backspace or u: undo a zoom · Enter: fold · "
        "Esc: leave · ?: this list"
    ),
    "hint": "Click a lane for details. ? shows the keys.",
    "hintCalls": "Click a lane for details and calls. ? shows the keys.",
    "calls": ["{n} × {name}", "{n} shorter calls", "{x} in all", "{n} deeper calls are not drawn"],
    "callsOf": "calls",
    "noCalls": "calls were not recorded from here on",
    "fit": "Fit",
    "undo": "Undo zoom",
    "where": WHERE_IT_WENT,
    "path": "Show these stretches on the lanes",
    "noLanes": NO_LANES,
    "zoomTo": "Show this on the timeline",
    "highlight": "Highlight this state",
    "merged": "Too fine to be drawn one by one",
    "length": "for {x}",
    "since": "from {x}",
    "alive": "In all",
    "returned": "returned",
    "flows": [
        ["started by {x}", "started {x}"],
        ["woken by {x}", "woke {x}"],
        ["submitted by {x}", "submitted to {x}"],
        ["result from {x}", "result to {x}"],
        ["sent by {x}", "sent to {x}"],
        ["released by {x}", "released {x}"],
        ["{x} ended", "joined by {x}"],
    ],
    "printed": PRINTED,
    "states": [*CATEGORY_LABELS.values()],
}
