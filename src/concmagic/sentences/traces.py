"""Words for tracks, states and outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from concmagic.sentences.numbers import byte_count, count, duration
from concmagic.sentences.picture import place

EVENT_LOOP = "event loop"
STARTING_PYTHON = "Python"
UNPICKLING = "unpickling"
IMPORTS = "imports"
NEW_PROCESS = "a process"
OUR_IMPORTS = "its tracer"
STARTS = {
    "process": NEW_PROCESS,
    "python": STARTING_PYTHON,
    "tracer": OUR_IMPORTS,
    "imports": IMPORTS,
    "unpickling": UNPICKLING,
}
# Parts of waits; others are called as they are.
PHASES = {"full": "(full)", "recording": "its recording is handed over"}
JOB_LOST = "lost: its process ended first"
ENDED_BY = {"pool": "ended by its pool", "cell": "ended by the cell", "interrupt": "ended by the interrupt"}


def delay(length_ns: int | None) -> str:
    """How long a sleep or a wait was to take: "0.5 s"."""
    return "" if length_ns is None else f"{length_ns / 1e9:g} s"


def of_so_many(how_many: int) -> str:
    """How many things a wait is for."""
    return f"of {how_many}" if how_many else ""


def held_by(who: str, how_many: int) -> str:
    """Who kept a task from running: one that held the loop, or many in turn."""
    if who:
        return f"held by {who}"
    return f"{count(how_many, 'step')} of others first" if how_many else ""


def longest_step(length_ns: int, who: str) -> str:
    """The longest step or callback of a loop."""
    return f"longest step {duration(length_ns)}" + (f" ({who})" if who else "")


def scheduling_delay(p50_ns: float, p99_ns: float, max_ns: int) -> str:
    """How long tasks were ready before they had their step."""
    delays = f"p50 {duration(p50_ns)}, p99 {duration(p99_ns)}, at most {duration(max_ns)}"
    return f"ready before a step: {delays}"


def lock_held_by(who: str) -> str:
    """Who had the lock that a task waited for."""
    return f"(held by {who})"


def at_most(limit: str) -> str:
    """How long a wait may take until its `wait_for` gives up."""
    return f"(timeout {limit})"


SHIELDED = "(shielded)"  # beside a task or future that is awaited through `shield`


def made_at(file: str, line: int) -> str:
    """Where the future that a task waited for was made."""
    return f"(made at {place(file, line)})"


def eager_start_of(task: str) -> str:
    """Which task took its first step while the one that waits created it; "eager start" stands before it."""
    return f"of {task}"


def in_pool(name: str) -> str:
    """Where an executor job ran."""
    return f"in {name}"


A_CALLBACK = {"timer": "a timer", "callback": "a callback", "io": "a callback"}  # who cancelled a task


def cancelled_by(who: str) -> str:
    """Who cancelled a task."""
    return f"by {who}" if who else ""


def raised_in(frames: Sequence[tuple[str, int, str]]) -> str:
    """A traceback in one line, the innermost of the frames (file, line, function) first."""
    return ", called at ".join(f"{place(file, line)} in {name}" for file, line, name in reversed(frames))


def merged_steps(how_many: int) -> str:
    """Say that a state stands for many short steps: its length is exact, its place is not."""
    return f"{count(how_many, 'short step')}, summed"


def group_of_tasks(name: str, members: int) -> str:
    """The name of many alike tasks that are one lane: "fetch × 90,000"."""
    return f"{name} × {members:,}" if members > 1 else name


def sums_of_tasks(members: int) -> str:
    """Say that a state stands for many tasks: how long they were in it together is shown as a share."""
    return f"share of {count(members, 'task')}"


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
