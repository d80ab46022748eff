"""The jobs that this process runs for a pool of processes, of which no messages are kept: their sums."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.recording.children.process_jobs import job_label, outcome_of
from concmagic.records.job_stretches import JobStretches

if TYPE_CHECKING:
    from concmagic.records.threads import JobRecord

_KEPT = -1  # instead of its start: the messages tell it


class WorkerJobs:
    """Which job each thread is at, and what came of those that nothing else tells of."""

    def __init__(self, began_ns: int) -> None:
        self._stretches = JobStretches(began_ns)
        self._local = threading.local()

    def taken(self, value: Any, is_kept: bool) -> None:
        """The calling thread has been given a job; `is_kept` says that its message is."""
        self._local.start_ns = _KEPT if is_kept else monotonic_ns()
        self._local.call = None if is_kept else _call_of(value)

    def ended(self, now_ns: int, result: Any) -> bool:
        """It sends a result. Whether the job is told by its sums only."""
        start_ns = getattr(self._local, "start_ns", _KEPT)
        if start_ns == _KEPT:
            return False
        call, self._local.start_ns, self._local.call = self._local.call, _KEPT, None
        self._stretches.add(start_ns, start_ns, now_ns, outcome_of(result), lambda: job_label(*call))
        return True

    def records(self) -> tuple[JobRecord, ...]:
        """One per stretch of time."""
        return tuple(self._stretches.records(0, os.getpid()))


def _call_of(value: Any) -> tuple[Any, Any, Any]:
    """Function and arguments of a job as a Pool or an executor sends it."""
    if type(value) is tuple and len(value) == 5:
        return value[2:]
    return getattr(value, "fn", None), getattr(value, "args", ()), getattr(value, "kwargs", {})
