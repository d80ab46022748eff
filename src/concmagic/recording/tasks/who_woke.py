"""Who woke a task: a wake-up belongs to the innermost step or callback that it happened in.

Read off the stream of records, which tells only that and when a task was woken (`observer.py`), together with
whose steps they are and why the tasks had waited: the records of a TaskLog.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from concmagic.interpreter.hook_parts import CANCEL_NOBODY
from concmagic.recording.tasks.bare_futures import END_OF_RUN
from concmagic.recording.tasks.loop_runs import LoopRuns
from concmagic.recording.tasks.step_records import Callback, Cause
from concmagic.recording.tasks.task_table import LoopEntry, TaskEntry, named_by_library
from concmagic.recording.tasks.waits import Ended
from concmagic.records.recording import LoopRecord, MergedSteps, TaskRecord, Wait, Wake

Step = tuple[int, int]
_LEAVES_THE_LOOP = ("raised KeyboardInterrupt", "raised SystemExit")


@dataclass(slots=True)
class _Woken:
    """A wake-up whose causer is still looked for: the innermost record that it happened in."""

    at_ns: int
    wait: int
    by: int = 0  # a task's number, or minus a callback's; 0 is nobody that was seen
    ended: bool = False  # that task woke it by having ended


@dataclass(slots=True)
class _Life:
    """One task's steps and wake-ups while they are read."""

    steps: list[Step] = field(default_factory=list)
    wakes: list[_Woken | Wake] = field(default_factory=list)
    followed: int = 0  # how many of the wake-ups a step has followed


class Reader:
    """Reads records in their order and builds what the contract wants."""

    def __init__(
        self,
        tasks: dict[int, TaskEntry],
        callbacks: list[Callback],
        ended: Callable[[int], Ended],
        stops: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._tasks = tasks
        self._callbacks = callbacks
        self._ended = ended
        self._stops = stops
        self._lives: dict[int, _Life] = {number: _Life() for number in tasks}
        self._unexplained: dict[int, list[_Woken]] = {}  # per loop, in order
        self._runs: dict[int, list[tuple[int, int, str]]] = {}
        self._timers: dict[int, list[int]] = {}  # per loop the begins of those runs that a timer asked for

    def read(self, records: Iterable[tuple[int, int, int]]) -> None:
        """Take in records; call it once with all of them."""
        finished: dict[int, int] = {}
        for at, end, number in records:
            if end == 0:
                finished[at] = number
            elif number == 0:  # taken while the recorder gave up
                continue
            elif number < 0:
                callback = self._callbacks[-number - 1]
                ended = finished.pop(callback.loop, 0)
                self._explain(callback.loop, at, ended or number, bool(ended))
                self._runs.setdefault(callback.loop, []).append((at, end, callback.name))
                if callback.timer:
                    self._timers.setdefault(callback.loop, []).append(at)
            elif end < 0:
                self._wake(at, -end, number)
            else:
                self._explain(self._tasks[number].loop, at, number)
                self._step(self._lives[number], at, end)

    def _wake(self, at: int, wait: int, number: int) -> None:
        woken = _Woken(at, wait)
        self._lives[number].wakes.append(woken)
        self._unexplained.setdefault(self._tasks[number].loop, []).append(woken)

    def _explain(self, loop: int, begin: int, by: int, ended: bool = False) -> None:
        """What happened since this step began, and is not explained yet, happened in it."""
        waiting = self._unexplained.get(loop)
        while waiting and waiting[-1].at_ns >= begin:
            woken = waiting.pop()
            woken.by, woken.ended = by, ended

    def _step(self, life: _Life, begin: int, end: int) -> None:
        wakes = life.wakes
        if life.followed < len(wakes) and wakes[life.followed].at_ns <= begin:
            life.followed += 1
        elif life.steps:
            # It yielded to the loop: ready again as soon as its step was over.
            wakes.insert(life.followed, Wake(life.steps[-1][1], "self"))
            life.followed += 1
        life.steps.append((begin, end))

    def task_records(self, merged: dict[int, list[MergedSteps]]) -> tuple[TaskRecord, ...]:
        """Every task, in the order of their numbers."""
        started: dict[int, list[TaskEntry]] = {}
        for entry in self._tasks.values():
            if entry.eager is not None and entry.starter is not None:
                started.setdefault(entry.starter, []).append(entry)
        cancellers = {} if merged else self._cancelled_unbegun()
        records = [
            self._record(entry, tuple(merged.get(n, ())), cancellers)
            for n, entry in sorted(self._tasks.items())
        ]
        return tuple([_cut(record, started.get(record.number, ())) for record in records])

    def _cancelled_unbegun(self) -> dict[int, int]:
        """Tasks that never began, and who cancelled them: nobody else ran in their loop until it was done.

        No wake-up tells that: a task that has not begun is only marked. Of two who ran it may be either.
        """
        unbegun = {
            number: life.steps[0][0]
            for number, life in self._lives.items()
            if len(life.steps) == 1 and not life.wakes and self._tasks[number].was_cancelled
        }
        told: dict[int, int] = {}
        runs = self._runs_of_loops() if unbegun else {}
        for number, begin in unbegun.items():
            entry = self._tasks[number]
            if entry.created_ns is not None:
                who = _who_ran(runs[entry.loop], entry.created_ns, begin, unbegun)
                if len(who) == 1 and who[0] > 0:
                    told[number] = who[0]
        return told

    def _runs_of_loops(self) -> dict[int, list[tuple[int, int, int]]]:
        """Per loop (end, begin, whose) of each step and callback, in order.

        0 is a callback's, and stands where the loop may have been left: who had it run may have acted then.
        """
        runs: dict[int, list[tuple[int, int, int]]] = {}
        for number, life in self._lives.items():
            in_loop = runs.setdefault(self._tasks[number].loop, [])
            in_loop.extend((end, begin, number) for begin, end in life.steps)
            if self._tasks[number].outcome in _LEAVES_THE_LOOP and life.steps:
                in_loop.append((life.steps[-1][1], life.steps[-1][1], 0))
        for loop, called in self._runs.items():
            runs.setdefault(loop, []).extend(
                (end, begin, 0) for begin, end, name in called if name not in CANCEL_NOBODY
            )
        for loop, at in self._stops:
            runs.setdefault(loop, []).append((at, at, 0))
        for in_loop in runs.values():
            in_loop.sort()
        return runs

    def _record(
        self, entry: TaskEntry, merged: tuple[MergedSteps, ...], cancellers: Mapping[int, int]
    ) -> TaskRecord:
        life = self._lives[entry.number]
        function = named_by_library(entry.name, entry.coroutine, entry.file) if "." in entry.name else ""
        return TaskRecord(
            number=entry.number,
            name="" if function else entry.name,
            coroutine=function or entry.coroutine,
            file=entry.file,
            line=entry.line,
            parent=entry.parent,
            loop=entry.loop,
            origin=entry.origin,
            created_ns=entry.created_ns,
            sender=entry.sender,
            by_loop=entry.by_loop,
            ended_ns=entry.ended_ns,
            outcome=entry.outcome,
            exception=entry.exception,
            raised_in=entry.raised_in,
            steps=tuple(life.steps),
            wakes=tuple([e if type(e) is Wake else self._finished(e, entry, life) for e in life.wakes]),
            awaiter=entry.awaiter,
            never_begun_by=cancellers.get(entry.number),
            last_wait=entry.last_wait,
            merged=merged,
            unretrieved=entry.unretrieved,
        )

    def _finished(self, woken: Any, entry: TaskEntry, life: _Life) -> Wake:
        ended = self._ended(woken.wait)
        wait, detail, cancelled = ended.wait, ended.cancelled, bool(ended.cancelled)
        if ended.thread is not None:
            return Wake(woken.at_ns, "thread", None, ended.thread, detail, wait, cancelled)
        if woken.by == entry.number:  # it awaited what was done already: ready when its step was over
            after = bisect_right(life.steps, woken.at_ns, key=itemgetter(1))
            at_ns = life.steps[after][1] if after < len(life.steps) else woken.at_ns
            return Wake(at_ns, "self", None, None, detail, wait, cancelled)
        if not cancelled and woken.by > 0 and _is_for_a_task(wait, woken.ended):
            # A library's way to wait for tasks: a future that is done when the last of them has ended.
            last = self._tasks[woken.by]
            name = last.name or last.coroutine
            wait = replace(wait, reason="task", detail=name, name="", task=woken.by, made=("", 0))
            if not woken.ended and last.ended_ns is not None:  # told in its last step: it had the loop yet
                woken = replace(woken, at_ns=max(woken.at_ns, last.ended_ns))
        if woken.by >= 0:
            nobody: Cause = "callback" if detail == END_OF_RUN else "unknown"
            cause: Cause = "task" if woken.by else nobody
            return Wake(woken.at_ns, cause, woken.by or None, None, detail, wait, cancelled)
        by = self._callbacks[-woken.by - 1]
        if by.of_executor and wait.reason == "future":
            wait = replace(wait, reason="executor job", name="")
        return Wake(woken.at_ns, by.cause, None, by.thread, by.detail or detail, wait, cancelled)

    def loop_records(
        self, loops: dict[int, LoopEntry], merged: dict[int, list[MergedSteps]], runs: LoopRuns, now_ns: int
    ) -> tuple[LoopRecord, ...]:
        """Every loop, in the order of their numbers."""
        return tuple(
            LoopRecord(
                number=loop.number,
                native_id=loop.native_id,
                kernel=loop.kernel,
                callbacks=tuple(self._runs.get(loop.number, ())),
                merged=tuple(merged.get(loop.number, ())),
                runs=runs.runs(loop.number, now_ns),
                timers=tuple(self._timers.get(loop.number, ())),
                asked=runs.asked(loop.number),
            )
            for loop in loops.values()
        )


def _is_for_a_task(wait: Wait, ended: bool) -> bool:
    """Whether a task's end, or its last step, was what the wait was for, though it awaited no task."""
    return ended if wait.reason == "future" else wait.reason == "task" and wait.task is None


def _who_ran(
    runs: Sequence[tuple[int, int, int]], since: int, until: int, unbegun: Container[int]
) -> list[int]:
    """Who had the loop in between, up to two of them; one that never began did nothing."""
    found: list[int] = []
    index = bisect_right(runs, since, key=itemgetter(0))
    while index < len(runs) and runs[index][1] < until and len(found) < 2:
        number = runs[index][2]
        if number not in unbegun and number not in found:
            found.append(number)
        index += 1
    return found


def _cut(record: TaskRecord, started: Sequence[TaskEntry]) -> TaskRecord:
    """Cut the steps in which it started tasks eagerly: while those ran, it stood still itself."""
    if not started:
        return record
    pairs = [(entry.eager, entry) for entry in started if entry.eager is not None]
    waiting = sorted(pairs, key=lambda pair: pair[0], reverse=True)
    steps: list[Step] = []
    wakes = list(record.wakes)
    for begin, end in record.steps:
        while waiting and waiting[-1][0][0] < begin:  # not within a step that was seen
            waiting.pop()
        while waiting and waiting[-1][0][1] <= end:
            (eager_begin, eager_end), entry = waiting.pop()
            steps.append((begin, eager_begin))
            wait = Wait("eager start", entry.name or entry.coroutine, *entry.eager_at, task=entry.number)
            wakes.append(Wake(eager_end, "task", entry.number, wait=wait))
            begin = eager_end
        steps.append((begin, end))
    wakes.sort(key=lambda wake: wake.at_ns)
    return replace(record, steps=tuple(steps), wakes=tuple(wakes))
