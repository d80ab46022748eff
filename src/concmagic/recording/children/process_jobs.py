"""The jobs that this process gives to pools of processes: who submitted them, when, and what became of them.

Where and when a job ran is told by the worker that received it, as a message (`messages.py`).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import pool_internals
from concmagic.interpreter.borrowing import Patches, on_import
from concmagic.interpreter.known_functions import hands_tasks, is_batch, is_chunk, is_list_of_tasks
from concmagic.recording.guards import Gate, watched
from concmagic.recording.labels import call_label
from concmagic.records.job_stretches import JobStretches

if TYPE_CHECKING:
    from concmagic.records.handed_over import JobRecord, SentJob


_EXECUTORS = (
    "concurrent.futures.process",
    "loky.process_executor",
    "joblib.externals.loky.process_executor",
)
_LOKY_QUEUES = ("loky.backend.queues", "joblib.externals.loky.backend.queues")
_MAPPED = ("mapstar", "starmapstar")


MOST_JOBS = 5_000  # that are told one by one; their workers add up what they do of the others
LATER = -1
_KEPT = -1  # instead of its start: the messages tell it


class _Job:
    """One job, by numbers and text only; its future by weak reference."""

    __slots__ = ("future", "is_sent", "items", "label", "queued_ns", "queuer", "submitted_ns", "submitter")

    def __init__(self, words: tuple[str, int], submitted_ns: int, submitter: int, future: Any = None) -> None:
        self.label, self.items = words
        self.submitted_ns = submitted_ns
        self.submitter = submitter
        self.future = None if future is None else weakref.ref(future)
        self.is_sent = False
        self.queued_ns, self.queuer = submitted_ns, submitter

    def record(self) -> SentJob:
        """What is known of it now."""
        from concmagic.records.handed_over import SentJob  # its class is made late: a child waits

        outcome = self._by_future()
        queued = self.queued_ns, self.queuer
        return SentJob(self.label, self.submitted_ns, self.submitter, outcome, *queued, self.items)

    def _by_future(self) -> str:
        future = self.future() if self.future is not None else None
        if future is None:
            return ""
        if future.cancelled():
            return "cancelled"
        if not future.done():
            return "left running" if self.is_sent else "not started"
        error = future.exception()
        return "returned" if error is None else f"raised {type(error).__qualname__}"


class ProcessJobs:
    """Jobs of multiprocessing's pools and of executors, from `start` to `stop`."""

    def __init__(self, begins: Callable[[], None] = lambda: None, gate: Gate | None = None) -> None:
        self._gate = gate  # closed while none is told one by one
        self.most = MOST_JOBS
        self.has_any = False
        self._begins = begins  # called as one is submitted
        self._jobs: list[_Job] = []
        self.later = 0  # jobs that are only counted
        self._submitted: dict[int, tuple[int, int]] = {}  # number of a Pool's job → when, by whom
        self._by_options: dict[int, int] = {}  # id of a work item's keyword arguments → index
        self._by_call: dict[int, int] = {}  # id of the item in an executor's queue → index
        self._patches = Patches()
        self._imports = ExitStack()

    def start(self, watch_loky: Callable[[Any], None]) -> None:
        """Begin to see jobs."""
        from multiprocessing import pool

        for kind in (pool.ApplyResult, pool.IMapIterator):
            self._patches.wrap(kind, "__init__", lambda one: watched(one, self._of_a_pool))
        for name in _EXECUTORS:
            self._imports.enter_context(on_import(name, self._watch_executor))
        for name in _LOKY_QUEUES:
            self._imports.enter_context(on_import(name, watch_loky))

    def stop(self) -> None:
        """Put everything back."""
        self._imports.close()
        self._patches.restore()

    def records(self) -> tuple[SentJob, ...]:
        """All jobs, in the order in which they were submitted to executors or sent by pools."""
        return tuple(job.record() for job in self._jobs)

    def job_of(self, value: Any, caller: FrameType | None) -> int | None:
        """The index of the job that is being pickled, if it is one; LATER, if it is only counted."""
        kind = type(value)
        if pool_internals.is_sent_item(value):
            index = self._by_call.pop(id(value), LATER if self.later else None)
        elif kind is tuple and len(value) == 5 and hands_tasks(caller):
            index = self._sent_by_pool(*value)
        else:
            return None
        if index is not None and index >= 0:
            self._jobs[index].is_sent = True
        return index

    def _watch_executor(self, module: Any) -> None:
        classes = pool_internals.item_classes(module)
        if classes is None:
            return  # it is being imported just now, or has changed
        item, call = classes
        self._patches.wrap(item, "__init__", lambda one: watched(one, self._submitted_to_executor))
        self._patches.wrap(call, "__init__", lambda one: watched(one, self._queued, None, self._gate))

    def _submits(self) -> None:
        self.has_any = True
        self._begins()

    def _of_a_pool(
        self, told: None, result: None, job: Any, pool: Any, *arguments: Any, **options: Any
    ) -> None:
        self._submits()
        if len(self._jobs) < self.most and not pool_internals.is_of_threads(pool):
            self._submitted[pool_internals.number_of(job)] = monotonic_ns(), threading.get_native_id()

    def _submitted_to_executor(
        self, told: None, result: None, item: Any, future: Any, fn: Any, args: Any, kwargs: Any
    ) -> None:
        self._submits()
        if len(self._jobs) >= self.most:
            self.later += 1
            return
        words = job_words(fn, args, kwargs)
        # Every submission makes a dictionary of its own, and the queue's item has the very same one.
        self._by_options[id(kwargs)] = len(self._jobs)
        self._jobs.append(_Job(words, monotonic_ns(), threading.get_native_id(), future))

    def _queued(
        self, told: None, result: None, call: Any, work_id: int, fn: Any, args: Any, kwargs: Any
    ) -> None:
        index = self._by_options.pop(id(kwargs), None)
        if index is not None:
            self._by_call[id(call)] = index
            job = self._jobs[index]
            job.queued_ns, job.queuer = monotonic_ns(), threading.get_native_id()

    def _sent_by_pool(self, number: int, part: int, function: Any, args: Any, kwargs: Any) -> int:
        if len(self._jobs) >= self.most:
            self.later += 1
            return LATER
        submitted_ns, submitter = self._submitted.get(number, (monotonic_ns(), 0))
        self._jobs.append(_Job(job_words(function, args, kwargs), submitted_ns, submitter))
        return len(self._jobs) - 1


def outcome_of(result: Any) -> str:
    """What a worker sends back: a Pool's (job, part, (whether it is good, value)), or an executor's item."""
    if type(result) is tuple and len(result) == 3:
        is_good, value = result[2]
        error = None if is_good else value
    else:
        error = getattr(result, "exception", None)
    if error is None:
        return "returned"
    error = getattr(error, "exc", error)  # what carries the traceback, too
    return f"raised {type(error).__qualname__}"


def job_label(function: Any, args: Any, kwargs: Any) -> str:
    """A job as a call; of a chunk of calls the first one, and how many follow."""
    return job_words(function, args, kwargs)[0]


def job_words(function: Any, args: Any, kwargs: Any) -> tuple[str, int]:
    """A job's label, and how many calls it is made of."""
    try:
        calls = _calls_in(function, args)
    except Exception:  # a label is never worth a job
        calls = []
    if not calls:
        return call_label(function, args, kwargs), 1
    label = call_label(*calls[0])
    return label if len(calls) == 1 else f"{label} + {len(calls) - 1:,} more", len(calls)


def _calls_in(function: Any, args: Any) -> list[tuple[Any, Any]]:
    """The calls that a chunk is made of: of `Pool.map`, of `Executor.map`, of joblib."""
    name = getattr(function, "__name__", "")
    if name in _MAPPED and len(args) == 1:
        inner, items = args[0]
        return [(inner, (item,) if name == "mapstar" else item) for item in items]
    if is_chunk(getattr(function, "func", None)) and len(args) == 1:
        return [(function.args[0], item) for item in args[0]]
    if is_batch(function):
        return [(item[0], item[1]) for item in function.items]
    if is_list_of_tasks(function):
        return [(function, (task,)) for task in args[0]]
    return []


class WorkerJobs:
    """Which job each thread is at, and what came of those that nothing else tells of."""

    def __init__(self, began_ns: int) -> None:
        self._stretches = JobStretches(began_ns)
        self._local = threading.local()

    def taken(self, value: Any, is_kept: bool) -> None:
        """The calling thread has been given a job; `is_kept` says that its message is."""
        if is_kept:
            self._stretches.cut()
        self._local.start_ns = _KEPT if is_kept else monotonic_ns()
        self._local.call = None if is_kept else _call_of(value)

    def ended(self, now_ns: int, result: Any) -> bool:
        """The calling thread sends a job's result. Answers whether the job is told by its sums only."""
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
