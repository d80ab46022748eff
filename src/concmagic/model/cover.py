"""States laid over each other: the stronger evidence wins, the gaps are UNKNOWN."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Protocol, TypeVar

from concmagic.model.trace import State, StateInterval

Layer = Sequence[StateInterval]  # sorted by start, without overlap
_END = attrgetter("end_ns")


class _Stretch(Protocol):
    @property
    def start_ns(self) -> int: ...

    @property
    def end_ns(self) -> int: ...


S = TypeVar("S", bound=_Stretch)


def cover(start_ns: int, end_ns: int, *layers: Layer) -> tuple[StateInterval, ...]:
    """States from start to end without gap or overlap; of the layers, later ones win.

    What no layer tells is UNKNOWN. A track without length has no states.
    """
    if end_ns <= start_ns:
        return ()
    used = [layer for layer in layers if layer]
    if len(used) == 1 and _is_cover(used[0], start_ns, end_ns):
        return tuple(used[0])
    states: list[StateInterval] = [StateInterval(start_ns, end_ns, State.UNKNOWN)]
    for layer in used:
        states = _overlay(states, layer)
    return tuple(join_equal(states))


def _is_cover(layer: Layer, start_ns: int, end_ns: int) -> bool:
    if layer[0].start_ns != start_ns or layer[-1].end_ns != end_ns:
        return False
    return all(one.end_ns == following.start_ns for one, following in pairwise(layer))


def cut(interval: StateInterval, start_ns: int, end_ns: int) -> StateInterval:
    """The part of an interval between two times."""
    if interval.start_ns == start_ns and interval.end_ns == end_ns:
        return interval
    rest = (interval.state, interval.reason, interval.facts, interval.file, interval.line)
    return StateInterval(start_ns, end_ns, *rest)


def join_equal(states: Iterable[StateInterval]) -> list[StateInterval]:
    """Neighbours that say the same, as one."""
    joined: list[StateInterval] = []
    for interval in states:
        if joined and joined[-1].end_ns == interval.start_ns and _same(joined[-1], interval):
            joined[-1] = cut(interval, joined[-1].start_ns, interval.end_ns)
        else:
            joined.append(interval)
    return joined


def _same(one: StateInterval, other: StateInterval) -> bool:
    return (
        one.state is other.state
        and one.reason == other.reason
        and (one.facts is other.facts or one.facts == other.facts)
        and one.line == other.line
        and one.file == other.file
    )


def _overlay(base: list[StateInterval], top: Layer) -> list[StateInterval]:
    """`top` over `base`, cut to what `base` covers."""
    out: list[StateInterval] = []
    first = 0
    for below in base:
        at = below.start_ns
        while first < len(top) and top[first].end_ns <= at:
            first += 1
        index = first
        while index < len(top) and top[index].start_ns < below.end_ns:
            above = top[index]
            begin, end = max(above.start_ns, at), min(above.end_ns, below.end_ns)
            if begin > at:
                out.append(cut(below, at, begin))
            if end > begin:
                out.append(cut(above, begin, end))
                at = end
            index += 1
        if at < below.end_ns:
            out.append(cut(below, at, below.end_ns))
    return out


def overlapping(pieces: Sequence[S], start_ns: int, end_ns: int) -> Iterator[S]:
    """Those of what stands one after the other that overlap a stretch, found by bisection."""
    for index in range(bisect_right(pieces, start_ns, key=_END), len(pieces)):
        piece = pieces[index]
        if piece.start_ns >= end_ns:
            return
        yield piece


def within(layer: Layer, start_ns: int, end_ns: int) -> list[StateInterval]:
    """The parts of a layer between two times."""
    return [
        cut(piece, max(piece.start_ns, start_ns), min(piece.end_ns, end_ns))
        for piece in overlapping(layer, start_ns, end_ns)
    ]
