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


def evidence_unreadable(what: str, error: BaseException) -> str:
    """Say which evidence could not be read."""
    return f"The recorded {what} could not be read ({type(error).__name__}: {error})."


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


def jobs_merged(kept: int, later: int, outcomes: dict[str, int], running_ns: int, queued_ns: int) -> str:
    """More jobs of pools than are kept one by one."""
    done = sum(outcomes.values())
    told = f"{count(done, 'later one')} merged, with exact sums: they ran {duration(running_ns)} in all"
    told += f" and were queued for {duration(queued_ns)}" if queued_ns else ""
    failed = {outcome: many for outcome, many in outcomes.items() if outcome.startswith("raised ")}
    told += "".join(f", {many:,} {outcome}" for outcome, many in sorted(failed.items()))
    left = f"; {later - done:,} did not end" if later > done else ""
    return f"Of {count(kept + later, 'job')} of pools the first {kept:,} are told one by one, {told}{left}."


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

NO_TOOL_FOR_LOCKS = (
    "Other tools have taken every place in sys.monitoring: which lock a thread waited for is not recorded."
)


def tool_for_locks_lost(owner: str) -> str:
    """Say that the cell gave our place in sys.monitoring up."""
    whose = f"{owner} has it now" if owner else "nobody has it now"
    return (
        f"The cell took away the place in sys.monitoring by which locks are watched ({whose}): "
        "from then on waits for locks may be missing."
    )


LOCKS_OF_WITH_UNSEEN = (
    "This Python's frames cannot be read: locks taken by `with` are known from samples only."
)


def look_at_locks_failed(error: Exception) -> str:
    """Where threads stand could not be seen at a moment."""
    why = f"{type(error).__name__}: {error}"
    return f"A look at where the threads stand failed: who waited for which lock then is not known ({why})."


def locks_no_longer_watched(operations: int) -> str:
    """So many takings and lettings go that watching them would have cost too much."""
    return (
        f"After {operations:,} operations on locks they were no longer watched one by one: "
        "from then on waits for locks come from samples."
    )


def lock_waits_merged(kept: int, merged: int) -> str:
    """More waits than are kept."""
    return (
        f"The first {kept:,} waits for locks are told one by one; "
        f"{count(merged, 'later one')} only counted in the totals."
    )
