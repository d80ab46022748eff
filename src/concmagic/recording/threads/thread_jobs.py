"""The jobs of thread pools (`concurrent.futures.ThreadPoolExecutor`) during a cell.

A job is a `_WorkItem`: made when it is submitted, by who submits it; its `run` is called by the
worker. Both methods are replaced on the class between start and stop, whatever arguments this
Python gives them (3.14 changed both).
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from functools import partial
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import pool_internals
from concmagic.interpreter.borrowing import Patches
from concmagic.problems import Problem
from concmagic.recording import earlier
from concmagic.recording.guards import guarded, noter, watched
from concmagic.recording.labels import call_label, cut
from concmagic.recording.threads import thread_recorder as threads
from concmagic.records.handed_over import JobRecord
from concmagic.records.job_stretches import MOST_JOBS, JobStretches, outcomes_of

_CANCELLED = ("CANCELLED", "CANCELLED_AND_NOTIFIED")
_current: PoolJobRecorder | None = None


class _Job:
    """One job while it is observed: numbers and text, and the future by weak reference only."""

    __slots__ = (
        "ended_ns", "future", "label", "native_id", "outcome", "started_ns", "submitted_ns", "submitter",
    )  # fmt: skip

    def __init__(self, label: str, future: Any) -> None:
        self.submitted_ns = monotonic_ns()
        self.submitter = threading.get_native_id()
        self.label = label
        self.future = weakref.ref(future)
        self.started_ns: int | None = None
        self.ended_ns: int | None = None
        self.native_id = 0
        self.outcome = ""

    def begin(self) -> None:
        """On the worker, before the function is called."""
        threads.note_job()
        self.native_id = threading.get_native_id()
        self.started_ns = monotonic_ns()

    def end(self) -> None:
        """On the worker, after it."""
        self.ended_ns = monotonic_ns()
        self.outcome = _outcome(self.future())
        if self.outcome == "cancelled":  # the worker only took it off the queue
            self.started_ns, self.native_id = None, 0
        threads.note_job()

    def settle(self, now_ns: int) -> None:
        """At the cell's end: give a job that has not ended its outcome."""
        future = self.future()
        if self.outcome:
            return
        if self.started_ns is None:
            # Dropped without a run: that is what shutdown(cancel_futures=True) does.
            self.outcome = "cancelled" if future is None or future.cancelled() else "not started"
            return
        self.outcome = _outcome(future) or "left running"
        if self.outcome != "left running" and self.ended_ns is None:
            self.ended_ns = now_ns  # its result is out; its worker has not got round to `end`

    def record(self, index: int, pid: int) -> JobRecord:
        """What is known of it now."""
        return JobRecord(
            index=index,
            label=self.label,
            submitted_ns=self.submitted_ns,
            started_ns=self.started_ns,
            ended_ns=self.ended_ns,
            outcome=self.outcome,
            pid=pid if self.started_ns is not None else 0,
            native_id=self.native_id,
            submitter=self.submitter,
        )


class PoolJobRecorder:
    """Observes the jobs of this process's thread pools from `start` to `stop`.

    The first of them are kept one by one, of the others the sums of each worker: then a job that does
    nothing costs a few microseconds only.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._jobs: list[_Job] = []
        # What waits for its worker, by the id of its item: a job, or the moment at which it was submitted.
        # A later item at the same address takes the place of one that was dropped.
        self._waiting: dict[int, _Job | int] = {}
        self._merged = JobStretches(monotonic_ns(), threads.note_job)
        self._submitted_later = 0  # those that were not kept one by one
        self._patches = Patches()

    def start(self) -> None:
        """Begin to see jobs."""
        global _current
        if _current is not None:
            _current._patches.restore()  # the parent's, in a forked child
        _current = self
        kind: Any = pool_internals.thread_item_class()
        if isinstance(kind, type):
            self._patches.wrap(kind, "__init__", lambda original: watched(original, self._submitted))
            self._patches.wrap(kind, "run", partial(_running, self))
        elif kind is not None:
            pool_internals.no_item_class()

    def stop(self) -> tuple[JobRecord, ...]:
        """Put everything back and hand over one record per job or stretch, in the order of submission."""
        global _current
        self._patches.restore()
        if _current is self:
            _current = None
        pid, now_ns = os.getpid(), monotonic_ns()
        for job in self._jobs:
            job.settle(now_ns)
        records = [job.record(index, pid) for index, job in enumerate(self._jobs)]
        merged = self._merged.records(len(records), pid)
        if self._submitted_later:
            self.problems.append(
                Problem.of(
                    "jobs_merged",
                    len(records),
                    self._submitted_later,
                    outcomes_of(merged),
                    sum(one.running_ns for one in merged),
                    sum(one.queued_ns for one in merged),
                )
            )
        self._jobs = []
        self._waiting.clear()
        return (*records, *merged)

    def _submitted(self, told: None, result: None, item: Any, *args: Any, **kwargs: Any) -> None:
        """Note a new work item, unless it is one of concmagic's own or an earlier cell's doing."""
        function, arguments, options = _call_of(item)
        if str(getattr(function, "__module__", "")).partition(".")[0] == "concmagic":
            return
        if earlier.acts_here():
            return
        if len(self._jobs) >= MOST_JOBS:
            self._submitted_later += 1
            self._waiting[id(item)] = monotonic_ns()
            return
        job = _Job(call_label(function, arguments, options), item.future)
        self._jobs.append(job)
        self._waiting[id(item)] = job

    def taken(self, item: Any) -> _Job | int | None:
        """What is known of an item that begins; None if it was submitted before the cell or is no user's."""
        return self._waiting.pop(id(item), None)

    def run_merged(self, original: Any, item: Any, submitted_ns: int, args: Any, kwargs: Any) -> Any:
        """Run an item of which only the sums are kept."""
        start_ns = monotonic_ns()
        call = _call_of(item)
        try:
            return original(item, *args, **kwargs)
        finally:
            end_ns = monotonic_ns()
            outcome = _outcome(item.future)
            if outcome != "cancelled":  # else the worker only took it off the queue
                self._merged.add(submitted_ns, start_ns, end_ns, outcome, lambda: call_label(*call))


def _running(recorder: PoolJobRecorder, original: Any) -> Any:
    note = noter(original)

    @functools.wraps(original)
    def run(item: Any, *args: Any, **kwargs: Any) -> Any:
        job = guarded(partial(recorder.taken, item), note)
        if job is None:
            return original(item, *args, **kwargs)
        if isinstance(job, int):
            return recorder.run_merged(original, item, job, args, kwargs)
        guarded(job.begin, note)
        try:
            return original(item, *args, **kwargs)
        finally:
            guarded(job.end, note)

    return run


def _call_of(item: Any) -> tuple[Any, Any, Any]:
    """Function and arguments of a work item: attributes until 3.13, one tuple from 3.14 on."""
    if hasattr(item, "fn"):
        return item.fn, item.args, item.kwargs
    task = getattr(item, "task", None)
    if isinstance(task, tuple) and len(task) == 3:
        return task
    return "", (), {}  # a subinterpreter's: already pickled


def _outcome(future: Any) -> str:
    """How a job came out; read without the future's lock, which costs more than a short job."""
    state = pool_internals.state_of(future)
    if state in _CANCELLED:
        return "cancelled"
    if state != "FINISHED":
        return ""
    error = pool_internals.error_of(future)
    return "returned" if error is None else f"raised {cut(type(error).__qualname__)}"
