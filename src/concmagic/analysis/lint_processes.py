"""Lints about child processes: how they ended, and what a copy of memory means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from concmagic.analysis import Finding
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import ChildDied, CopiesChanged, ForkWithThreads
from concmagic.model.trace import Trace, Track

_POOL_ENDS = "SIGTERM"  # what a pool does to its own workers when it is left


def copies_changed(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A child changed one of the notebook's variables: its own copy, and the notebook's is as it was."""
    by_name: dict[str, list[Track]] = defaultdict(list)
    for track in trace.tracks:
        for name in track.changed:
            by_name[name].append(track)
    if not by_name:
        return
    changed_by = {track.id: track for tracks in by_name.values() for track in tracks}
    yield Finding(
        values=CopiesChanged(tuple(sorted(by_name)), len(changed_by)),
        tracks=tuple(changed_by),
        start_ns=min(track.start_ns for track in changed_by.values()),
    )


def fork_with_threads(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A process was forked while threads of the cell ran; the kernel's and pools' helpers do not count."""
    threads = [
        track for track in trace.tracks if track.kind == "thread" and track.role == "work" and not track.host
    ]
    forked_by = {flow.target: flow.source for flow in trace.flows if flow.kind == "spawn"}
    for child in trace.tracks:
        if child.kind != "process" or child.start_method != "fork" or child.parent is None:
            continue
        beside = [
            track
            for track in _beside(trace, child, threads)
            # Of the thread that forks, the child has a copy that goes on.
            if track.id != forked_by.get(child.id) and not _is_main(trace, track)
        ]
        if beside:
            yield Finding(
                values=ForkWithThreads(child.name, tuple(track.name for track in beside)),
                tracks=(child.id, *(track.id for track in beside)),
                start_ns=child.start_ns,
            )
            return  # one is enough: the others were started the same way


def _beside(trace: Trace, child: Track, threads: Sequence[Track]) -> list[Track]:
    parent = next((track for track in trace.tracks if track.id == child.parent), None)
    return [
        track
        for track in threads
        if parent is not None
        and track.pid == parent.pid
        and track.start_ns < child.start_ns < track.until(trace.wall_ns)
    ]


def _is_main(trace: Trace, thread: Track) -> bool:
    """The main thread of a child, which forks children of its own."""
    return any(
        track.kind == "process" and track.pid == thread.pid and track.native_id == thread.native_id
        for track in trace.tracks
    )


def child_died(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A child process ended by a signal or with an error, and nobody had meant it to.

    A command's exit code goes to who started it, and often is an answer: `grep`, `diff`, `test`.
    """
    tracks = {track.id: track for track in trace.tracks}
    for track in trace.tracks:
        if track.kind != "process" or track.role != "work" or track.parent is None:
            continue
        if track.group and track.outcome.by == _POOL_ENDS:
            continue
        if track.outcome.kind in ("killed", "exited", "not started"):
            is_answer = track.start_method == "subprocess" and track.outcome.kind != "killed"
            yield Finding(
                severity="note" if is_answer else "warning",
                values=ChildDied(
                    track.name,
                    track.outcome,
                    _last_job(trace, tracks, track),
                    is_command=track.start_method == "subprocess",
                    problems=track.problems,
                ),
                tracks=(track.id,),
                start_ns=track.start_ns,
                end_ns=track.end_ns or trace.wall_ns,
            )


def _last_job(trace: Trace, tracks: dict[int, Track], process: Track) -> str:
    """The job that it was at when it ended, by its label."""
    at_work = [
        job
        for job in trace.jobs
        if job.track in tracks and tracks[job.track].pid == process.pid and job.end_ns == process.end_ns
    ]
    return at_work[-1].label if at_work else ""
