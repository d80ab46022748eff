"""The waits of tasks as states; what many of them have in common is told once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from concmagic.importing.places import Places
from concmagic.importing.tasks.step_evidence import delay_ns
from concmagic.importing.tasks.task_words import wait_detail
from concmagic.model.trace import State, StateInterval
from concmagic.records.recording import Wait


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a wait, and of a sleep how long it was to be."""

    reason: str
    detail: str
    file: str
    line: int
    delay_ns: int


class TaskWaits:
    """The waits of one process's tasks."""

    def __init__(self, places: Places, names: Mapping[int, str]) -> None:
        self._places = places
        self._names = names
        # The log holds one Wait for all that waited alike, as long as this importer lives.
        self._told: dict[tuple[int, str], Told] = {}

    def tell(self, wait: Wait, in_pool: str = "") -> Told:
        """What is told of this wait; `in_pool` is where a job ran."""
        key = id(wait), in_pool
        told = self._told.get(key)
        if told is None:
            detail = wait_detail(wait, self._names.get(wait.task or 0, ""), in_pool, self._places)
            delay = delay_ns(wait.detail) if wait.reason == "sleep" else 0
            told = Told(wait.reason, detail, self._places.short(wait.file), wait.line, delay)
            self._told[key] = told
        return told

    def state(self, start: int, end: int, wait: Wait | None, in_pool: str = "") -> StateInterval:
        """The state of a task in this wait."""
        if wait is None:
            return StateInterval(start, end, State.WAITING)
        told = self.tell(wait, in_pool)
        return StateInterval(start, end, State.WAITING, told.reason, told.detail, told.file, told.line)
