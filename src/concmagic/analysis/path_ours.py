"""What a wait would have been for without what is ours at the end of whom it was for.

A child hands over once its own work is done, and whoever joins it waits for that, too. On a busy machine that
takes longer than what lies between the ends of two children: then the one that was done last is not the one
that ends last. The path goes to the former; what lies between is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from concmagic.analysis.path_lookup import NOTICED_LATE_NS, Ended, Index
from concmagic.model.reasons import JOINING
from concmagic.model.trace import Flow, State, StateInterval, Track

_OF_ENDS = ("join", "result")  # flows from who is done with something to who wanted that
_MOST_OTHERS = 64  # before and after
_AT_ONCE_NS = 20_000_000  # on a busy machine
_AT_AN_END = (State.TRACING, State.UNKNOWN)


def without_ours(
    index: Index, started: Ended, track: Track, wait: StateInterval, at: int, source: Track, moment: int
) -> tuple[Track, int]:
    """Who would have ended this wait, and when; the waiter itself: it would not have had to wait.

    `source` did, at that moment; `at` is where in the wait the path has come to. Of those that the waiter had
    `started` some had ended before it came to join them, which is no wait and tells nothing.
    """
    done = _done(index, source, moment)
    if done >= moment or wait.reason not in JOINING:
        return source, moment
    ended = [
        (_done(index, one, one.end_ns or 0), one)
        for one in started.between(done, at, _MOST_OTHERS)
        if not one.daemon  # nobody has to wait for those
    ]
    known = [*_others(index, track, wait, at), *ended]
    others = [(when, other) for when, other in known if done < when <= at]
    if others:
        when, other = max(others, key=lambda pair: pair[0])
        return other, when
    return (track, wait.start_ns) if done <= wait.start_ns else (source, moment)


def _others(index: Index, track: Track, wait: StateInterval, at: int) -> Iterator[tuple[int, Track]]:
    """Whose end or result it wanted next, too: those that came meanwhile or soon, and when each was done."""
    for flow in islice(index.flows_back(track, at), _MOST_OTHERS):
        if flow.target_ns <= wait.start_ns:
            break
        yield from _of_end(index, flow)
    for flow in islice(index.flows_on(track, at), _MOST_OTHERS):
        if not _is_next(index, track, at, flow.target_ns):
            break
        yield from _of_end(index, flow)


def _of_end(index: Index, flow: Flow) -> Iterator[tuple[int, Track]]:
    source = index.tracks.get(flow.source)
    if source is not None and flow.kind in _OF_ENDS:
        yield _done(index, source, flow.source_ns), source


def _is_next(index: Index, track: Track, since: int, until: int) -> bool:
    """Whether it came to that at once: it waited for nothing else in between, and did not do much."""
    waited = ran = 0
    for one in index.between(track, since, until):
        length = min(one.end_ns, until) - max(one.start_ns, since)
        if one.state is State.WAITING and one.reason not in JOINING:
            waited += length
        elif one.state is State.RUNNING:
            ran += length
    return waited <= NOTICED_LATE_NS and ran <= _AT_ONCE_NS


def _done(index: Index, track: Track, moment: int) -> int:
    """When a track was done with its own work: before what is ours, if that came last until this moment."""
    at, done = moment, moment
    while (one := index.before(track, at)) is not None and one.state in _AT_AN_END:
        at = one.start_ns
        if one.state is State.TRACING:
            done = at
    return done
