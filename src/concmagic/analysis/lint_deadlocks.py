"""The lint about waits without an end: in a circle, for one's own loop, or with nobody left to end them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from concmagic.analysis import Finding
from concmagic.analysis.lint_jobs import pool_starved
from concmagic.analysis.lint_loop import FLOOR_NS
from concmagic.analysis.metrics import Metrics
from concmagic.analysis.wait_chains import Link, chains, endless_waits, links_of
from concmagic.model.findings import Deadlock, WaitLink
from concmagic.model.reasons import IDLE
from concmagic.model.trace import Named, State, StateInterval, Trace, Track

STOOD_NS = 100_000_000  # who has just been woken may still stand where it waited, and want the GIL or a core


def deadlock(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Tasks or threads waited for each other, or for what only they could do."""
    own = [*_own_loops(trace)]
    yield from own
    # A cell that ended by itself has shown that nobody else waited for ever.
    if not trace.outcome.stopped_by:
        return
    circles = [*_circles(trace)]
    yield from circles
    if not own and not circles:
        yield from _nobody_left(trace, metrics)


def _circles(trace: Trace) -> Iterator[Finding]:
    told: set[frozenset[int]] = set()
    for chain in chains(trace):
        links = [link for link in chain.links if link.track in chain.cycle]
        if not chain.cycle or frozenset(chain.cycle) in told or _is_own_loops(links):
            continue
        told.add(frozenset(chain.cycle))
        yield _finding(trace, Deadlock(tuple(link.values for link in links)), chain.cycle)


def _is_own_loops(links: Sequence[Link]) -> bool:
    return len(links) == 1 and links[0].values.wait.reason == "result"


def _own_loops(trace: Trace) -> Iterator[Finding]:
    """A thread waited for what the event loop has to run that itself runs: also if a timeout ended that."""
    for track in trace.tracks:
        if track.kind != "thread":
            continue
        # Where it was stopped there it was seen there, however short it was.
        least = FLOOR_NS if trace.stop is None else 0
        waits = [one for one in track.states if _is_for_itself(one, track.id) and one.length_ns >= least]
        if not waits:
            continue
        worst = max(waits, key=lambda one: one.length_ns)
        whose = _step_of(trace, track, worst)
        values = Deadlock(
            (WaitLink(whose.name, worst, whose is track, whose.name, Named.of(trace)),),
            "own loop",
            sum(one.length_ns for one in waits),
            trace.wall_ns,
            is_over=not trace.outcome.stopped_by,
        )
        yield _finding(trace, values, tuple(dict.fromkeys((whose.id, track.id))))


def _is_for_itself(one: StateInterval, track: int) -> bool:
    return one.state is State.WAITING and one.reason == "result" and one.waits_for == (track,)


def _step_of(trace: Trace, thread: Track, wait: StateInterval) -> Track:
    """The task in whose step the thread waited; the thread itself, where it is a callback's."""
    until = wait.end_ns if trace.stop is None else max(wait.end_ns, trace.stop.at_ns)
    for track in trace.tracks:
        if track.kind == "task" and (track.pid, track.native_id) == (thread.pid, thread.native_id):
            for one in track.states:
                if one.state is State.BLOCKING and one.start_ns < until and wait.start_ns < one.end_ns:
                    return track
    return thread


def _nobody_left(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
    """Every thread of the cell was in a wait without a timeout that only another could end."""
    stop = trace.stop
    if stop is None or stop.others:
        return
    waits = endless_waits(trace)
    threads = [track for track in trace.tracks if track.kind == "thread" and not _is_of_a_child(trace, track)]
    living = [track for track in threads if track.start_ns <= stop.at_ns < track.until(trace.wall_ns + 1)]
    if any(track.id not in waits and not _only_serves(track, stop.endless) for track in living):
        return
    stuck = {track.id: waits[track.id] for track in living if track.id in waits and track.role == "work"}
    # One alone may wait for what is no thread; not if those that it had are gone.
    if len(stuck) < 2 and not any(_is_gone(track, stop.at_ns) for track in threads):
        return
    # A pool whose workers wait for its own jobs has a sentence that says more.
    if not stuck or any(pool_starved(trace, metrics)):
        return
    since = max(one.start_ns for one in stuck.values())
    if stop.at_ns - since >= STOOD_NS:
        links = tuple(link.values for link in links_of(trace, stuck))
        yield _finding(trace, Deadlock(links, "nobody left"), tuple(stuck))


def _is_of_a_child(trace: Trace, track: Track) -> bool:
    """Whether it is a thread of another process, which no lock of Python's reaches."""
    return any(
        one.kind == "process" and one.parent is not None and one.pid == track.pid for one in trace.tracks
    )


def _only_serves(track: Track, endless: Sequence[int]) -> bool:
    """Whether it acts only if it is given something: an idle worker, a pool's own thread."""
    is_idle = bool(track.states) and track.states[-1].reason in IDLE
    return track.id in endless and (track.role == "machinery" or is_idle)


def _is_gone(track: Track, at_ns: int) -> bool:
    return track.role == "work" and not track.host and track.end_ns is not None and track.end_ns < at_ns


def _finding(trace: Trace, values: Deadlock, tracks: Sequence[int]) -> Finding:
    """From when on all of them waited."""
    since = max(link.wait.start_ns for link in values.links)
    end = values.links[0].wait.end_ns if values.kind == "own loop" else trace.wall_ns
    return Finding(
        values=values,
        cost_s=(values.lasted_ns or end - since) / 1e9,
        tracks=tuple(tracks),
        start_ns=since,
        end_ns=end,
        line=next((link.wait.line for link in values.links if not link.wait.file), 0),
    )
