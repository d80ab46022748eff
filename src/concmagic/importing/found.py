"""What has been imported so far: the importer of each source of evidence adds to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds
from concmagic.importing.tasks.task_flows import Step
from concmagic.model.trace import (
    Flights,
    Flow,
    Function,
    Group,
    Hidden,
    Lock,
    LoopSteps,
    Mark,
    Print,
    Slices,
    Stop,
    Track,
)
from concmagic.problems import Problem
from concmagic.records.recording import Recording


@dataclass(slots=True, kw_only=True)
class Found:
    """The parts of a Trace, and what all of them are read with."""

    recording: Recording
    clock: CellClock
    ids: TrackIds
    places: Places
    tracks: list[Track] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    slices: list[Slices] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    steps: dict[int, tuple[Step, ...]] = field(default_factory=dict)  # of tasks, by their thread's track
    blocked: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # calls of threads, by track
    unawaited: list[Function] = field(default_factory=list)
    loops: list[LoopSteps] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    flights: list[Flights] = field(default_factory=list)
    locks: list[Lock] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    prints: list[Print] = field(default_factory=list)
    hidden: Hidden = field(default_factory=Hidden)
    stop: Stop | None = None
    events: int = 0
