"""The life of one job of a thread pool while it is observed: what becomes its record."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from concmagic.clock import monotonic_ns
from concmagic.interpreter import pool_internals
from concmagic.recording.labels import cut
from concmagic.recording.threads import thread_recorder as threads
from concmagic.records.handed_over import JobRecord

_CANCELLED = ("CANCELLED", "CANCELLED_AND_NOTIFIED")


class Job:
    """One job while it is observed: numbers and text, and the future by weak reference only."""

    __slots__ = (
        "ended_ns", "future", "items", "label", "native_id",
        "outcome", "started_ns", "submitted_ns", "submitter",
    )  # fmt: skip

    def __init__(self, label: str, future: Any) -> None:
        self.submitted_ns = monotonic_ns()
        self.submitter = threading.get_native_id()
        self.label = label
        self.items = 1
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
        self.end_as(outcome_of_future(self.future()))

    def end_as(self, outcome: str) -> None:
        """Note the job's end, on the worker, where its outcome is known already."""
        self.ended_ns = monotonic_ns()
        self.outcome = outcome
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
        self.outcome = outcome_of_future(future) or "left running"
        if self.outcome != "left running" and self.ended_ns is None:
            self.ended_ns = now_ns  # its result is out; its worker has not got round to `end`

    def record(self, index: int, pid: int) -> JobRecord:
        """What is known of it now."""
        return JobRecord(
            index=index,
            label=self.label,
            items=self.items,
            submitted_ns=self.submitted_ns,
            started_ns=self.started_ns,
            ended_ns=self.ended_ns,
            outcome=self.outcome,
            pid=pid if self.started_ns is not None else 0,
            native_id=self.native_id,
            submitter=self.submitter,
        )


def outcome_of_future(future: Any) -> str:
    """How a job came out; read without the future's lock, which costs more than a short job."""
    state = pool_internals.state_of(future)
    if state in _CANCELLED:
        return "cancelled"
    if state != "FINISHED":
        return ""
    error = pool_internals.error_of(future)
    return "returned" if error is None else f"raised {cut(type(error).__qualname__)}"


class PoolJob(Job):
    """One of a pool that has no future for each job, but knows it by its number and place."""

    __slots__ = ("number", "place")

    def __init__(self, words: tuple[str, int], place: int) -> None:
        super().__init__(words[0], _nobody)
        self.items = words[1]
        self.number = 0
        self.place = place

    def settle(self, now_ns: int) -> None:
        """At the cell's end: one that has not ended tells no more than whether it began."""
        if not self.outcome:
            self.outcome = "not started" if self.started_ns is None else "left running"


def _nobody() -> None: ...
