"""The numbers of one trace (design section 7). What is not known is NaN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, isnan, nan
from typing import Any

import numpy as np

from concmagic.analysis import work
from concmagic.analysis.intervals import Pair, Steps, count_at_once, total, union
from concmagic.analysis.path import PathPart, path_of
from concmagic.analysis.switches import Switches, is_gil_wait, switches
from concmagic.trace.model import State, StateInterval, Trace, Track
from concmagic.trace.states import OUTSIDE

# With more than this share of the threads' time unknown, the mean comes from the CPU clock.
_UNKNOWN_SHARE = 0.05
_GAVE_UP = (State.WAITING, State.READY)
_ON_THE_LOOP = (State.RUNNING, State.BLOCKING, State.UNKNOWN)

Place = tuple[str, int]  # file and line; file "" is this cell


@dataclass(frozen=True, slots=True)
class Sums:
    """Seconds in each state."""

    running_s: float = 0.0
    blocking_s: float = 0.0
    ready_s: float = 0.0
    waiting_s: float = 0.0
    starting_s: float = 0.0
    unknown_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Metrics:
    """One attribute per number; seconds where the name says so, else ratios."""

    wall_s: float
    concurrency: float = nan
    concurrency_peak: int = 0
    unit_peak: int = 0  # the same without the cell itself
    parallelism: float = nan
    parallelism_peak: int = 0
    parallelism_source: str = ""  # "states", or "CPU time" where too much of the states is unknown
    cores: int = 1
    cpu_s: float = nan
    native_threads: float = nan  # cores used by threads that Python does not know: BLAS, OpenMP
    running_s: float = 0.0
    blocking_s: float = 0.0
    ready_s: float = 0.0
    waiting_s: float = 0.0
    starting_s: float = 0.0
    unknown_s: float = 0.0
    by_track: Mapping[int, Sums] = field(default_factory=dict)
    by_line: Mapping[Place, Sums] = field(default_factory=dict)
    path: tuple[PathPart, ...] = ()
    overlap: float = nan
    loop_computing: float = nan  # share of the loops' time
    loop_blocked: float = nan
    loop_idle: float = nan
    loop_longest_step_s: float = nan
    loop_longest_step_track: int | None = None  # the task that took it
    loop_longest_step_place: Place = ("", 0)  # what blocked in it, else where it had waited
    loop_delay_p50_s: float = nan
    loop_delay_p99_s: float = nan
    loop_delay_max_s: float = nan
    gil_contended: float = nan
    gil_handovers_per_s: float = nan
    cooperative_switches: int = 0
    preemptive_switches: float = nan
    switches_by_track: Mapping[int, Switches] = field(default_factory=dict)  # of threads
    cost_s: float = nan
    cost_share: float = nan
    events: int = 0
    unit_kinds: tuple[str, ...] = ()  # what the work is made of: "task", "job", "thread", "process", "cell"


def compute(trace: Trace) -> Metrics:
    """All numbers of a trace."""
    units = work.units(trace)
    in_flight = count_at_once((pair for unit in units for pair in unit.pairs), trace.wall_ns)
    summed = _counted(trace)
    overall = _sums(states for _, states in summed)
    mean, peak, source = _parallelism(trace)
    by_track = switches(trace)
    return Metrics(
        wall_s=trace.wall_s,
        concurrency=in_flight.mean(trace.wall_ns),
        concurrency_peak=in_flight.peak,
        unit_peak=count_at_once(
            (pair for unit in units if unit.kind != "cell" for pair in unit.pairs), trace.wall_ns
        ).peak,
        parallelism=mean,
        parallelism_peak=peak,
        parallelism_source=source,
        cores=trace.build.cores,
        cpu_s=trace.cpu_s,
        native_threads=_native_threads(trace),
        **{name: getattr(overall, name) for name in Sums.__dataclass_fields__},
        by_track={track.id: _sums([track.states]) for track in trace.tracks},
        by_line=_by_line(summed),
        path=path_of(trace),
        overlap=_overlap(trace, summed),
        **_loop(trace),
        **_gil(trace, by_track),
        switches_by_track=by_track,
        cooperative_switches=_cooperative(trace),
        cost_s=trace.cost.seconds,
        cost_share=trace.cost.seconds / trace.wall_s if trace.wall_ns else nan,
        events=trace.cost.events,
        unit_kinds=tuple(sorted(work.kinds(units))),
    )


def _native_threads(trace: Trace) -> float:
    """Cores used by threads that Python does not know, on average."""
    return max(trace.cpu_s - trace.python_cpu_s, 0.0) / trace.wall_s if trace.wall_ns else nan


def in_flight_curve(trace: Trace) -> Steps:
    """Units of work begun and not yet ended, over time."""
    return count_at_once((pair for unit in work.units(trace) for pair in unit.pairs), trace.wall_ns)


def on_a_core_curve(trace: Trace) -> Steps:
    """Tracks on a core at the same instant, over time.

    A thread that waits for a core can look like one that has it: there are never more than there are cores.
    """
    return count_at_once(work.on_a_core(trace), trace.wall_ns).at_most(max(trace.build.cores, 1))


def _counted(trace: Trace) -> list[tuple[Track, tuple[StateInterval, ...]]]:
    """The tracks and states that are summed: of the cell itself, beside other work, only what it did."""
    leaves = work.leaves_of_the_work(trace)
    others = any(not track.host for track in leaves)
    return [
        (track, tuple(one for one in track.states if _did(one)) if track.host and others else track.states)
        for track in leaves
    ]


def _did(interval: StateInterval) -> bool:
    return interval.state in (State.RUNNING, State.BLOCKING, State.READY)


def _sums(parts: Iterable[Iterable[StateInterval]]) -> Sums:
    spent = dict.fromkeys(State, 0)
    for states in parts:
        for one in states:
            spent[one.state] += one.end_ns - one.start_ns
    return Sums(**{f"{state.value}_s": length / 1e9 for state, length in spent.items()})


def _by_line(summed: list[tuple[Track, tuple[StateInterval, ...]]]) -> dict[Place, Sums]:
    by_place: dict[Place, list[StateInterval]] = {}
    for _, states in summed:
        for one in states:
            if one.line:
                by_place.setdefault((one.file, one.line), []).append(one)
    return {place: _sums([states]) for place, states in sorted(by_place.items())}


def _parallelism(trace: Trace) -> tuple[float, int, str]:
    """Mean and peak of tracks on a core, and what the mean was read from."""
    curve = on_a_core_curve(trace)
    by_states = curve.mean(trace.wall_ns)
    by_clock = trace.cpu_s / trace.wall_s if trace.wall_ns else nan
    unknown = total(
        (one.start_ns, one.end_ns)
        for track in work.leaves_of_the_machine(trace)
        for one in track.states
        if one.state is State.UNKNOWN
    )
    if unknown <= _UNKNOWN_SHARE * trace.wall_ns:
        # Holding the GIL is not yet being on a core: the CPU clock is the upper bound.
        mean = by_states if isnan(by_clock) else min(by_states, max(by_clock, 0.0))
        return mean, min(curve.peak, max(trace.build.cores, 1)), "states"
    if isnan(by_clock):
        return nan, curve.peak, ""
    peak = max(curve.peak, ceil(by_clock - 0.1)) if by_clock > 0.1 else curve.peak
    return by_clock, min(peak, max(trace.build.cores, 1)), "CPU time"


def _overlap(trace: Trace, summed: list[tuple[Track, tuple[StateInterval, ...]]]) -> float:
    if not trace.wall_ns:
        return nan
    useful = 0
    for _, states in summed:
        for one in states:
            if one.state is State.RUNNING or (one.state is State.WAITING and one.reason in OUTSIDE):
                useful += one.end_ns - one.start_ns
    return useful / trace.wall_ns


def _loop(trace: Trace) -> dict[str, Any]:
    """Shares of the loops' time, the longest step, and how long tasks had to wait for their turn."""
    loops = [track for track in trace.tracks if track.kind == "loop" and track.role == "work"]
    spent = _sums(track.states for track in loops)
    length = sum(work.end_of(trace, track) - track.start_ns for track in loops) / 1e9
    if not loops or not length:
        return {}
    longest, task = _longest_step(trace)
    delays = np.array([one.end_ns - one.start_ns for one in _ready(trace)], np.int64)
    found: dict[str, Any] = {
        "loop_computing": spent.running_s / length,
        "loop_blocked": spent.blocking_s / length,
        "loop_idle": spent.waiting_s / length,
        "loop_longest_step_s": (longest[1] - longest[0]) / 1e9,
        "loop_longest_step_track": None if task is None else task.id,
        "loop_longest_step_place": ("", 0) if task is None else _place_of_step(task, longest),
    }
    if len(delays):
        p50, p99 = np.percentile(delays, (50, 99)) / 1e9
        found |= {"loop_delay_p50_s": float(p50), "loop_delay_p99_s": float(p99)}
        found["loop_delay_max_s"] = float(delays.max()) / 1e9
    return found


def _longest_step(trace: Trace) -> tuple[Pair, Track | None]:
    """Begin and end of the longest step, and whose it was."""
    steps = [
        (pair, track)
        for track in _tasks(trace)
        for pair in union((one.start_ns, one.end_ns) for one in track.states if _on_the_loop(one))
    ]
    return max(steps, key=lambda step: step[0][1] - step[0][0], default=((0, 0), None))


def _on_the_loop(one: StateInterval) -> bool:
    """In a step: also while its thread wanted the GIL or a core."""
    return one.state in _ON_THE_LOOP or (one.state is State.READY and one.reason in ("GIL", "core"))


def _place_of_step(task: Track, step: Pair) -> Place:
    """Where the call stands that blocked longest in a step; else the await that it went on from."""
    told = [one for one in task.states if one.line and step[0] <= one.start_ns < step[1]]
    if told:
        worst = max(told, key=lambda one: one.length_ns)
        return worst.file, worst.line
    before = [one for one in task.states if one.line and one.end_ns <= step[0]]
    return (before[-1].file, before[-1].line) if before else (task.file, task.line)


def _tasks(trace: Trace) -> list[Track]:
    return [track for track in trace.tracks if track.kind == "task" and track.role == "work"]


def _ready(trace: Trace) -> list[StateInterval]:
    states = [one for track in _tasks(trace) for one in track.states]
    return [one for one in states if one.state is State.READY and not _on_the_loop(one)]


def _gil(trace: Trace, by_track: Mapping[int, Switches]) -> dict[str, Any]:
    """How much of the cell a thread wanted the GIL; only known where somebody looked for it."""
    wanted = [
        (one.start_ns, one.end_ns)
        for track in trace.tracks
        if track.kind == "thread"
        for one in track.states
        if is_gil_wait(one)
    ]
    if not trace.wall_ns or not (wanted or trace.build.gil_asked):
        return {}
    return {
        "gil_contended": total(union(wanted)) / trace.wall_ns,
        "gil_handovers_per_s": sum(one.handovers for one in by_track.values()) / trace.wall_s,
        "preemptive_switches": sum(one.preemptive for one in by_track.values()),
    }


def _cooperative(trace: Trace) -> int:
    """How often a task gave up the loop at an `await`: its steps, but for the last."""
    found = 0
    for track in _tasks(trace):
        for one, following in zip(track.states, track.states[1:], strict=False):
            gave_up = following.state in _GAVE_UP and not _on_the_loop(following)
            found += _on_the_loop(one) and gave_up
    return found
