"""The waits of tasks as states; what many of them have in common is told once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from concmagic.importing.clock_ids_places import Places, TrackIds
from concmagic.model.reasons import kind_of, kind_of_end
from concmagic.model.trace import NO_FACTS, Facts, Resource, State, StateInterval
from concmagic.records.recording import Wait

_FOR_ONE_TASK = ("task", "eager start")


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a wait."""

    reason: str
    facts: Facts
    file: str
    line: int


class TaskWaits:
    """The waits of one process's tasks."""

    def __init__(
        self,
        places: Places,
        actor: Callable[[int], int],
        ids: TrackIds,
        pid: int,
    ) -> None:
        self._places = places
        self._actor = actor  # the id of a task by its number
        self._ids = ids
        self._pid = pid
        # The log holds one Wait for all that waited alike, as long as this importer lives.
        self._told: dict[tuple[int, str], Told] = {}

    def tell(self, wait: Wait, in_pool: str = "") -> Told:
        """What is told of this wait; `in_pool` is where a job ran."""
        key = id(wait), in_pool
        told = self._told.get(key)
        if told is None:
            facts = self._facts(wait, in_pool)
            told = Told(wait.reason, facts, self._places.short(wait.file), wait.line)
            self._told[key] = told
        return told

    def state(self, start: int, end: int, wait: Wait | None, in_pool: str = "") -> StateInterval:
        """The state of a task in this wait."""
        if wait is None:
            return StateInterval(start, end, State.WAITING)
        told = self.tell(wait, in_pool)
        return StateInterval(start, end, State.WAITING, told.reason, told.facts, told.file, told.line)

    def _facts(self, wait: Wait, in_pool: str) -> Facts:
        whom = None if not wait.task else self._actor(wait.task)
        if wait.reason in _FOR_ONE_TASK:
            if whom is None and wait.detail:
                whom = self._ids.other(wait.detail)
            facts = Facts(waits_for=() if whom is None else (whom,), shielded=wait.shielded)
        else:
            others = () if whom is None else (whom,)
            facts = Facts(
                self._resource(wait, in_pool),
                others,
                others,
                count=wait.count,
                delay_ns=wait.delay_ns,
                limit_ns=wait.limit_ns,
                phase=wait.phase,
                shielded=wait.shielded,
            )
        return NO_FACTS if facts == NO_FACTS else facts

    def _resource(self, wait: Wait, in_pool: str) -> int | None:
        """What is waited for: a lock or the like, a pool, another program or host."""
        file, line = wait.made
        if wait.name or line:
            found = Resource(kind_of(wait.reason), wait.name, self._places.short(file) if line else "", line)
        elif wait.detail:
            found = Resource(kind_of_end(wait.reason), wait.detail)
        elif in_pool and wait.reason == "executor job" and not wait.phase:
            found = Resource("pool", in_pool)
        else:
            return None
        return self._ids.resources.number(found, self._pid)
