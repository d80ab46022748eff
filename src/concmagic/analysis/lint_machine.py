"""A lint about what is beside the cell: others that had the cores it wanted."""

from __future__ import annotations

from collections.abc import Iterator

from concmagic.analysis import work
from concmagic.analysis.findings import Finding
from concmagic.analysis.intervals import Pair, common, count_at_once, meets, total, union
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import BusyMachine
from concmagic.model.trace import State, Trace, Track

SHORTEST_NS = 100_000_000  # of a shorter cell a single time slice of another program is a large part
LOST_SHARE = 0.2  # of the cell
NATIVE_CORES = 0.2  # from which on it may be the cell's own libraries that had them


def busy_machine(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A core was wanted while fewer computed or wanted to than there are cores. Not beside native threads."""
    if trace.wall_ns < SHORTEST_NS or metrics.native_threads >= NATIVE_CORES:
        return
    leaves = work.leaves_of_the_machine(trace)
    at_once = count_at_once((pair for track in leaves for pair in _could_compute(track)), trace.wall_ns)
    ends = [*at_once.times_ns[1:].tolist(), trace.wall_ns]
    enough = [
        (start, end)
        for start, end, count in zip(at_once.times_ns.tolist(), ends, at_once.values.tolist(), strict=True)
        if count <= trace.build.cores
    ]
    wanted = union(pair for track in leaves if track.role == "work" for pair in _without_core(track))
    lost = common(wanted, enough)
    if total(lost) < LOST_SHARE * trace.wall_ns:
        return
    yield Finding(
        lint="busy-machine",
        severity="note",
        values=BusyMachine(total(lost), trace.wall_ns),
        cost_s=total(lost) / 1e9,
        tracks=tuple(track.id for track in leaves if meets(_without_core(track), lost)),
        start_ns=lost[0][0],
        end_ns=lost[-1][1],
    )


def _without_core(track: Track) -> list[Pair]:
    return union(
        (one.start_ns, one.end_ns)
        for one in track.states
        if one.state is State.READY and one.reason == "core"
    )


def _could_compute(track: Track) -> list[Pair]:
    computing = (State.RUNNING, State.STARTING, State.TRACING)  # to start Python and to import is to compute
    pairs = ((one.start_ns, one.end_ns) for one in track.states if one.state in computing)
    return union([*pairs, *_without_core(track)])
