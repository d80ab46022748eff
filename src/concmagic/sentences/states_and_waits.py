"""The words of states and of waits: in the legend, in "where it went", in a box, at a lane's end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from concmagic.sentences.numbers import count, duration
from concmagic.sentences.picture import message, place

if TYPE_CHECKING:
    from concmagic.model.trace import Facts, Flow, Named, Resource, StateInterval

CATEGORY_LABELS = {
    "running": "running",
    "blocking": "blocking the loop",
    "ready": "ready, kept waiting",
    "no core": "ready, no core free",
    "each other": "waiting for each other",
    "stuck": "in a deadlock",
    "outside": "waiting outside",
    "idle": "idle",
    "starting": "starting",
    "tracing": "tracing",
    "unknown": "not recorded",
}
HANDED_OVER = "handing the recording over"
# The words of a wait in "where it went", by its reason; of others they are "waiting for REASON".
WAITS = {
    "sleep": "sleeping",
    "timer": "waiting for a timer",
    "socket": "waiting for the network",
    "select": "waiting for I/O",
    "read": "reading",
    "write": "writing",
    "disk": "waiting for the disk",
    "database": "waiting for a database",
    "subprocess": "waiting for a subprocess",
    "pipe": "waiting for a pipe",
    **dict.fromkeys(("lock", "Lock", "RLock"), "waiting for a lock"),
    "process lock": "waiting for a lock of processes",
    "file lock": "waiting for a file lock",
    "manager": "waiting for a manager",
    "Event": "waiting for an Event",
    **{kind: f"waiting for a {kind}" for kind in ("Condition", "Semaphore", "Barrier")},
    "Queue.get": "waiting for a queue (get)",
    "Queue.put": "waiting for a full queue (put)",
    "Queue.join": "waiting for a queue (join)",
    "stream read": "waiting for a stream read",
    "stream drain": "waiting for a stream drain",
    "task": "waiting for a task",
    **{how: f"waiting for tasks ({how})" for how in ("gather", "TaskGroup", "wait", "as_completed")},
    "wait_for": "waiting for a task (wait_for)",
    "eager start": "waiting for a task to begin",
    "connect": "connecting",
    "TLS handshake": "waiting for a TLS handshake",
    **{f"sock_{how}": f"waiting for the network ({how})" for how in ("recv", "sendall", "connect", "accept")},
    "executor job": "waiting for a job of an executor",
    "future": "waiting for a result",
    "server": "waiting for a server",
    "signal": "waiting for a signal",
    "input": "waiting for input",
    "connection pool": "waiting for a connection of its pool",
    "native code": "in native code",
    "thread start": "starting threads",
    "process start": "starting a process",
    "join": "waiting for an end (join)",
    "pool": "waiting for a pool",
    "result": "waiting for a result",
    "for work": "waiting for work",
    "events": "waiting for events",
    "": "waiting",
    "merged": "waiting",
    "handing over": HANDED_OVER,
}
# What a track ran, by its reason; of others as it is called.
RUNNING = {"": "computing", "imports": "importing modules"}
_READY = {"GIL": "ready, wanting the GIL", "core": "ready, wanting a core"}
STARTS = {
    "process": "a process",
    "python": "Python",
    "tracer": "its tracer",  # in a file of an earlier version
    "imports": "imports",
    "unpickling": "unpickling",
}
TRACING = {
    "recording": HANDED_OVER,
    "tracer": "starting its tracer",
    "gil": "concmagic's turn with the GIL",
}
# Parts of waits; others are called as they are.
PHASES = {"full": "(full)", "recording": "its recording is handed over"}  # the last of an earlier version
SHIELDED = "(shielded)"  # beside a task or future that is awaited through `shield`


def path_words(state: str, reason: str, phase: str) -> str:
    """Name a part of "where it went"."""
    if state == "running":
        return RUNNING.get(reason, reason)
    if state == "blocking":
        return f"blocked in {reason}" if reason else "blocked"
    if state == "ready":
        return _READY.get(reason, "ready, kept waiting")
    if state == "waiting":
        return WAITS.get(reason) or f"waiting for {reason}"
    if state == "starting":
        return f"starting {STARTS[phase]}" if phase in STARTS else "starting"
    if state == "tracing":
        return TRACING.get(phase, "tracing")
    return "not recorded"


def lane_text(state: str, reason: str, length_ns: int) -> str:
    """What stands at a lane's end: "blocking 300 ms", "sleep 1.2 s"."""
    word = "not recorded" if state == "unknown" else reason or state
    return f"{word} {duration(length_ns)}"


def state_words(state: str, reason: str, detail: str, place: str) -> str:
    """Say what a track did, as it stands in a box: "ready, loop held by blocker", "sleep 0.5 s"."""
    what = " ".join(word for word in (reason, detail) if word)
    if state == "waiting":
        return what or "waiting"
    if state == "blocking":
        return f"blocking the loop: {' '.join(word for word in (what, place) if word)}".rstrip(": ")
    if state == "unknown":
        return f"not recorded: {what}" if what else "not recorded"
    if state == "running":
        return f"running {place}" if place and not what else f"{what} {place}".strip() or "running"
    return f"{state}, {what}" if what else state


def resource_words(resource: Resource) -> str:
    """What a lock or the like is called: its name, else where it was made; "" where neither is known."""
    if resource.name or not resource.line:
        return resource.name
    made = f"made at {place(resource.file, resource.line)}"
    return made if resource.number < 2 else f"{made} ({resource.number})"


class StateWords:
    """The words for states and arrows, with the names of one trace."""

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

    def of_flow(self, flow: Flow) -> str:
        """What an arrow carries: "fib(24), 3.2 MB, pickled in 12 ms"; or the lock that was let go."""
        lock = "" if flow.resource is None else resource_words(self._resources[flow.resource])
        sent = "" if flow.size is None else message(flow.size, flow.pickled_ns)
        return ", ".join(word for word in (flow.detail, lock, sent) if word)

    def _of_step(self, _reason: str, facts: Facts) -> str:
        if facts.phase or facts.call:
            return self._merged(facts) or facts.call
        return which_threads(sorted({self.name(who) for who in facts.holders})) if facts.holders else ""

    def _of_block(self, _reason: str, facts: Facts) -> str:
        return self.name(facts.holders[0]) if facts.holders else f"in {facts.call}" if facts.call else ""

    def _of_start(self, _reason: str, facts: Facts) -> str:
        start = " of ".join(word for word in (STARTS.get(facts.phase, ""), facts.call) if word)
        return self._merged(facts) or start

    def _of_tracing(self, _reason: str, facts: Facts) -> str:
        return self._merged(facts) or TRACING.get(facts.phase, "")

    def _of_turn(self, _reason: str, facts: Facts) -> str:
        whose = self.name(facts.holders[0]) if facts.holders else ""
        return self._merged(facts) or held_by(whose, facts.more)

    @staticmethod
    def _merged(facts: Facts) -> str:
        """Of many short steps summed, whose place is not exact; or the share of many tasks."""
        if facts.phase == "steps":
            return f"{count(facts.count, 'short step')}, summed"
        return f"share of {count(facts.count, 'task')}" if facts.phase == "tasks" else ""

    def _of_wait(self, reason: str, facts: Facts) -> str:
        if merged := self._merged(facts):
            return merged
        if facts.job or (facts.resource is None and facts.waits_for and not facts.holders):
            whom = self.name(facts.waits_for[0]) if facts.waits_for else ""
            if reason == "task":
                return f"{whom} {SHIELDED}" if facts.shielded else whom
            return f"of {whom if reason == 'eager start' else facts.job or whom}"
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
            return lock_detail(name, f"{self.name(facts.waits_for[0])} itself")
        return lock_detail(name, lock_holders([self.name(who) for who in facts.holders], facts.more))

    def _of_task(self, resource: Resource | None, facts: Facts) -> list[str]:
        is_pool = resource is not None and resource.kind == "pool"
        is_future = resource is not None and resource.kind == "future"
        name = "" if resource is None else resource.name if is_future else resource_words(resource)
        return [
            f"in {name}" if is_pool else name,
            delay(facts.delay_ns),
            f"of {facts.count}" if facts.count else "",
            PHASES.get(facts.phase, facts.phase),
            f"(held by {self.name(facts.holders[0])})" if facts.holders else "",
            f"(timeout {delay(facts.limit_ns)})" if facts.limit_ns is not None else "",
            f"(made at {place(resource.file, resource.line)})"
            if is_future and resource and resource.line
            else "",
            SHIELDED if facts.shielded else "",
        ]


_MAKERS: dict[str, Callable[[StateWords, str, Facts], str]] = {
    "running": StateWords._of_step,
    "blocking": StateWords._of_block,
    "starting": StateWords._of_start,
    "tracing": StateWords._of_tracing,
    "ready": StateWords._of_turn,
    "waiting": StateWords._of_wait,
    "unknown": StateWords._of_step,
}


def delay(length_ns: int | None) -> str:
    """How long a sleep or a wait was to take: "0.5 s"."""
    return "" if length_ns is None else f"{length_ns / 1e9:g} s"


def held_by(who: str, how_many: int) -> str:
    """Who kept a task from running: one that held the loop, or many in turn."""
    if who:
        return f"held by {who}"
    return f"{count(how_many, 'step')} of others first" if how_many else ""


def lock_detail(name: str, held_by: str) -> str:
    """What was waited for, and who had it."""
    return ", ".join(part for part in (name, held_by and f"held by {held_by}") if part)


def lock_holders(names: list[str], more: int) -> str:
    """Who had a lock while another waited, in order."""
    distinct = list(dict.fromkeys(names))
    if more or len(distinct) > 3:
        return f"{distinct[-1]} last" if distinct else ""
    return " and ".join(distinct)


def lock_label(name: str, where: str) -> str:
    """How a lock is named in a sentence."""
    return f"`{name}`" if name else f"the lock at {where}" if where else "a lock"


def which_threads(names: list[str]) -> str:
    """Which threads of a process run: "worker-1", "worker-1 and worker-2", "5 threads"."""
    return " and ".join(names) if len(names) < 3 else count(len(names), "thread")
