"""Whether the path that concmagic tells of a program is the one that it took.

The program stamps each of its steps, and the path is known from who waits for whom. Compared are what was on
the path in the time of each step, and how much of the path is waiting beside the steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.kernel.conftest import Kernel
from tests.truth import notebook_cell, told
from tests.truth.notebook_cell import Cell, cell_of
from tests.truth.plan import Times, is_clear, path_of, planned, units_of
from tests.truth.programs import WORLDS, Compute, Locked, Place, Program
from tests.truth.told import Part

SETUP = notebook_cell.SETUP + told.SETUP
# Of each step's time; of the cell's.
_OF_A_STEP, _WAITED_ELSEWHERE = 0.75, 0.2
_TRIES = 3  # for a run in which the machine keeps to the plan's order …
_LEAST_MARGIN = 0.3  # … by so many units: what comes closer is for nobody to tell


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with what was told of one run; nothing where it is right, or did not run as planned."""

    as_planned: bool
    faults: tuple[str, ...]
    cell: Cell
    told: tuple[Part, ...]

    def __str__(self) -> str:
        lines = (f"{number:3d}  {line}" for number, line in enumerate(self.cell.text.splitlines(), 1))
        parts = (str(part) for part in self.told if part.end_ns - part.start_ns > 5e6)
        return "\n".join((*self.faults, "told:", *parts, "the cell:", *lines))


def judged(kernel: Kernel, seed: int, world: str) -> Verdict:
    """Run a random program as a cell and compare; again where its steps did not keep to the plan's order."""
    program, path = planned(seed, world)
    cell = cell_of(program)
    for _ in range(_TRIES):
        kernel.check(cell.text)
        times, begin = _stamped(kernel.value("stamped()"))
        marks, parts = told.path_told(kernel)
        faults = tuple(_faults(program, cell, times, [_moved(part, begin - marks[0]) for part in parts]))
        least_ns = _LEAST_MARGIN * WORLDS[world].unit_ms * 1e6
        as_planned = path_of(program, times) == path and is_clear(program, times, least_ns)
        if as_planned:
            break
    return Verdict(as_planned, faults if as_planned else (), cell, tuple(parts))


def _moved(part: Part, by_ns: int) -> Part:
    return Part(part.lane, part.state, part.reason, part.line, part.start_ns + by_ns, part.end_ns + by_ns)


def _stamped(stamps: Sequence[Sequence[str]]) -> tuple[Times, int]:
    times, begin = Times(), 0
    for what, actor, number, at in stamps:
        place, at_ns = (int(actor), int(number)), int(at)
        if what == "m":
            begin = at_ns
        {"b": times.begun, "h": times.had, "e": times.ended}.get(what, {})[place] = at_ns
    for (actor_number, _), at_ns in times.begun.items():
        times.born[actor_number] = min(times.born.get(actor_number, at_ns), at_ns)
    for (actor_number, _), at_ns in times.ended.items():
        times.died[actor_number] = max(times.died.get(actor_number, at_ns), at_ns)
    return times, begin


def _faults(program: Program, cell: Cell, times: Times, parts: Sequence[Part]) -> Iterator[str]:
    ops = dict(program.places())
    steps = path_of(program, times)
    op_ns = {one: units * WORLDS[program.world].unit_ms * 1e6 for one, units in units_of(program).items()}
    for place in steps:
        since = times.had[place] if isinstance(ops[place], Locked) else times.begun[place]
        until = times.ended[place]
        computes = isinstance(ops[place], Compute)
        meant = [part for part in parts if _is_it(part, program, place, cell.lines[place], computes)]
        length = min(until - since, op_ns[place])  # who sleeps may be woken late, and is READY then
        share = sum(_shared(part, since, until) for part in meant) / length
        if share < _OF_A_STEP:
            there = max(parts, key=lambda part: _shared(part, since, until))
            yield (
                f"line {cell.lines[place]} of {_lane(program, place)} is on the path for "
                f"{share:.0%} of its {(until - since) / 1e6:.0f} ms; most: {_without_time(there)}"
            )
    waits = [part for part in parts if part.state == "waiting" and part.reason != "sleep"]
    waited = sum(part.end_ns - part.start_ns for part in waits)
    wall = parts[-1].end_ns - parts[0].start_ns
    if waited > _WAITED_ELSEWHERE * wall:
        longest = max(waits, key=lambda part: part.end_ns - part.start_ns)
        yield f"{waited / 1e6:.0f} of {wall / 1e6:.0f} ms is other waiting; longest: {_without_time(longest)}"


def _without_time(part: Part) -> str:
    return f"{part.lane}: {part.state} {part.reason}".strip()


def _lane(program: Program, place: Place) -> str:
    kind = program.actors[place[0]].kind
    return kind if kind in ("cell", "job") else f"a{place[0]}"


def _is_it(part: Part, program: Program, place: Place, line: int, computes: bool) -> bool:
    """Whether a part is what a step did: on its lane, in its state, and where a line is told, on that.

    Who computes may want a core or the GIL in between, or nobody knows; it waits for nothing that has a name.
    """
    lane, kind = part.lane, program.actors[place[0]].kind
    named = {"cell": lane in ("MainThread", "cell"), "job": lane not in _named(program)}
    if not named.get(kind, lane == f"a{place[0]}") or part.line not in (0, line):
        return False
    if computes:
        return part.state != "waiting" or not part.reason
    return part.state == "waiting" and part.reason == "sleep"


def _named(program: Program) -> set[str]:
    return {"MainThread", "cell", *(f"a{one.number}" for one in program.actors if one.kind != "job")}


def _shared(part: Part, since: float, until: float) -> float:
    return max(min(part.end_ns, until) - max(part.start_ns, since), 0)
