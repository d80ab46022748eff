"""Tracks: names, outcomes and messages; threads, the GIL and locks, and what was not seen of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from concmagic.sentences.numbers import byte_count, count, duration, percent
from concmagic.sentences.picture import place

if TYPE_CHECKING:
    from concmagic.model.trace import Function


def longest_step(length_ns: int, who: str) -> str:
    """The longest step or callback of a loop."""
    return f"longest step {duration(length_ns)}" + (f" ({who})" if who else "")


def scheduling_delay(p50_ns: float, p99_ns: float, max_ns: int) -> str:
    """How long tasks were ready before they had their step."""
    delays = f"p50 {duration(p50_ns)}, p99 {duration(p99_ns)}, at most {duration(max_ns)}"
    return f"ready before a step: {delays}"


A_CALLBACK = {"timer": "a timer", "callback": "a callback", "io": "a callback"}  # who cancelled a task


def cancelled_by(who: str) -> str:
    """Who cancelled a task."""
    return f"by {who}" if who else ""


def raised_in(frames: Sequence[tuple[str, int, str]]) -> str:
    """A traceback in one line, the innermost of the frames (file, line, function) first."""
    return ", called at ".join(f"{place(file, line)} in {name}" for file, line, name in reversed(frames))


def group_of_tasks(name: str, members: int) -> str:
    """The name of many alike tasks that are one lane: "fetch × 90,000"."""
    return f"{name} × {members:,}" if members > 1 else name


def so_many(how_many: int, outcome: str) -> str:
    """Write "12 raised ValueError"."""
    return f"{how_many:,} {outcome}"


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
