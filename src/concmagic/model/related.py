"""Whether what a saved trace tells fits together: ids, parents, order. Each part alone was read before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from concmagic.model.reading import Kind, fail
from concmagic.model.trace import Slices, Trace, Track

MOST_DEPTH = 100_000


def check(trace: Trace) -> None:
    """Raise UnreadableError, with the place in the file, where two parts contradict each other."""
    by_id = _by_id(trace.tracks)
    _check_parents(trace.tracks, by_id)
    for place, track in enumerate(trace.tracks):
        _check_order(f"tracks[{place}]", track.start_ns, track.end_ns)
        _check_who(f"tracks[{place}].cancelled_by", track.cancelled_by, trace, by_id)
    for place, flow in enumerate(trace.flows):
        _check_track(f"flows.rows[{place}].source", flow.source, by_id)
        _check_track(f"flows.rows[{place}].target", flow.target, by_id)
        _check_resource(f"flows.rows[{place}].resource", flow.resource, trace)
    for place, lock in enumerate(trace.locks):
        _check_resource(f"locks.rows[{place}].resource", lock.resource, trace)
    for place, mark in enumerate(trace.marks):
        _check_track(f"marks.rows[{place}].track", mark.track, by_id)
        _check_order(f"marks.rows[{place}]", mark.start_ns, mark.end_ns)
    for place, job in enumerate(trace.jobs):
        _check_track(f"jobs.rows[{place}].track", job.track, by_id)
        _check_order(f"jobs.rows[{place}]", job.start_ns, job.end_ns)
    for place, one in enumerate(trace.prints):
        _check_track(f"prints.rows[{place}].track", one.track, by_id)
    for place, loop in enumerate(trace.loops):
        _check_track(f"loops.rows[{place}].track", loop.track, by_id)
        _check_who(f"loops.rows[{place}].longest_of", loop.longest_of, trace, by_id)
    for place, group in enumerate(trace.groups):
        _check_track(f"groups.rows[{place}].track", group.track, by_id)
    for who in trace.stop.endless if trace.stop is not None else ():
        _check_track("stop.endless", who, by_id)
    _check_facts(trace, by_id)
    _check_resources(trace, by_id)
    _check_slices(trace.slices, by_id)


def _by_id(tracks: Iterable[Track]) -> dict[int, Track]:
    found: dict[int, Track] = {}
    for place, track in enumerate(tracks):
        if track.id in found:
            fail(f"tracks[{place}].id", "used id")
        found[track.id] = track
    return found


def _check_parents(tracks: Iterable[Track], by_id: Mapping[int, Track]) -> None:
    """Every parent is there, and nobody is their own ancestor."""
    settled: set[int] = set()
    for place, track in enumerate(tracks):
        chain: set[int] = set()
        one = track
        while one.id not in settled:
            chain.add(one.id)
            if one.parent is None:
                break
            if one.parent not in by_id:
                fail(f"tracks[{place}].parent", "no track")
            if one.parent in chain:
                fail(f"tracks[{place}].parent", "own ancestor")
            one = by_id[one.parent]
        settled |= chain


def _check_track(place: str, track: int | None, by_id: Mapping[int, Track]) -> None:
    if track is not None and track not in by_id:
        fail(place, "no track")


def _check_who(place: str, who: int | None, trace: Trace, by_id: Mapping[int, Track]) -> None:
    """Whether it is the id of a track or of one of the others."""
    if who is not None and who not in by_id and not -len(trace.others) <= who < 0:
        fail(place, "no track")


def _check_resource(place: str, resource: int | None, trace: Trace) -> None:
    if resource is not None and resource >= len(trace.resources):
        fail(place, "no resource")


def _check_resources(trace: Trace, by_id: Mapping[int, Track]) -> None:
    for place, resource in enumerate(trace.resources):
        for number, (start_ns, end_ns, who) in enumerate(resource.held):
            at = f"resources.rows[{place}].held[{number}]"
            _check_order(at, start_ns, end_ns)
            _check_who(at, who, trace, by_id)


def _check_facts(trace: Trace, by_id: Mapping[int, Track]) -> None:
    """What states refer to beside their tracks; many share their facts."""
    seen: set[int] = set()
    for place, track in enumerate(trace.tracks):
        for number, one in enumerate(track.states):
            if id(one.facts) in seen:
                continue
            seen.add(id(one.facts))
            at = f"tracks[{place}].states[{number}]"
            for who in (*one.holders, *one.waits_for):
                _check_who(at, who, trace, by_id)
            _check_resource(at, one.resource, trace)


def _check_order(place: str, start_ns: int | None, end_ns: int | None) -> None:
    if start_ns is not None and end_ns is not None and end_ns < start_ns:
        fail(f"{place}.end_ns", "before its start")


def _check_slices(slices: Slices, by_id: Mapping[int, Track]) -> None:
    """The columns as wholes; of what is wrong the first is named."""
    ids = np.fromiter(by_id, np.int64, len(by_id))
    _check_all("track", np.isin(slices.track, ids), "no track")
    _check_all("end_ns", slices.end_ns >= slices.start_ns, "before its start")
    _check_all("depth", (slices.depth >= 0) & (slices.depth <= MOST_DEPTH), "depth")
    known = (slices.function >= 0) & (slices.function < len(slices.functions))
    _check_all("function", known, "no function")
    same_track = slices.track[1:] == slices.track[:-1]
    sorted_rows = ~same_track | (slices.start_ns[1:] >= slices.start_ns[:-1])
    _check_all("start_ns", np.append(True, sorted_rows), "not sorted")


def _check_all(column: str, right: np.ndarray[tuple[int], np.dtype[np.bool_]], kind: Kind) -> None:
    if not right.all():
        fail(f"slices.{column}[{int(np.argmin(right))}]", kind)
