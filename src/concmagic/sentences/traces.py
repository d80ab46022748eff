"""Words for tracks, states and outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from concmagic.sentences.numbers import byte_count, duration
from concmagic.sentences.picture import place

EVENT_LOOP = "event loop"
JOB_LOST = "lost: its process ended first"
ENDED_BY = {"pool": "ended by its pool", "cell": "ended by the cell", "interrupt": "ended by the interrupt"}


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


def message(size: int, pickled_ns: int, job: str = "") -> str:
    """What an arrow carries: "fib(24), 3.2 MB, pickled in 12 ms"."""
    pickled = f"pickled in {duration(pickled_ns)}" if pickled_ns >= 100_000 else ""
    return ", ".join(part for part in (job, byte_count(size), pickled) if part)


def started_with(size: int, pickled_ns: int) -> str:
    """What was sent to a child to start it."""
    return message(size, pickled_ns) if size else ""


def evidence_unreadable(what: str, error: BaseException) -> str:
    """Say which evidence could not be read."""
    return f"The recorded {what} could not be read ({type(error).__name__}: {error})."
