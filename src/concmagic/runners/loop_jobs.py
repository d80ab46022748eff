"""The jobs of one run of a `for` header: one per item, what became of each, and the list of their values."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from concmagic import sentences
from concmagic.clock import monotonic_ns
from concmagic.recording.labels import cut
from concmagic.records.recording import JobRecord
from concmagic.runners.loop_header import Source, item_label

_SHOWN_WHOLE = 12  # as many are shown before the middle is left out
_FIRST, _LAST = 6, 2
_MOST_CHARACTERS = 2_000  # of one value
_END_CHARACTERS = 200  # of them


class Results(list[Any]):
    """The values of a loop's items, in order. A list in everything but how IPython shows it."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        if cycle:
            printer.text("[...]")
            return
        with printer.group(1, "[", "]"):
            for position, value in enumerate(self._shown()):
                if position:
                    printer.text(",")
                    printer.breakable()
                if value is _GAP:
                    printer.text(sentences.more_values(len(self) - _FIRST - _LAST))
                else:
                    _print(_shortened(_text_of(value, printer)), printer)

    def _shown(self) -> list[Any]:
        if len(self) <= _SHOWN_WHOLE:
            return list(self)
        return [*self[:_FIRST], _GAP, *self[-_LAST:]]


def _text_of(value: Any, printer: Any) -> str:
    """What the printer would write for the value."""
    stream = io.StringIO()
    inner = type(printer)(
        stream,
        printer.verbose,
        printer.max_width - 1,
        "\n",
        singleton_pprinters=printer.singleton_pprinters,
        type_pprinters=printer.type_pprinters,
        deferred_pprinters=printer.deferred_pprinters,
        max_seq_length=printer.max_seq_length,
    )
    inner.stack = printer.stack  # what is being printed already, this list for one
    inner.pretty(value)
    inner.flush()
    return stream.getvalue()


def _shortened(text: str) -> str:
    left_out = len(text) - _MOST_CHARACTERS
    if left_out <= 0:
        return text
    begin = text[: _MOST_CHARACTERS - _END_CHARACTERS]
    return f"{begin}{sentences.more_characters(left_out)}{text[-_END_CHARACTERS:]}"


def _print(text: str, printer: Any) -> None:
    for number, line in enumerate(text.split("\n")):
        if number:
            printer.break_()
        printer.text(line)


_GAP = object()


class Job:
    """One item: what is run for it, when, where, and how it ended."""

    __slots__ = (
        "ended_ns",
        "error",
        "index",
        "item",
        "label",
        "native_id",
        "outcome",
        "pid",
        "started_ns",
        "submitted_ns",
        "submitter",
        "task",
        "value",
    )

    def __init__(self, index: int, item: Any, label: str) -> None:
        self.index = index
        self.item = item
        self.label = label
        self.value: Any = None
        self.error: BaseException | None = None
        self.submitted_ns = monotonic_ns()
        self.submitter = threading.get_native_id()
        self.started_ns: int | None = None
        self.ended_ns: int | None = None
        self.outcome = "not started"
        self.pid = 0
        self.native_id = 0
        self.task: int | None = None

    def begin(self) -> None:
        """Where it runs, just before its first instruction."""
        self.pid, self.native_id = os.getpid(), threading.get_native_id()
        self.outcome = "left running"
        self.started_ns = monotonic_ns()

    def end(self, value: Any, error: BaseException | None = None) -> None:
        """Where it ran, right after its last."""
        self.ended_ns = monotonic_ns()
        self.settle(value, error)

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Note how it ended."""
        self.item = None  # read, and perhaps large
        self.value, self.error = value, error
        self.outcome = "returned" if error is None else f"raised {cut(type(error).__name__)}"

    def cancel(self) -> None:
        """The job was cancelled, perhaps before it began."""
        self.item = None
        if self.started_ns is not None:
            self.ended_ns = monotonic_ns()
            self.outcome = "cancelled"

    def record(self) -> JobRecord:
        """What is known of it now."""
        return JobRecord(
            index=self.index,
            label=self.label,
            submitted_ns=self.submitted_ns,
            started_ns=self.started_ns,
            ended_ns=self.ended_ns,
            outcome=self.outcome,
            pid=self.pid,
            native_id=self.native_id,
            task=self.task,
            submitter=self.submitter,
        )


class LoopRun:
    """All jobs of one run. `stopped` is set when nothing new may start."""

    def __init__(self, names: tuple[str, ...], keep_going: bool) -> None:
        self._names = names
        self._keep_going = keep_going
        self._length: int | None = None
        self._jobs: list[Job] = []
        self._source_error: Exception | None = None
        self.stopped = False

    def jobs_of(self, source: Source) -> Iterator[Job]:
        """A job for each item, read one by one until the items end or the run is stopped."""
        items, self._length = source.items, source.length
        while not self.stopped:
            try:
                item = next(items)
            except StopIteration:
                return
            except Exception as error:
                self._fail_reading(error)
                return
            if not self.stopped:  # reading may take its time, and a job may have failed meanwhile
                yield self._new_job(item)

    async def jobs_of_async(self, source: Source) -> AsyncIterator[Job]:
        """A job for each item of an asynchronous iterable, until the run stops."""
        items = source.items
        while not self.stopped:
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            except Exception as error:
                self._fail_reading(error)
                return
            if not self.stopped:
                yield self._new_job(item)

    def ended(self, job: Job) -> None:
        """Call when a job has ended: after a failure nothing new starts."""
        if job.error is not None and not self._keep_going:
            self.stopped = True

    def records(self) -> tuple[JobRecord, ...]:
        """What is known of all jobs now."""
        return tuple(job.record() for job in self._jobs)

    def results(self) -> Results:
        """The values in order, and what a failed item raised in the place of its value."""
        return Results(job.value if job.error is None else job.error for job in self._jobs)

    @property
    def has_failed(self) -> bool:
        """Whether an item failed, or the reading of items."""
        return self._source_error is not None or any(job.error is not None for job in self._jobs)

    def raise_failure(self) -> None:
        """Raise what failed, if anything did: the first in item order, or all of it as one group."""
        errors = [_noted(job, self._length) for job in self._jobs if job.error is not None]
        if self._source_error is not None:
            errors.append(self._source_error)
        if errors and self._keep_going:
            raise BaseExceptionGroup(sentences.items_failed(len(errors), len(self._jobs)), errors)
        if errors:
            raise errors[0]

    def _new_job(self, item: Any) -> Job:
        job = Job(len(self._jobs), item, item_label(self._names, item))
        self._jobs.append(job)
        return job

    def _fail_reading(self, error: Exception) -> None:
        self._source_error = error
        self.stopped = self.stopped or not self._keep_going


def _noted(job: Job, length: int | None) -> BaseException:
    error = job.error
    assert error is not None
    note = sentences.item_note(job.index + 1, length, job.label)
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
    return error
