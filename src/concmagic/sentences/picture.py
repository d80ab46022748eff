"""Words of the picture itself, drawn and as text."""

from __future__ import annotations

from concmagic.sentences.numbers import count, duration

WHERE_IT_WENT = "where it went"


def more_lanes(how_many: int, kind: str) -> str:
    """Name a fold beside lanes that stay."""
    return f"+ {how_many:,} more {_plural(how_many, kind)}"


def all_lanes(how_many: int, kind: str) -> str:
    """Name a fold of a whole family."""
    return f"{how_many:,} {_plural(how_many, kind)}"


def helpers(how_many: int) -> str:
    """Name the fold of what no user made."""
    return f"+ {count(how_many, 'helper')}"


def failed_of(how_many: int) -> str:
    """Say at a fold's end that some of it failed."""
    return f"{how_many:,} failed"


def spread(lengths_ns: list[int]) -> str:
    """Say how long the lanes of a fold took: median, slow ones, slowest."""
    ordered = sorted(lengths_ns)
    picked = [duration(ordered[round((len(ordered) - 1) * share)]) for share in (0.5, 0.95, 1)]
    units = {text.rpartition(" ")[2] for text in picked}
    p50, p95, most = (
        [text.rpartition(" ")[0] for text in picked[:2]] + picked[2:] if len(units) == 1 else picked
    )
    return f"p50 {p50} · p95 {p95} · max {most}"


def job_words(job: str, state: str) -> str:
    """Say which job a worker was at: "n=5, running line 4", "n=5, sleep 0.1 s"."""
    return f"{job}, {state}"


def job_queued(words: str, queued_ns: int) -> str:
    """Say how long a job had waited for a worker."""
    return f"{words}, queued {duration(queued_ns)}"


def place(file: str, line: int) -> str:
    """Say where: "line 4" of this cell, "In[12]:4", "db.py:88"."""
    if not line:
        return file
    return f"{file}:{line}" if file else f"line {line}"


def merged_note(stretches: int, shown_from_ns: float) -> str:
    """Say that the picture is coarser than the recording."""
    what = count(stretches, "stretch", "stretches")
    return f"{what} shorter than {duration(shown_from_ns)} are drawn merged, as shares; all sums are exact."


def folded_note(shown_from_ns: float) -> str:
    """Say that lanes within folds are drawn coarser still."""
    return f"Within folds, stretches shorter than {duration(shown_from_ns)} are drawn as shares."


def typical(length: str) -> str:
    """Name a stretch that is drawn larger, because turns are too short to be seen in the whole."""
    return f"a typical {length}"


def lanes_left_out(how_many: int) -> str:
    """Say that lanes are in sums and folds only."""
    return f"{count(how_many, 'lane')} can be seen only within their fold: save the trace to see each."


def calls_left_out(tracks: int) -> str:
    """Say that some lanes of a fold do not show their calls."""
    lanes = count(tracks, "lane")
    return f"The calls of {lanes} within folds are not in the picture: save the trace to see them."


def calls_of(track: str) -> str:
    """Name the line of a track's calls in a viewer."""
    return f"{track}: calls"


def picture_alt(headline: str, numbers: str) -> str:
    """The picture for one who cannot see it."""
    return f"Timeline. {headline} {numbers}".strip()


def _plural(how_many: int, kind: str) -> str:
    plural = "processes" if kind == "process" else f"{kind}s"
    return kind if how_many == 1 else plural


PRINTED = "printed"  # a tick on the lane that did
NO_LANES = "Nothing ran that has a lane of its own."


def more_findings(how_many: int) -> str:
    """Say that the picture shows the costliest findings only."""
    return f"+ {count(how_many, 'more finding')}"


def band_label(length_ns: int, text: str) -> str:
    """A part of the band: how long, and what."""
    return f"{duration(length_ns)} {text}".rstrip()


def and_more(text: str, how_many: int) -> str:
    """A list's last shown entry, with how many follow."""
    return f"{text} + {how_many}"


def peak_of(peak: int, of: int) -> str:
    """The highest value of a curve, of a ceiling where there is one."""
    return f"at most {peak:,} of {of:,}" if of else f"at most {peak:,}"


# asyncio's tasks


# What the script of the picture says; {x} is filled in there.
PICTURE_WORDS = {
    "canvas": "Timeline. Arrow keys move, plus and minus zoom, Home shows all, question mark lists the keys.",
    "keys": (
        "Ctrl/⌘ + wheel or pinch: zoom · wheel: zoom, once you clicked into the picture · drag or ← →: move · "
        "↑ ↓: choose a lane · + −: zoom · Home: all · Backspace or u: undo a zoom · Enter: fold · "
        "Esc: leave · ?: this list"
    ),
    "hint": "Click a lane for details. ? shows the keys.",
    "hintCalls": "Click a lane for details and calls. ? shows the keys.",
    "calls": ["{n} × {name}", "{n} shorter calls", "{x} in all", "{n} deeper calls are not drawn"],
    "callsOf": "calls",
    "noCalls": "calls were not recorded from here on",
    "fit": "Fit",
    "undo": "Undo zoom",
    "where": "where it went",
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
    "states": ["running", "blocking the loop", "ready", "waiting", "starting", "tracing", "not recorded"],
}
