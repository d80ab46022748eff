"""What each stretch is drawn as where the report knows more than the stretch itself: waits of a deadlock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from concmagic.model.categories import Category, category_of
from concmagic.model.trace import StateInterval
from concmagic.report import Stuck

_FOR_WORDS = 0.35  # of the time


class DrawnAs:
    """The category of each interval of a track."""

    def __init__(self, stuck: Sequence[Stuck]) -> None:
        self._stuck = frozenset((one.track, one.start_ns) for one in stuck)

    def __call__(self, track: int, interval: StateInterval) -> Category:
        if self._stuck and (track, interval.start_ns) in self._stuck:
            return Category.STUCK
        return category_of(interval)


class Need(NamedTuple):
    """An arrow of a deadlock: a track that waits, the one that it needs, and where the arrow is to stand."""

    track: int
    whom: int
    at_ns: float


def needs(stuck: Sequence[Stuck]) -> list[Need]:
    """The arrows of all deadlocks, beside each other late in the time in which all of their waits go on.

    Boxes have their words at their begin.
    """
    begun = max((one.start_ns for one in stuck), default=0)
    until = max(min((one.end_ns for one in stuck), default=0), begun)
    since = begun + _FOR_WORDS * (until - begun)
    found = [(one.track, one.whom) for one in stuck if one.whom is not None]
    apart = (until - since) / (len(found) + 1)
    return [Need(track, whom, since + apart * (number + 1)) for number, (track, whom) in enumerate(found)]
