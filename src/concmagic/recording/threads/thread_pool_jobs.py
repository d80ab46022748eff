"""The jobs of `multiprocessing.pool.ThreadPool`, which is `multiprocessing.dummy.Pool`, too.

What such a pool hands to a worker is a tuple with a function and its arguments, and the worker calls one with
the other. So while a cell is observed, the tuple says to call a C function with an argument that the worker
has made as it begins: `max` of the one value that `map` gets by calling what a generator yields. The
generator is resumed when that call returned, and closed when it raised. It is not on the stack meanwhile, and
the user's function has no frame of ours above or below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial, wraps
from operator import call
from threading import get_native_id
from types import ModuleType
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import pool_internals
from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.frames_and_threads import hide_frame
from concmagic.recording.children.process_jobs import job_label, job_words
from concmagic.recording.guards import guarded, noter, unseen
from concmagic.recording.labels import cut
from concmagic.recording.threads.job_life import Job, PoolJob
from concmagic.recording.time_budget import Meter, WithinBudget
from concmagic.records.job_stretches import MOST_JOBS

_AROUND = 40.0  # what the worker does of it, and what stands around it here, in calls of a function
RAISED = "raised Exception"  # until it is known which

New = Callable[[Callable[[], PoolJob]], PoolJob | None]
Merge = Callable[[int, int, int, str, Callable[[], str]], None]


class ThreadPoolJobs:
    """Sees them from `start` to `stop`, also those of pools that are older."""

    def __init__(self, new: New, merge: Merge, pace: WithinBudget) -> None:
        self._pace = pace
        self._meter = Meter(pace.budget, _AROUND)
        self._new = new
        self._merge = merge  # adds up a job that is not kept
        self._active = False
        self._errors: dict[tuple[int, int], str] = {}  # what jobs raised, by the job's number and place
        self._patches = Patches()
        self._imports = ExitStack()

    def start(self) -> None:
        """Begin to see jobs."""
        self._active = True
        for name in pool_internals.THREAD_POOLS:
            self._imports.enter_context(on_import(name, self._watch))

    def stop(self) -> None:
        """Put everything back; what waits in a pool tells nothing any more."""
        self._active = False
        self._imports.close()
        self._patches.restore()

    def tell_failed(self, jobs: Iterable[Job]) -> None:
        """Give the jobs that raised something what that was."""
        for job in jobs:
            if isinstance(job, PoolJob) and job.outcome == RAISED:
                job.outcome = self._errors.get((job.number, job.place), RAISED)

    def _watch(self, module: ModuleType) -> None:
        pool = module.ThreadPool
        self._patches.wrap(pool, pool_internals.TASKS, partial(_mapping, self))
        self._patches.wrap(pool, "apply_async", partial(_applying, self))
        for kind in pool_internals.result_classes(module):
            self._patches.wrap(kind, pool_internals.SET, partial(_setting, self))

    def note_error(self, job: Any, place: int, error: BaseException) -> None:
        """A job's result is about to be what it raised."""
        if len(self._errors) < MOST_JOBS:
            key = pool_internals.number_of(job), place
            self._errors[key] = f"raised {cut(type(error).__qualname__)}"

    def task(self, submission: tuple[int, int], task: tuple[Any, ...]) -> tuple[Any, ...]:
        """What a worker is given instead of this task."""
        meter = self._meter
        meter.left -= 1
        timed = meter.begin() if meter.left <= 0 else 0
        number, place, function, args, kwargs = task
        seen = self.seen(function, args, kwargs, submission, place)
        if seen is not None and seen.job is not None:
            seen.job.number = number
        if timed:
            self._pace.look(meter.end(timed))
        return task if seen is None else (number, place, max, seen, {})

    def seen(
        self, function: Any, args: Any, kwargs: Any, submission: tuple[int, int], place: int = 0
    ) -> SeenTask | None:
        """A task that tells when it is run; None if it is none of the user's, or fails before it runs."""
        is_sound = callable(function) and isinstance(args, (tuple, list)) and type(kwargs) is dict
        is_own = str(getattr(function, "__module__", "")).partition(".")[0] == "concmagic"
        if not self._active or not is_sound or is_own or pool_internals.is_failed_iterable(function):
            return None

        def make() -> PoolJob:
            job = PoolJob(job_words(function, args, kwargs), place)
            job.submitted_ns, job.submitter = submission
            return job

        job = self._new(make)
        return SeenTask(self, function, args, kwargs, submission[0], job)

    def begun(self, seen: SeenTask) -> int:
        """On the worker, before the function is called."""
        if self._active and seen.job is not None:
            seen.job.begin()
        return monotonic_ns()

    def ended(self, seen: SeenTask, start_ns: int, outcome: str) -> None:
        """On the worker, after it."""
        if not self._active:
            return
        if seen.job is not None:
            seen.job.end_as(outcome)
        else:
            label = partial(job_label, seen.function, seen.args, seen.kwargs)
            self._merge(seen.submitted_ns, start_ns, monotonic_ns(), outcome, label)


class SeenTask:
    """Stands for the arguments of a task: they are asked for as the worker begins it."""

    __slots__ = ("args", "function", "job", "kwargs", "of", "submitted_ns")

    def __init__(
        self,
        of: ThreadPoolJobs,
        function: Any,
        args: Any,
        kwargs: Any,
        submitted_ns: int,
        job: PoolJob | None,
    ) -> None:
        self.of = of
        self.function, self.args, self.kwargs = function, args, kwargs
        self.submitted_ns = submitted_ns
        self.job = job

    def __iter__(self) -> Iterator[Any]:
        return iter((map(call, _steps(self)),))


def _steps(seen: SeenTask) -> Iterator[Any]:
    note = noter(seen.function)
    start_ns = guarded(partial(seen.of.begun, seen), note) or 0
    outcome = RAISED
    try:
        yield partial(seen.function, *seen.args, **seen.kwargs)
        outcome = "returned"
    finally:
        guarded(partial(seen.of.ended, seen, start_ns, outcome), note)


def _mapping(jobs: ThreadPoolJobs, original: Any) -> Any:
    note = noter(original)

    @wraps(original)
    def tasks(pool: Any, *arguments: Any) -> Any:
        submission = submission_here()

        def seen(task: Any) -> Any:
            return guarded(partial(jobs.task, submission, task), note) or task

        return map(seen, original(pool, *arguments))

    return tasks


def _applying(jobs: ThreadPoolJobs, original: Any) -> Any:
    note = noter(original)

    @wraps(original)
    def apply_async(pool: Any, func: Any, args: Any = (), kwds: Any = {}, *more: Any, **named: Any) -> Any:  # noqa: B006
        seen = guarded(lambda: jobs.seen(func, args, kwds, submission_here()), note)
        try:
            if seen is None:
                return original(pool, func, args, kwds, *more, **named)
            result = original(pool, max, seen, {}, *more, **named)
        except BaseException as error:
            hide_frame(error)
            raise
        if seen.job is not None:
            seen.job.number = pool_internals.number_of(result)
        return result

    return apply_async


def _setting(jobs: ThreadPoolJobs, original: Any) -> Any:
    """Before the result is set: whoever waits for it may end the recording at once."""
    note = noter(original)

    @wraps(original)
    def _set(job: Any, place: int, value: tuple[bool, Any]) -> None:
        if not value[0]:
            guarded(partial(jobs.note_error, job, place, value[1]), note)
        original(job, place, value)

    return unseen(_set)


def submission_here() -> tuple[int, int]:
    """When and on which thread a job is submitted."""
    return monotonic_ns(), get_native_id()
