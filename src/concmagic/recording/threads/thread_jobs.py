"""The jobs of thread pools during a cell: those of `concurrent.futures`, and what is known of all of them.

A ThreadPoolExecutor's job is a `_WorkItem`: made when it is submitted, by who submits it; its `run` is called
by the worker. Both methods are replaced on the class between start and stop, whatever arguments this Python
gives them (3.14 changed both). `thread_pool_jobs.py` says how those of multiprocessing's ThreadPool are seen.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import pool_internals
from concmagic.interpreter.borrowing import Patches
from concmagic.problems import Problem
from concmagic.recording import earlier
from concmagic.recording.guards import guarded, noter, watched
from concmagic.recording.labels import call_label
from concmagic.recording.threads import thread_recorder as threads
from concmagic.recording.threads.job_life import Job, PoolJob, outcome_of_future
from concmagic.recording.threads.thread_pool_jobs import ThreadPoolJobs
from concmagic.records.handed_over import JobRecord
from concmagic.records.job_stretches import MOST_JOBS, JobStretches, outcomes_of

_current: PoolJobRecorder | None = None


class PoolJobRecorder:
    """Observes the jobs of this process's thread pools from `start` to `stop`.

    The first of them are kept one by one, of the others the sums of each worker: then a job that does
    nothing costs a few microseconds only.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._jobs: list[Job] = []
        # What waits for its worker, by the id of its item: a job, or the moment at which it was submitted.
        # A later item at the same address takes the place of one that was dropped.
        self._waiting: dict[int, Job | int] = {}
        self._merged = JobStretches(monotonic_ns(), threads.note_job)
        self._submitted_later = 0  # those that were not kept one by one
        self._patches = Patches()
        self._of_thread_pools = ThreadPoolJobs(self._new, self._merged.add)

    def start(self) -> None:
        """Begin to see jobs."""
        global _current
        if _current is not None:
            _current._restore()  # the parent's, in a forked child
        _current = self
        self._of_thread_pools.start()
        kind: Any = pool_internals.thread_item_class()
        if isinstance(kind, type):
            self._patches.wrap(kind, "__init__", lambda original: watched(original, self._submitted))
            self._patches.wrap(kind, "run", partial(_running, self))
        elif kind is not None:
            pool_internals.no_item_class()

    def stop(self) -> tuple[JobRecord, ...]:
        """Put everything back and hand over one record per job or stretch, in the order of submission."""
        global _current
        self._restore()
        if _current is self:
            _current = None
        pid, now_ns = os.getpid(), monotonic_ns()
        self._of_thread_pools.tell_failed(self._jobs)
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

    def _restore(self) -> None:
        self._of_thread_pools.stop()
        self._patches.restore()

    def _new(self, make: Callable[[], PoolJob]) -> PoolJob | None:
        """A job of a pool without futures; None if only the sums of what comes now are kept."""
        if len(self._jobs) >= MOST_JOBS:
            self._submitted_later += 1
            return None
        job = make()
        self._jobs.append(job)
        return job

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
        job = Job(call_label(function, arguments, options), item.future)
        self._jobs.append(job)
        self._waiting[id(item)] = job

    def taken(self, item: Any) -> Job | int | None:
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
            outcome = outcome_of_future(item.future)
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
