"""A lint about who keeps the GIL while it computes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from concmagic.analysis.cores_and_gil import is_gil_wait
from concmagic.analysis.findings import Finding
from concmagic.analysis.intervals import Pair, common, total, union
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import GilHeld
from concmagic.model.trace import State, StateInterval, Trace, Track

SHORTEST_NS = 20_000_000  # four switch intervals: being shorter off its core happens to every holder
PERIODS = 4  # the holder and what it does are two samples, which may differ at both ends


def gil_held_while_waiting(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A thread waited and kept the GIL, which others wanted: native code that does not release it.

    Not where it only had no core, and not if who held the GIL was not read.
    """
    for gil in (track for track in trace.tracks if track.kind == "gil"):
        threads = [track for track in trace.tracks if track.kind == "thread" and track.pid == gil.pid]
        wanted = {track.id: _wanted(track) for track in threads}
        least = max(SHORTEST_NS, PERIODS * trace.build.sampling_ns)
        for track, held in _held_by(gil, threads):
            waits = [one for one in track.states if one.state is State.WAITING]
            pairs = common(held, union(_pair(one) for one in waits))
            if total(pairs) < least:
                continue
            others = union(pair for other in threads if other is not track for pair in wanted[other.id])
            long = [pair for pair in common(pairs, others) if pair[1] - pair[0] >= least]
            if long:
                yield _finding(trace, track, long, waits, wanted)


def _finding(
    trace: Trace,
    track: Track,
    pairs: Sequence[Pair],
    waits: Sequence[StateInterval],
    wanted: Mapping[int, Sequence[Pair]],
) -> Finding:
    lasted = total(pairs)
    inside = [one for one in waits if common([_pair(one)], pairs)]
    worst = max(inside, key=lambda one: total(common([_pair(one)], pairs)))
    kept = [number for number, of_other in wanted.items() if number != track.id and common(of_other, pairs)]
    return Finding(
        lint="gil-held-while-waiting",
        severity="warning",
        values=GilHeld(track.name, worst.reason, worst.file, worst.line, lasted, trace.wall_ns, len(kept)),
        cost_s=lasted / 1e9,
        tracks=(track.id, *kept),
        start_ns=pairs[0][0],
        end_ns=pairs[-1][1],
        line=worst.line if not worst.file else 0,
    )


def _held_by(gil: Track, threads: Sequence[Track]) -> list[tuple[Track, list[Pair]]]:
    """When each thread held it."""
    held: dict[int, list[Pair]] = defaultdict(list)
    for one in gil.states:
        if one.state is State.RUNNING and one.holders:
            held[one.holders[0]].append(_pair(one))
    return [(track, union(held[track.id])) for track in threads]


def _wanted(track: Track) -> list[Pair]:
    return [_pair(one) for one in track.states if is_gil_wait(one)]


def _pair(one: StateInterval) -> Pair:
    return one.start_ns, one.end_ns
