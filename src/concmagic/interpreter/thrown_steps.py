"""Whether a task's step begins with an exception, which up to Python 3.11 a tracer of calls cannot follow.

In a file of its own, which the tracer leaves out: it is asked for most wake-ups, and runs nothing of the
user's.
"""

from __future__ import annotations

from typing import Any


def throws_into(task: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether the next step of a task begins with an exception; `arguments` are its callback's."""
    try:
        if task._must_cancel or not arguments:
            return bool(task._must_cancel)
        future = arguments[0]
        # Not exception(): asking would count as having retrieved it.
        return future._exception is not None or future._state == "CANCELLED"
    except Exception:  # an exception is given itself, or it is a task or future of somebody's own
        return True
