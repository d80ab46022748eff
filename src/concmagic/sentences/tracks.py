"""Tracks: names, outcomes and messages; threads, the GIL and locks, and what was not seen of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from concmagic.sentences.numbers import byte_count, count, duration, percent
from concmagic.sentences.picture import place

if TYPE_CHECKING:
    from concmagic.model.trace import Function, LoopSteps, Named, Outcome, Trace, Track
    from concmagic.problems import Problem


class TrackWords:
    """What tracks are called and how they ended, in words; with the names of one trace."""

    def __init__(self, trace: Trace, named: Named) -> None:
        self._names = named.names
        self._loops = {one.track: one for one in trace.loops}
        self._groups = {one.track: one for one in trace.groups}

    def name(self, track: Track) -> str:
        """What its lane is called; of many alike tasks with their number: "fetch × 90,000"."""
        group = self._groups.get(track.id)
        return track.name if group is None else group_of_tasks(track.name, group.members)

    def detail(self, track: Track) -> str:
        """What is said beside how it ended: the exception, who cancelled it; of a loop its longest step."""
        loop, group = self._loops.get(track.id), self._groups.get(track.id)
        if loop is not None:
            return of_loop(loop, self._name(loop.longest_of))
        error = track.outcome.message
        if group is not None:
            error = all_outcomes(group.outcomes, error)
        if track.problems:
            return start_failed(track.problems)
        return error or cancelled_by(CANCELLERS.get(track.stopped_by, "") or self._name(track.cancelled_by))

    def raised_in(self, track: Track) -> str:
        """The traceback of a task, in one line; those of threads stand in their findings."""
        return raised_in(track.outcome.traceback) if track.kind == "task" else ""

    def _name(self, who: int | None) -> str:
        return "" if who is None else self._names.get(who, "")


def of_loop(steps: LoopSteps, whose: str) -> str:
    """The longest step of a loop, and how long its tasks were ready before theirs."""
    told = longest_step(steps.longest_ns, whose)
    p50, p99, most = steps.delay_p50_ns, steps.delay_p99_ns, steps.delay_max_ns
    return (
        told if p50 is None or p99 is None or most is None else f"{told} · {scheduling_delay(p50, p99, most)}"
    )


def start_failed(problems: Sequence[Problem]) -> str:
    """Why a process never ran what it was started for."""
    return "; ".join(problem.message.rstrip(".") for problem in problems)


def longest_step(length_ns: int, who: str) -> str:
    """The longest step or callback of a loop."""
    return f"longest step {duration(length_ns)}" + (f" ({who})" if who else "")


def scheduling_delay(p50_ns: float, p99_ns: float, max_ns: int) -> str:
    """How long tasks were ready before they had their step."""
    delays = f"p50 {duration(p50_ns)}, p99 {duration(p99_ns)}, at most {duration(max_ns)}"
    return f"ready before a step: {delays}"


# What cancels tasks and has no name.
CANCELLERS = {
    "interrupt": "the interrupt",
    "timeout": "--timeout",
    "timer": "a timer",
    "callback": "a callback",
}


def cancelled_by(who: str) -> str:
    """Who cancelled a task."""
    return f"by {who}" if who else ""


def raised_in(functions: Sequence[Function]) -> str:
    """A traceback in one line, the innermost function first."""
    return ", called at ".join(f"{place(one.file, one.line)} in {one.name}" for one in reversed(functions))


def group_of_tasks(name: str, members: int) -> str:
    """The name of many alike tasks that are one lane: "fetch × 90,000"."""
    return f"{name} × {members:,}" if members > 1 else name


def all_outcomes(outcomes: Sequence[tuple[Outcome, int]], exception: str) -> str:
    """How many of many tasks ended how, where that differs: "12 raised ValueError, 3 returned: …"."""
    if len(outcomes) < 2:
        return exception
    told = ", ".join(f"{many:,} {outcome}" for outcome, many in outcomes)
    return f"{told}: {exception}" if exception else told


def message(size: int, pickled_ns: int) -> str:
    """What was sent: "3.2 MB, pickled in 12 ms"."""
    pickled = f", pickled in {duration(pickled_ns)}" if pickled_ns >= 100_000 else ""
    return f"{byte_count(size)}{pickled}"


NO_GIL = "This Python has no GIL: its threads can compute side by side."


def in_function(file: str, line: int, function: str) -> str:
    """One step of a traceback."""
    where = f"{file}:{line}" if file else f"line {line}"
    return where if function in ("", "<module>") else f"{where} in {function}"


def way_to(functions: Sequence[Function]) -> str:
    """A traceback in one line: "line 9 in work → line 5 in parse"."""
    return " → ".join(in_function(one.file, one.line, one.name) for one in functions)


def gil_share(contended: float) -> str:
    """What stands at the end of the GIL's lane."""
    return f"contended {percent(contended)}"


def jobs_in_one(label: str, many: int) -> str:
    """Several jobs that are told as one, by the first of them."""
    return label if many == 1 else f"{label} + {many - 1:,} more"


def of_thread(native_id: int, daemon: bool, switches: tuple[int, int] | None) -> str:
    """What the operating system knows of a thread."""
    kind = "daemon thread" if daemon else "thread"
    if switches is None:
        return f"{kind} {native_id}"
    gave_up, lost = switches
    return f"{kind} {native_id}, left its core {count(gave_up, 'time')} by itself and lost it {count(lost, 'time')}"


def gil_handovers(times: float, per_second: float) -> str:
    """How often the GIL went to another thread."""
    return f"The GIL went to another thread {times:,.0f} times, {per_second:,.0f} times a second."


# Locks: what was not seen of them
