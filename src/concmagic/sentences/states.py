"""What a state says beside its reason, made from its facts: "0.5 s", "cache, held by worker-1"."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from concmagic.sentences.locks import lock_detail, lock_holders, lock_made_at, waits_for_itself
from concmagic.sentences.threads import wait_of, which_threads
from concmagic.sentences.traces import (
    PHASES,
    SHIELDED,
    STARTS,
    at_most,
    delay,
    eager_start_of,
    held_by,
    in_pool,
    lock_held_by,
    made_at,
    merged_steps,
    of_so_many,
    sums_of_tasks,
)

if TYPE_CHECKING:
    from concmagic.model.findings import Named
    from concmagic.model.trace import Facts, Resource, StateInterval


def resource_words(resource: Resource) -> str:
    """What a lock or the like is called: its name, else where it was made; "" where neither is known."""
    if resource.name or not resource.line:
        return resource.name
    made = lock_made_at(resource.file, resource.line)
    return made if resource.number < 2 else f"{made} ({resource.number})"


class StateWords:
    """The words for states, with the names of one trace."""

    def __init__(self, named: Named) -> None:
        self._resources = named.resources
        self._names = named.names
        self._tasks = named.tasks
        self._told: dict[tuple[int, str, str], tuple[Facts, str]] = {}

    def name(self, who: int) -> str:
        """What a track, or one that has none, is called."""
        return self._names.get(who, "")

    def detail(self, one: StateInterval) -> str:
        """What a state says beside its reason; "" where nothing more is known."""
        key = id(one.facts), one.reason, one.state.value
        told = self._told.get(key)
        if told is None:  # the facts are kept, so that their identity stays theirs
            told = self._told[key] = one.facts, _MAKERS[one.state.value](self, one.reason, one.facts)
        return told[1]

    def _of_step(self, _reason: str, facts: Facts) -> str:
        if facts.phase:
            return self._merged(facts)
        return which_threads(sorted({self.name(who) for who in facts.holders})) if facts.holders else ""

    def _of_block(self, _reason: str, facts: Facts) -> str:
        return self.name(facts.holders[0]) if facts.holders else f"in {facts.call}" if facts.call else ""

    def _of_start(self, _reason: str, facts: Facts) -> str:
        return self._merged(facts) or STARTS.get(facts.phase, "")

    def _of_turn(self, _reason: str, facts: Facts) -> str:
        whose = self.name(facts.holders[0]) if facts.holders else ""
        return self._merged(facts) or held_by(whose, facts.more)

    @staticmethod
    def _merged(facts: Facts) -> str:
        if facts.phase == "steps":
            return merged_steps(facts.count)
        return sums_of_tasks(facts.count) if facts.phase == "tasks" else ""

    def _of_wait(self, reason: str, facts: Facts) -> str:
        if merged := self._merged(facts):
            return merged
        if facts.job or (facts.resource is None and facts.waits_for and not facts.holders):
            whom = self.name(facts.waits_for[0]) if facts.waits_for else ""
            if reason == "task":
                return f"{whom} {SHIELDED}" if facts.shielded else whom
            return eager_start_of(whom) if reason == "eager start" else wait_of(facts.job or whom)
        resource = None if facts.resource is None else self._resources[facts.resource]
        if self._is_of_thread(facts):
            return self._of_lock(resource_words(resource) if resource else "", facts)
        return " ".join(word for word in (*self._of_task(resource, facts),) if word)

    def _is_of_thread(self, facts: Facts) -> bool:
        """Whether holders are those of a thread's lock; an asyncio lock has one, and that is a task."""
        return bool(facts.more or facts.waits_for or facts.holders) and not (
            self._tasks.issuperset(facts.holders) and facts.holders
        )

    def _of_lock(self, name: str, facts: Facts) -> str:
        if facts.waits_for and not facts.holders:
            return lock_detail(name, waits_for_itself(self.name(facts.waits_for[0])))
        return lock_detail(name, lock_holders([self.name(who) for who in facts.holders], facts.more))

    def _of_task(self, resource: Resource | None, facts: Facts) -> list[str]:
        is_pool = resource is not None and resource.kind == "pool"
        is_future = resource is not None and resource.kind == "future"
        name = "" if resource is None else resource.name if is_future else resource_words(resource)
        return [
            in_pool(name) if is_pool else name,
            delay(facts.delay_ns),
            of_so_many(facts.count),
            PHASES.get(facts.phase, facts.phase),
            lock_held_by(self.name(facts.holders[0])) if facts.holders else "",
            at_most(delay(facts.limit_ns)) if facts.limit_ns is not None else "",
            made_at(resource.file, resource.line) if is_future and resource and resource.line else "",
            SHIELDED if facts.shielded else "",
        ]


_MAKERS: dict[str, Callable[[StateWords, str, Facts], str]] = {
    "running": StateWords._of_step,
    "blocking": StateWords._of_block,
    "starting": StateWords._of_start,
    "ready": StateWords._of_turn,
    "waiting": StateWords._of_wait,
    "unknown": StateWords._of_step,
}
