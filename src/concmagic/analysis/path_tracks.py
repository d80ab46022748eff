"""Where a path begins, and who started whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from concmagic.model.trace import Trace, Track


def host_of(trace: Trace) -> Track | None:
    """The track whose end is the cell's end."""
    hosts = [track for track in trace.tracks if track.host]
    hosts += [track for track in trace.tracks if track.kind == "thread" and track.role == "work"]
    hosts += sorted(
        trace.tracks, key=lambda track: -(trace.wall_ns if track.end_ns is None else track.end_ns)
    )
    return next(iter(hosts), None)


def children_of(trace: Trace) -> dict[int, list[Track]]:
    """Who started whom, as far as it is known; else who stands under whom. A thread does its loop itself."""
    tracks = {track.id: track for track in trace.tracks}
    children: dict[int, list[Track]] = defaultdict(list)
    started = set()
    for flow in trace.flows:
        if flow.kind == "spawn" and flow.target in tracks:
            children[flow.source].append(tracks[flow.target])
            started.add(flow.target)
    for track in trace.tracks:
        if track.parent is not None and track.id not in started and track.kind != "loop":
            children[track.parent].append(track)
    return children


def started_by(
    track: Track, tracks: Mapping[int, Track], children: Mapping[int, Sequence[Track]]
) -> Sequence[Track]:
    """Its children; a pool's helper waits for those that others of its process have started."""
    if track.role != "machinery" or track.kind != "thread":
        return children.get(track.id, ())
    beside = [one.id for one in tracks.values() if one.kind == "thread" and one.pid == track.pid]
    return [
        child
        for one in beside
        for child in children.get(one, ())
        if child.kind == "process" or one == track.id
    ]


def main_threads(trace: Trace) -> dict[int, Track]:
    """By the track of a child process: the one of its main thread."""
    processes = {
        (track.id, track.native_id): track.id
        for track in trace.tracks
        if track.kind == "process" and track.parent is not None
    }
    found = {}
    for track in trace.tracks:
        if track.kind == "thread" and track.parent is not None and track.states:
            process = processes.get((track.parent, track.native_id))
            if process is not None:
                found[process] = track
    return found
