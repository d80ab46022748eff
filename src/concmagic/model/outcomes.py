"""How tracks and jobs end: the names of outcomes, as `reasons` has those of waits.

A name is what is shown and saved; whoever asks what one means asks here.
"""

from __future__ import annotations

RETURNED = "returned"
CANCELLED = "cancelled"
INTERRUPTED = "interrupted"
TIMED_OUT = "timed out"
DESTROYED = "destroyed"  # a task, while it waited
LEFT_RUNNING = "left running"  # it was not over when the cell was
JOB_LOST = "lost: its process ended first"
# What ends a child that has not come to its own end, by who ended it.
ENDED_BY = {"pool": "ended by its pool", "cell": "ended by the cell", "interrupt": "ended by the interrupt"}
# A cell's own, where it was stopped from outside.
STOPPED = (INTERRUPTED, "raised TimeoutError")

_RAISED, _KILLED, _EXIT = "raised ", "killed by ", "exit code "


def raised(exception: str) -> str:
    """That of what an exception of this type ended."""
    return _RAISED + exception


def is_raised(outcome: str) -> bool:
    """Whether an exception ended it."""
    return outcome.startswith(_RAISED)


def killed_by(signal: str) -> str:
    """That of a process that a signal ended."""
    return _KILLED + signal


def exited(code: int) -> str:
    """That of a process that ended by itself."""
    return f"{_EXIT}{code}" if code else RETURNED


def is_killed(outcome: str) -> bool:
    """Whether a signal ended it."""
    return outcome.startswith(_KILLED)


def is_exit_code(outcome: str) -> bool:
    """Whether it ended by itself, and told that something was wrong."""
    return outcome.startswith(_EXIT)


def is_ended_for_it(outcome: str) -> bool:
    """Whether a pool, the cell or an interrupt ended a process, as they do with what is left."""
    return outcome in ENDED_BY.values()
