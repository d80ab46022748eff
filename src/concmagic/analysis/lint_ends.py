"""Lints about how tracks ended, or did not, and what was forgotten: coroutines, exceptions."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from concmagic.analysis import Finding
from concmagic.analysis.metrics import Metrics
from concmagic.model.findings import LeftRunning, NeverAwaited, NeverRetrieved, ThreadDied
from concmagic.model.groups import Called
from concmagic.model.reasons import IDLE
from concmagic.model.trace import Group, State, Trace, Track
from concmagic.source_lookup import callee_of, parsed


def left_running(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """What the cell started and did not wait for."""
    idle = _workers_without_a_job(trace) | _idle_loops(trace)
    idle |= _of_servers(trace)
    left = [track for track in trace.tracks if track.id not in idle and _is_left(track)]
    if left:
        names = trace.called()
        yield Finding(
            severity="note",
            values=LeftRunning(tuple(names[track.id] for track in left), bool(trace.outcome.stopped_by)),
            tracks=tuple(track.id for track in left),
            start_ns=min(track.start_ns for track in left),
            end_ns=trace.wall_ns,
            line=left[0].line if left[0].kind == "task" and not left[0].file else 0,
        )


def exception_in_thread(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A thread ended by an exception, which nobody else sees."""
    kernel_main = _kernels_main_thread(trace)
    for track in trace.tracks:
        if track is kernel_main:  # what the cell itself raised is seen by everybody
            continue
        if track.kind == "thread" and not track.host and track.outcome.kind == "raised":
            if track.outcome.error == "SystemExit":  # the way to end a thread early
                continue
            yield Finding(
                values=ThreadDied(track.name, track.outcome),
                tracks=(track.id,),
                start_ns=track.start_ns,
                end_ns=track.end_ns or trace.wall_ns,
                line=_line_of(track),
            )


def _line_of(track: Track) -> int:
    """The last line of this cell on the way to where it died."""
    return next((one.line for one in reversed(track.traceback) if not one.file), 0)


def _kernels_main_thread(trace: Trace) -> Track | None:
    roots = {
        (track.pid, track.native_id): track.id
        for track in trace.tracks
        if track.kind == "process" and track.parent is None
    }
    for track in trace.tracks:
        root = roots.get((track.pid, track.native_id))
        if track.kind == "thread" and root is not None and track.parent == root:
            return track
    return None


def _is_left(track: Track) -> bool:
    if track.outcome.kind != "left running" or track.role != "work" or track.host:
        return False
    if track.kind == "loop" or (track.kind == "thread" and track.daemon and _only_waits(track)):
        return False  # a daemon that waits for work is made to stay
    if track.kind == "task" and track.start_ns <= 0:
        return False  # an earlier cell's, and named there
    if track.kind == "task" and _only_waits(track):
        return False  # so is a task that takes what others put into a queue
    return not (track.group and _only_waits(track))  # so is an idle worker of a pool


def _workers_without_a_job(trace: Trace) -> set[int]:
    """Pool workers whose jobs are all over; just after one they are not seen waiting for work yet."""
    busy = {job.track for job in trace.jobs if job.end_ns is None}
    free = {job.track for job in trace.jobs if job.track is not None} - busy
    at_work = {track.pid for track in trace.tracks if track.id in busy}
    # A pool's process that has no job is there for the next one, whether it had one in this cell or not.
    return free | {
        track.id
        for track in trace.tracks
        if track.kind == "process" and track.group and track.pid not in at_work
    }


def _idle_loops(trace: Trace) -> set[int]:
    """Daemon threads whose loop waits for something to do: libraries keep such a one for the next time."""
    loops = {track.parent for track in trace.tracks if track.kind == "loop"}
    return {
        track.id
        for track in trace.tracks
        if track.kind == "thread" and track.daemon and track.id in loops
        if track.states and track.states[-1].state is State.WAITING
    }


def _of_servers(trace: Trace) -> set[int]:
    """Daemon threads that wait, which nobody of this cell started: an earlier cell's server did."""
    started = {flow.target for flow in trace.flows if flow.kind == "spawn"}
    return {
        track.id
        for track in trace.tracks
        if track.kind == "thread" and track.daemon and track.id not in started
        if track.states and track.states[-1].state is State.WAITING
    }


def _only_waits(track: Track) -> bool:
    """Whether at the end it waits to be given something."""
    return not track.states or track.states[-1].reason in (*IDLE, "Queue.get")


def never_awaited(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A coroutine was made and thrown away: nothing of it ran."""
    for function, how_many in Counter(trace.unawaited).items():
        name = function.name.rpartition("<locals>.")[2]
        line = _bare_call(trace.source, name.rpartition(".")[2])
        yield Finding(
            values=NeverAwaited(name, how_many, line),
            line=line,
        )


def exception_never_retrieved(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """A task failed and nobody asked: the cell went on as if it had not."""
    groups = {group.track: group for group in trace.groups}
    for track in trace.tracks:
        # `unretrieved` is asyncio's own mark; awaiting the task, even later, or `gather` clears it.
        if track.kind != "task" or track.role != "work" or track.host or not track.unretrieved:
            continue
        if track.outcome.kind != "raised":
            continue
        yield Finding(
            values=_unseen(track, groups.get(track.id)),
            tracks=(track.id,),
            start_ns=track.start_ns,
            end_ns=track.until(trace.wall_ns),
            line=track.line if not track.file else 0,
        )


def _unseen(track: Track, group: Group | None) -> NeverRetrieved:
    if group is None:
        return NeverRetrieved(Called(track.name), track.outcome)
    return NeverRetrieved(Called(track.name, group.members), track.outcome, group.outcomes)


def _bare_call(source: str, name: str) -> int:
    """The line of the only call of this name that is a statement, not awaited; 0 if there is not one."""
    tree, shift = parsed(source)
    lines = [
        node.lineno + shift
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and callee_of(node.value) == name
    ]
    return lines[0] if len(lines) == 1 else 0
