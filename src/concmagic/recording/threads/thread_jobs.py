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
from concmagic.interpreter.frames_and_threads import hide_frame
from concmagic.problems import Problem
from concmagic.recording import earlier
from concmagic.recording.guards import guarded, noter
from concmagic.recording.labels import call_label
from concmagic.recording.threads import thread_recorder as threads
from concmagic.recording.threads.job_life import Job, PoolJob, outcome_of_future
from concmagic.recording.threads.thread_pool_jobs import ThreadPoolJobs
from concmagic.recording.time_budget import Meter, TimeBudget, WithinBudget
from concmagic.records.handed_over import JobRecord
from concmagic.records.job_stretches import MOST_JOBS, JobStretches, outcomes_of

# What replacing takes beside, in calls of a function, as measured.
_AROUND_SUBMIT, _AROUND_RUN = 4.0, 6.0
NO_LIMIT_NS = 3_600_000_000_000

_current: PoolJobRecorder | None = None


def worker_of(future: Any) -> int:
    """The native id of the thread that runs the job of this future now; 0 if none is known to."""
    return _current.worker_of(future) if _current is not None else 0


class PoolJobRecorder:
    """Observes the jobs of this process's thread pools from `start` to `stop`.

    They are kept one by one for as long as there are few and the budget is not spent, of the others the sums
    of each worker: then a job that does nothing costs about a microsecond.
    """

    def __init__(self, time: TimeBudget | None = None) -> None:
        self.problems: list[Problem] = []
        self._pace = WithinBudget(time or TimeBudget(least_ns=NO_LIMIT_NS))
        self._submits = Meter(self._pace.budget, _AROUND_SUBMIT)
        self._runs = Meter(self._pace.budget, _AROUND_RUN)
        self._jobs: list[Job] = []
        # What waits for its worker, by the id of its item: a job, or the moment at which it was submitted.
        # A later item at the same address takes the place of one that was dropped.
        # None: it is none of this cell's.
        self._waiting: dict[int, Job | int | None] = {}
        self.taken = self._waiting.pop
        self.unknown: int | None = None  # what an item is that does not wait; 0: one that was only counted
        self.only_counts = False  # those that are submitted now
        self.later = 0  # those that were not kept one by one
        self._has_others = False
        self._merged = JobStretches(monotonic_ns(), self._on_stretch)
        self.adder, self.local = self._merged.adder, self._merged.local
        self._patches = Patches()
        self._of_thread_pools = ThreadPoolJobs(self._new, self._merged.add, self._pace)

    def start(self) -> None:
        """Begin to see jobs."""
        global _current
        if _current is not None:
            _current._restore()  # the parent's, in a forked child
        _current = self
        self._of_thread_pools.start()
        kind: Any = pool_internals.thread_item_class()
        if isinstance(kind, type):
            self._patches.wrap(kind, "__init__", partial(_submitting, self))
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
        if self.later:
            self.problems.append(
                Problem.of(
                    "jobs_merged",
                    len(records),
                    self.later,
                    outcomes_of(merged),
                    sum(one.running_ns for one in merged),
                    0 if self.unknown == 0 else sum(one.queued_ns for one in merged),
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
        if self._pace.is_spent or len(self._jobs) >= MOST_JOBS:
            self.later += 1
            return None
        job = make()
        self._jobs.append(job)
        return job

    def submitted(self, item: Any) -> None:
        """Note a new work item, unless it is one of concmagic's own or an earlier cell's doing."""
        meter = self._submits
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        function, arguments, options = _call_of(item)
        module = getattr(function, "__module__", "")
        if (type(module) is str and module.partition(".")[0] == "concmagic") or earlier.acts_here():
            self._has_others = True
            self._waiting[id(item)] = None
        elif self._pace.is_spent or len(self._jobs) >= MOST_JOBS:
            self.later += 1
            self._waiting[id(item)] = monotonic_ns()
        else:
            job = Job(call_label(function, arguments, options), item.future)
            self._jobs.append(job)
            self._waiting[id(item)] = job
        if timed:
            self._pace.look(meter.end(timed))
            self._only_count()

    def _only_count(self) -> None:
        """From now on, where the budget is spent; not where some jobs are none of this cell's."""
        if self._pace.is_spent and not self._has_others and not earlier.may_act():
            self.unknown = 0  # first: a worker may take one at any moment
            self.only_counts = True

    def worker_of(self, future: Any) -> int:
        """See the module's function of this name."""
        for job in reversed(self._jobs):
            if job.future() is future:
                return job.native_id if job.ended_ns is None else 0
        return 0

    def _on_stretch(self) -> None:
        threads.note_job()
        if self.only_counts:
            self._pace.look(False)
            self.only_counts = self._pace.is_spent

    def run(self, job: Job, original: Callable[[], Any], note: Callable[[BaseException], None]) -> Any:
        """Run an item that is kept one by one."""
        meter = self._runs
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        guarded(job.begin, note)
        self._merged.cut()
        if timed:
            timed -= meter.begin()
        try:
            return original()
        finally:
            if timed:
                timed += meter.begin()
            guarded(job.end, note)
            if timed:
                meter.end(timed)


def _submitting(recorder: PoolJobRecorder, original: Any) -> Any:
    note = noter(original)

    @functools.wraps(original)
    def __init__(item: Any, *args: Any, **kwargs: Any) -> None:
        try:
            original(item, *args, **kwargs)
        except BaseException as error:
            hide_frame(error)
            raise
        if recorder.only_counts:
            recorder.later += 1
            return
        try:
            recorder.submitted(item)
        except Exception as error:
            note(error)

    return __init__


def _running(recorder: PoolJobRecorder, original: Any) -> Any:
    note = noter(original)
    has_returned, local, taken = pool_internals.has_returned, recorder.local, recorder.taken

    @functools.wraps(original)
    def run(item: Any, *args: Any, **kwargs: Any) -> Any:
        job = taken(id(item), recorder.unknown)
        if job is None:  # it was submitted before the cell, or is no user's
            return original(item, *args, **kwargs)
        if isinstance(job, Job):
            if job.future() is item.future:
                return recorder.run(job, partial(original, item, *args, **kwargs), note)
            job = 0  # of one that was dropped, and this one has its address
        start_ns = monotonic_ns()
        try:
            return original(item, *args, **kwargs)
        finally:
            # In the open: a call of a function is as long as a short job.
            try:
                end_ns = monotonic_ns()
                outcome = "returned" if has_returned(item.future) else outcome_of_future(item.future)
                if outcome != "cancelled":  # else the worker only took it off the queue
                    try:
                        add = local.add
                    except AttributeError:
                        add = recorder.adder()
                    add(job or start_ns, start_ns, end_ns, outcome, _label_of, item)
            except Exception as error:
                note(error)

    return run


def _label_of(item: Any) -> str:
    return call_label(*_call_of(item))


def _call_of(item: Any) -> tuple[Any, Any, Any]:
    """Function and arguments of a work item: attributes until 3.13, one tuple from 3.14 on."""
    if hasattr(item, "fn"):
        return item.fn, item.args, item.kwargs
    task = getattr(item, "task", None)
    if isinstance(task, tuple) and len(task) == 3:
        return task
    return "", (), {}  # a subinterpreter's: already pickled
