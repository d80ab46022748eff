"""How the threads stood just before the cell was stopped: for whom they waited, and who is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from concmagic.importing.found import Found
from concmagic.model.reasons import ANSWERED
from concmagic.model.trace import State, Stop, Track
from concmagic.records.handed_over import StopLog
from concmagic.records.recording import ProcessRecord, ThreadRecord

_AWAY = ("kernel", "ours")  # what these do is for no cell


def import_stop(found: Found) -> None:
    """Put it into the trace."""
    process = found.recording.processes[0]
    log = process.stop
    if log is None:
        return
    at_ns = found.clock.at(log.at_ns)
    living = _living(process, log.at_ns)
    tracks = {
        ident: track
        for ident, record in living.items()
        if (track := found.ids.known("thread", process.pid, record.native_id)) is not None
    }
    whom = {
        tracks[row.ident]: other
        for row in log.threads
        if row.ident in tracks and (other := found.ids.known("thread", process.pid, row.whom)) is not None
    }
    found.tracks = [
        _told(track, at_ns, whom[track.id]) if track.id in whom else track for track in found.tracks
    ]
    endless = tuple(tracks[row.ident] for row in log.threads if row.is_endless and row.ident in tracks)
    found.stop = Stop(at_ns, endless, _others(process, log, living, tracks))


def _living(process: ProcessRecord, at_ns: int) -> dict[int, ThreadRecord]:
    """The threads that were there, by ident."""
    return {
        one.ident: one
        for one in process.threads
        if (one.ended_ns is None or one.ended_ns > at_ns) and (one.begun_ns or 0) <= at_ns
    }


def _others(
    process: ProcessRecord, log: StopLog, living: Mapping[int, ThreadRecord], tracks: Mapping[int, int]
) -> int:
    """How many without a track may have woken somebody."""
    endless = {row.ident: row.is_endless for row in log.threads}
    awake = [
        ident
        for ident, one in living.items()
        if one.origin not in _AWAY and (ident not in endless or (ident not in tracks and not endless[ident]))
    ]
    unknown = [ident for ident in endless if ident not in living]
    of_python = {one.native_id for one in process.threads}
    return log.others + len(awake) + len(unknown) + len(set(log.native) - of_python)


def _told(track: Track, at_ns: int, whom: int) -> Track:
    """A track with whom its last wait until then was for: the signal may have ended that a moment before."""
    states = list(track.states)
    for index in range(len(states) - 1, -1, -1):
        one = states[index]
        if one.start_ns > at_ns or one.state is not State.WAITING:
            continue
        if one.reason in ANSWERED and not one.waits_for:
            states[index] = replace(one, facts=replace(one.facts, waits_for=(whom,)))
        break
    return replace(track, states=tuple(states))
