"""What is handed to the picture's script, field by field: the one place where the order is written.

A NamedTuple is packed as a JSON array without names, so the order of its fields is the format. The
builders (`payload*.py`) fill the fields by name; `html_resources/timeline_schema.js` is generated from
this module (`make schema`) and gives the script the same names and their types.

Times are whole units of `Payload.unit` ns; `steps` are the differences of ascending times.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, TypedDict

from concmagic.renderers import palette

NOTHING, MIXED = -1, -2  # codes beside those of the states: a gap, several states merged
SIXTEENTHS = 16  # what the shares of a merged box are counted in
GROUP, FOLD, MACHINERY = 1, 2, 4  # bits of Lane.flags
ENDED_WELL, ENDED_BADLY = 1, 2  # Lane.ending; 0 says neither

Theme = Annotated[dict[str, Any], palette.Theme]  # its fields as an object; looks in the order of ORDER


class Chip(NamedTuple):
    """A number of the head."""

    label: str
    value: str
    note: str
    help: str


class BandPart(NamedTuple):
    """A part of "where it went", its length in ns; `steps` are lane, begin and length of each stretch."""

    length: int
    label: str
    told: str  # in the list of all parts
    code: int
    steps: list[int]


class LegendEntry(NamedTuple):
    """A state, and how long it lasted in all."""

    code: int
    label: str
    length: str


class Cost(NamedTuple):
    """What tracing cost, and whether that is much."""

    text: str
    high: bool


class Lane(NamedTuple):
    """A lane; `parent` is the number of the lane it hangs under, -1 for none."""

    name: str
    depth: int
    flags: int
    ending: int
    text: str
    parent: int
    detail: str
    place: int  # its number in Payload.places
    sums: list[int]  # by code; zeros at the end are left out


class BoxKind(NamedTuple):
    """What a box of a lane shows; `line` is 0 where the cell has none for it."""

    code: int
    full: str
    short: str
    place: str
    line: int


class MixedKind(NamedTuple):
    """Several states merged: `code` is MIXED, the shares are sixteenths by code."""

    code: int
    shares: list[int]


class LaneCalls(NamedTuple):
    """The calls of one lane: rows by depth, and how many calls are deeper than the last."""

    lane: int
    deeper: int
    rows: list[list[int]]


class CallKind(NamedTuple):
    """One call."""

    name: str
    place: str


class CallsKind(NamedTuple):
    """Several calls as one box, without a name where they are of several functions; `spent` is in words."""

    name: str
    place: str
    calls: int
    spent: str


class Flows(NamedTuple):
    """The arrows as columns, ascending by when they arrive; `kind` counts in Words.flows."""

    kind: list[int]
    source: list[int]
    ago: list[int]  # from source to target
    target: list[int]
    steps: list[int]


class Need(NamedTuple):
    """An arrow of a deadlock: from the lane that waits to the one that it needs."""

    source: int
    target: int
    at: int


class Finding(NamedTuple):
    """A finding, from when to when it holds, and its lanes."""

    severity: Literal["warning", "note"]
    message: str
    hint: str
    lint: str
    start: int
    end: int
    lanes: list[int]


class Mark(NamedTuple):
    """A mark of the user's."""

    label: str
    start: int
    end: int


class Prints(NamedTuple):
    """When a lane printed."""

    lane: int
    steps: list[int]


class Stretch(NamedTuple):
    """A stretch of time that a button shows."""

    start: int
    end: int
    label: str


class Curve(NamedTuple):
    """Steps of a number over time; `top` is what the full height stands for."""

    label: str
    steps: list[int]
    values: list[float]
    top: float
    note: str


class CallWords(NamedTuple):
    """Words for merged calls."""

    several: str
    shorter: str
    total: str
    deeper: str


class FlowWords(NamedTuple):
    """Words for one kind of arrow, as its target and as its source says it."""

    arrives: str
    leaves: str


class Words(TypedDict):
    """`sentences.PICTURE_WORDS`; {x}, {n} and {name} are filled in by the script."""

    canvas: str
    keys: str
    hint: str
    hintCalls: str
    calls: CallWords
    callsOf: str
    noCalls: str
    fit: str
    undo: str
    where: str
    path: str
    noLanes: str
    zoomTo: str
    highlight: str
    merged: str
    length: str
    since: str
    alive: str
    returned: str
    flows: list[FlowWords]
    printed: str
    states: list[str]


class Calls(TypedDict):
    """All calls; recorded until `until`, or to the end where that is -1."""

    kinds: list[CallKind | CallsKind]
    lanes: list[LaneCalls]
    until: int


class Payload(TypedDict):
    """All that the script draws."""

    headline: str
    chips: list[Chip]
    band: list[BandPart]
    legend: list[LegendEntry]
    cost: Cost
    notes: list[str]
    unit: int
    wall: int
    lanes: list[Lane]
    places: list[str]
    rows: list[list[int]]  # of each lane: length, number of kind, length, …; kind 0 is a gap
    calls: Calls
    kinds: list[BoxKind | MixedKind]
    flows: Flows
    needs: list[Need]
    findings: list[Finding]
    marks: list[Mark]
    prints: list[Prints]
    loupe: list[Stretch]  # one, or none where the whole shows it
    curves: list[Curve]
    source: dict[str, str]  # the cell's lines by the editor's number
    themes: list[Theme]  # light, dark
    font: str
    words: Words
