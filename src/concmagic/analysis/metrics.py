"""The numbers of one trace. What is not known is NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import compress
from math import ceil, isnan, nan
from typing import TypedDict

import numpy as np

from concmagic.analysis import concurrency, event_loops
from concmagic.analysis.concurrency import Switches, at_once, gil_waits, on_a_core_curve, switches
from concmagic.analysis.critical_path import PathPart, path_of
from concmagic.analysis.event_loops import Place, loop_numbers, loops_of, tasks_of
from concmagic.analysis.intervals import Steps, count_at_once, total, union
from concmagic.model.categories import Category
from concmagic.model.columns import Bools, StateColumns, columns_of
from concmagic.model.reasons import MERGED, OUTSIDE
from concmagic.model.trace import State, Trace

# With more than this share of the threads' time unknown, the mean comes from the CPU clock.
_UNKNOWN_SHARE = 0.05
NATIVE_CORES = 0.2  # used by threads of native code: from here on they are worth a word, and count
_GAVE_UP = (State.WAITING, State.READY)
_DID = (State.RUNNING, State.BLOCKING, State.READY)


@dataclass(frozen=True, slots=True)
class Sums:
    """Seconds in each state."""

    running_s: float = 0.0
    blocking_s: float = 0.0
    ready_s: float = 0.0
    waiting_s: float = 0.0
    starting_s: float = 0.0
    tracing_s: float = 0.0
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
    tracing_s: float = 0.0
    unknown_s: float = 0.0
    by_category: Mapping[Category, float] = field(default_factory=dict)  # waits by what ends them; seconds
    by_track: Mapping[int, Sums] = field(default_factory=dict)
    by_line: Mapping[Place, Sums] = field(default_factory=dict)
    path: tuple[PathPart, ...] = ()
    overlap: float = nan
    loop_computing: float = nan  # share of the loops' time
    loop_blocked: float = nan
    loop_kept: float = nan  # it could have gone on, and had no core or not the GIL
    loop_idle: float = nan
    loop_longest_step_s: float = nan
    loop_longest_step_track: int | None = None  # the task that took it; None: a callback
    loop_longest_step_name: str = ""  # that task's, or the callback's
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


class GilNumbers(TypedDict, total=False):
    """Those fields of Metrics that say something of the GIL; what is not known is left out."""

    gil_contended: float
    gil_handovers_per_s: float
    preemptive_switches: float


def compute(trace: Trace) -> Metrics:
    """All numbers of a trace."""
    units = concurrency.units(trace)
    in_flight = count_at_once(concurrency.pairs_of(trace, units), trace.wall_ns)
    counted = _counted(trace)
    mean, peak, source = _parallelism(trace)
    if in_flight.peak and not _native_threads(trace) >= NATIVE_CORES:
        # What a child's start-up computes is no work in flight, and what computes is no more than that.
        mean, peak = min(mean, in_flight.mean(trace.wall_ns)), min(peak, in_flight.peak)
    by_track = switches(trace)
    of_loops = _sums(trace, event_loops.of_tracks(columns_of(trace), loops_of(trace)))
    return Metrics(
        wall_s=trace.wall_s,
        concurrency=in_flight.mean(trace.wall_ns),
        concurrency_peak=in_flight.peak,
        unit_peak=count_at_once(
            concurrency.pairs_of(trace, [unit for unit in units if unit.kind != "cell"]), trace.wall_ns
        ).peak,
        parallelism=mean,
        parallelism_peak=peak,
        parallelism_source=source,
        cores=trace.build.cores,
        cpu_s=trace.cpu_s,
        native_threads=_native_threads(trace),
        **asdict(_sums(trace, counted)),
        by_category=_by_category(trace, counted),
        by_track=_by_track(trace),
        by_line=_by_line(trace, counted),
        path=path_of(trace),
        overlap=_overlap(trace, counted),
        **loop_numbers(
            trace, (of_loops.running_s, of_loops.blocking_s, of_loops.ready_s, of_loops.waiting_s)
        ),
        **_gil(trace, by_track),
        switches_by_track=by_track,
        cooperative_switches=_cooperative(trace),
        cost_s=trace.cost.seconds,
        cost_share=trace.cost.seconds / trace.wall_s if trace.wall_ns else nan,
        events=trace.cost.events,
        unit_kinds=tuple(sorted(concurrency.kinds(units))),
    )


def _native_threads(trace: Trace) -> float:
    """Cores used by threads that Python does not know, on average."""
    return max(trace.cpu_s - trace.python_cpu_s, 0.0) / trace.wall_s if trace.wall_ns else nan


def in_flight_curve(trace: Trace) -> Steps:
    """Units of work begun and not yet ended, over time."""
    return count_at_once(concurrency.pairs_of(trace, concurrency.units(trace)), trace.wall_ns)


def _counted(trace: Trace) -> Bools:
    """The rows that are summed: of the cell itself, beside other work, only what it did."""
    columns, leaves = columns_of(trace), concurrency.leaves_of_the_work(trace)
    hosts = [track for track in leaves if track.host]
    counted = event_loops.of_tracks(columns, leaves)
    if len(hosts) < len(leaves):
        counted &= ~event_loops.of_tracks(columns, hosts) | columns.in_state(*_DID)
    return counted


def _sums(trace: Trace, wanted: Bools) -> Sums:
    columns = columns_of(trace)
    spent_ns = columns.spent_ns(trace.groups)
    return _in_seconds(np.bincount(columns.code[wanted], spent_ns[wanted], len(State)).tolist())


def _by_category(trace: Trace, wanted: Bools) -> dict[Category, float]:
    columns = columns_of(trace)
    spent_ns = columns.spent_ns(trace.groups)[wanted]
    sums = np.bincount(columns.category[wanted], spent_ns, len(Category)).tolist()
    return {one: length / 1e9 for one, length in zip(Category, sums, strict=True) if length}


def _in_seconds(lengths_ns: Sequence[float]) -> Sums:
    named = zip(State, lengths_ns, strict=True)
    return Sums(**{f"{state.value}_s": length / 1e9 for state, length in named})


def _by_track(trace: Trace) -> dict[int, Sums]:
    columns = columns_of(trace)
    cells = columns.place * len(State) + columns.code
    table = np.bincount(cells, columns.spent_ns(trace.groups), len(columns.tracks) * len(State))
    parts = table.reshape(-1, len(State)).tolist()
    return {track.id: _in_seconds(lengths) for track, lengths in zip(trace.tracks, parts, strict=True)}


def _by_line(trace: Trace, counted: Bools) -> dict[Place, Sums]:
    columns = columns_of(trace)
    states = compress((one for track in trace.tracks for one in track.states), counted.tolist())
    numbers: dict[Place, int] = {}
    at = np.array([numbers.setdefault((one.file, one.line), len(numbers)) for one in states], np.int64)
    cells = at * len(State) + columns.code[counted]
    table = np.bincount(cells, columns.length_ns[counted], len(numbers) * len(State))
    parts = table.reshape(-1, len(State)).tolist()
    return {place: _in_seconds(parts[number]) for place, number in sorted(numbers.items()) if place[1]}


def _parallelism(trace: Trace) -> tuple[float, int, str]:
    """Mean and peak of tracks on a core, and what the mean was read from."""
    curve = on_a_core_curve(trace)
    by_clock = trace.cpu_s / trace.wall_s if trace.wall_ns else nan
    machine = columns_of(trace).only(concurrency.leaves_of_the_machine(trace))
    unknown = int(machine.length_ns[machine.in_state(State.UNKNOWN)].sum())
    if unknown <= _UNKNOWN_SHARE * trace.wall_ns:
        return _mean_of_states(trace, by_clock), min(curve.peak, max(trace.build.cores, 1)), "states"
    if isnan(by_clock):
        return nan, curve.peak, ""
    peak = max(curve.peak, ceil(by_clock - 0.1)) if by_clock > 0.1 else curve.peak
    return by_clock, min(peak, max(trace.build.cores, 1)), "CPU time"


def _mean_of_states(trace: Trace, by_clock: float) -> float:
    """Tracks and threads of native code on a core, on average.

    How long each computed is known better than when: where it lies wrong two stand on one core, and what is
    above the number of cores there is missing elsewhere. So only the mean is bounded: by the cores, and by
    the CPU clock, because holding the GIL is not yet being on a core.
    """
    if isnan(by_clock):
        return at_once(trace).mean(trace.wall_ns)
    by_states = count_at_once(concurrency.on_a_core(trace), trace.wall_ns).mean(trace.wall_ns)
    native = _native_threads(trace)
    by_states += 0 if isnan(native) else native
    return min(by_states, max(by_clock, 0.0), max(trace.build.cores, 1))


def _overlap(trace: Trace, counted: Bools) -> float:
    """Computing and waits for the outside, in the cell's time.

    A command and the wait for it are one: counted is which of both tells more.
    """
    if not trace.wall_ns:
        return nan
    columns = columns_of(trace)
    commands = [track for track in trace.tracks if track.start_method == "subprocess"]
    not_twice = [counted & ~event_loops.of_tracks(columns, commands)]
    if commands:
        not_twice.append(counted & ~columns.for_reason(*concurrency.waits_for_units(trace)))
    useful = columns.in_state(State.RUNNING) | (
        columns.in_state(State.WAITING) & columns.for_reason(*OUTSIDE)
    )
    spent_ns = columns.spent_ns(trace.groups)
    most = max(int(spent_ns[useful & rows].sum()) for rows in not_twice)
    return (most + sum(group.outside_ns for group in trace.groups)) / trace.wall_ns


def _gil(trace: Trace, by_track: Mapping[int, Switches]) -> GilNumbers:
    """How much of the cell a thread wanted the GIL; only known where somebody looked for it."""
    wanted = gil_waits(*(track for track in trace.tracks if track.kind == "thread"))
    if not trace.wall_ns or not (wanted or trace.build.gil_asked):
        return {}
    return {
        "gil_contended": total(union(wanted)) / trace.wall_ns,
        "gil_handovers_per_s": _handovers(trace, by_track) / trace.wall_s,
        "preemptive_switches": sum(one.preemptive for one in by_track.values()),
    }


def _handovers(trace: Trace, by_track: Mapping[int, Switches]) -> int:
    """How often the GIL went to another thread: its own count, else what was seen."""
    seen = sum(one.handovers for one in by_track.values())
    return seen if trace.gil_switches is None else max(trace.gil_switches, seen)


def _cooperative(trace: Trace) -> int:
    """How often a task gave up the loop at an `await`: its steps, but for the last."""
    tasks = columns_of(trace).only(tasks_of(trace))
    in_step, merged = event_loops.of_steps(tasks), tasks.for_reason(MERGED)
    gave_up = (tasks.in_state(*_GAVE_UP) | merged) & ~in_step
    same_task = np.diff(tasks.place) == 0
    kept = int((in_step[:-1] & gave_up[1:] & same_task).sum())
    ended = sum(group.ended for group in trace.groups)
    return kept + trace.cost.merged - _ends_merged(trace, tasks, merged) - ended


def _ends_merged(trace: Trace, tasks: StateColumns, merged: Bools) -> int:
    """How many tasks have ended, by themselves and not within a group, in steps that were merged."""
    groups = {group.track for group in trace.groups}
    single = np.array([one.end_ns is not None and one.id not in groups for one in tasks.tracks], bool)
    has_rows = np.diff(tasks.bounds) > 0
    return int(merged[tasks.bounds[1:][single & has_rows] - 1].sum())
