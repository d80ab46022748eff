"""One cell's recording: every recorder around it, made, started and stopped in order.

A recorder that cannot be imported, or that fails, costs its own evidence and a sentence in `problems`, never
the cell.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from concmagic.clock import monotonic_ns
from concmagic.errors import TracerBusyError
from concmagic.interpreter import borrowing
from concmagic.problems import Problem
from concmagic.recording import cpu_time, guards, labels
from concmagic.recording.cpu_time import Edge
from concmagic.recording.guards import guarded
from concmagic.recording.time_budget import TimeBudget
from concmagic.records.evidence_sources import SOURCES, Source, kept, named
from concmagic.records.recording import JobRecord, ProcessRecord, Recording, TaskLog
from concmagic.sentences.magics import CELL_IN_A_CELL

if TYPE_CHECKING:
    import asyncio

    from concmagic.cell import Cell
    from concmagic.options import Options
    from concmagic.recording.prints import Writer

T = TypeVar("T")

_active: RecordingSession | None = None  # two at once would each put back what the other had found


class Recorder(Protocol):
    """What every source of evidence is to the session."""

    def start(self) -> None:
        """Observe from now on."""

    def stop(self) -> Any:
        """Observe no more; answers what was seen."""


class RecordingSession:
    """Observes one cell from `start` to `stop`."""

    def __init__(
        self,
        cell: Cell,
        options: Options,
        *,
        budget: int,
        sampler: bool,
        writers: Callable[[], Sequence[Writer]] = tuple,
    ) -> None:
        self._pid = os.getpid()
        self._native_id = (
            threading.get_native_id()
        )  # of the thread that runs the cell: a subshell has its own
        self._cell = cell
        self._options = options
        self._problems: list[Problem] = []
        self._failed: set[str] = set()  # recorders of which that was told
        self._time, self._time_of_locks = TimeBudget(), TimeBudget()
        self._recorders: dict[str, Any] = {}
        for source in SOURCES:
            if source.in_kernel and (sampler or source.name != "sampler"):
                recorder = self._guard(source.name, partial(self._make, source, budget, writers))
                if recorder is not None:
                    self._recorders[source.name] = recorder
        self._running: dict[str, Recorder] = {}  # in the order in which they were started
        self._loop: Any = None  # that ran when it began
        self._edges: list[Edge] = []
        self._kernel_cpu_ns = 0

    def _make(self, source: Source, budget: int, writers: Callable[[], Sequence[Writer]]) -> Any:
        """A recorder of this process; imported here, so that one that cannot be is missing alone."""
        sampler = self._recorders.get("sampler")
        given: dict[str, Callable[[], Any]] = {
            "pid": lambda: self._pid,
            "options": lambda: self._options,
            "detail": lambda: self._options.detail,
            "budget": lambda: budget,
            "time": lambda: self._time,
            "time_of_locks": lambda: self._time_of_locks,
            "cell_file": lambda: self._cell.file,
            "namespace": lambda: self._cell.namespace,
            "writers": writers,
            "sampled": lambda: sampler is not None,
            # A child's first milliseconds cost most, and a thread's: the sampler is told of both at once.
            "on_born": lambda: None if sampler is None else sampler.watch,
            "on_begin": lambda: None if sampler is None else sampler.look,
        }
        return named("recording", source.observer)(**{name: given[name]() for name in source.given})

    def check(self) -> None:
        """Raise TracerBusyError if another cell is recorded already; nothing has been touched then."""
        if _active is not None and _active._pid == os.getpid():
            if not _active.is_left_behind():
                raise TracerBusyError(CELL_IN_A_CELL)
            _active.release()

    def is_left_behind(self) -> bool:
        """Whether this session's cell awaited on a loop that has ended, so that the cell cannot end."""
        return self._loop is not None and not self._loop.is_running()

    def start(self) -> None:
        """Start every recorder; the calls last, because they cost most."""
        global _active
        _active = self
        self._loop = self._guard("tasks", borrowing.running_loop)
        guards.problems()  # what came after an earlier cell
        labels.take_cuts()
        guards.charge(self._time)
        for name, recorder in self._recorders.items():
            # Also one that fails at its start is stopped: it may have come half the way.
            self._running[name] = recorder
            self._guard(name, recorder.start)
        self._kernel_cpu_ns = self._guard("CPU time", cpu_time.kernel_threads_cpu_ns) or 0
        self._time.begin()
        self.at_edge()

    def at_edge(self) -> None:
        """Note the moment: observing begins or ends, or right inside of that the cell's own code does."""
        self._edges.append(Edge(monotonic_ns(), self._guard("CPU time", cpu_time.cpu_clocks)))

    def _of_the_cell(self) -> tuple[Edge, Edge]:
        """The begin and end of the cell's code; those of observing where it has not begun or not ended."""
        first, *inner, last = self._edges
        begin, end = (*inner, last)[:2] if inner else (first, last)
        return begin, end

    def runner_failed(self, error: BaseException) -> None:
        """Tell that what runs the cell has failed."""
        self._problems.append(Problem.of("runner_failed", error))

    def adopt_cell_task(self, task: asyncio.Task[Any]) -> None:
        """Tell which task runs an awaiting cell."""
        if "tasks" in self._recorders:
            self._guard("tasks", partial(self._recorders["tasks"].adopt_cell_task, task))

    def stop(self, outcome: str, jobs: tuple[JobRecord, ...] = ()) -> Recording:
        """Stop every recorder and hand over what they saw."""
        self.at_edge()
        observing_ns = self._time.whole_ns
        begin, end = self._of_the_cell()
        kernel_cpu_ns = self._guard("CPU time", cpu_time.kernel_threads_cpu_ns) or 0
        if outcome == "interrupted" and "children" in self._recorders:
            self._guard("children", self._recorders["children"].end_tree)
        evidence = self.release()
        for name, recorder in self._recorders.items():
            self._guard(name, partial(self._take_problems, recorder))
        self._problems += guards.problems()
        self._problems += borrowing.losses()
        self._problems += (
            [Problem.of("texts_cut", many, labels.LONGEST)] if (many := labels.take_cuts()) else []
        )
        begin_ns, end_ns = _cell_itself(evidence.get("tasks"), begin.at_ns, end.at_ns)
        # What the kernel's loop and ours computed right before and after the cell is none of its CPU time.
        beside_ns = (begin_ns - begin.at_ns) + (end.at_ns - end_ns)
        own = replace(self._own_process(evidence), observing_ns=observing_ns)
        if begin.clocks and end.clocks:
            edges = (begin.at_ns, begin.clocks.caller), (end.at_ns, end.clocks.caller)
            own = replace(own, threads=cpu_time.by_its_clock(own.threads, edges, beside_ns))
        children: tuple[ProcessRecord, ...] = evidence.get("children") or ()
        return Recording(
            title=_title(self._options),
            model=self._options.model,
            source=self._cell.source,
            cell_file=self._cell.file,
            cells=dict(self._cell.notebook),
            start_ns=begin_ns,
            end_ns=end_ns,
            main_native_id=self._native_id,
            processes=(own, *children),
            jobs=jobs,
            samples=evidence.get("sampler"),
            cpu_ns=max(cpu_time.cell_cpu_ns(begin.clocks, end.clocks, children) - beside_ns, 0),
            kernel_cpu_ns=max(kernel_cpu_ns - self._kernel_cpu_ns, 0),
            cores=self._guard("CPU time", cpu_time.usable_cores) or 1,
            detail=self._options.detail,
            show_all=self._options.show_all,
            outcome=labels.cut(outcome),
            start_method=self._options.start_method,
            workers=self._options.workers or 0,
            # Two recorders may miss the same thing: one sentence is enough.
            problems=tuple(dict.fromkeys(map(labels.cut_problem, self._problems))),
        )

    def _take_problems(self, recorder: Any) -> None:
        self._problems.extend(getattr(recorder, "problems", ()))

    def release(self) -> dict[str, Any]:
        """Stop what still records, the calls first; answers what each recorder saw.

        Whatever fails, and if it is interrupted: all are stopped, and another cell may be recorded.
        """
        global _active
        evidence: dict[str, Any] = {}
        interrupt: KeyboardInterrupt | None = None
        while self._running:
            name, recorder = self._running.popitem()
            try:
                evidence[name] = self._guard(name, recorder.stop)
            except KeyboardInterrupt as error:
                interrupt = error
        if _active is self:
            _active = None
        if interrupt is not None:
            raise interrupt
        return evidence

    def _own_process(self, evidence: Mapping[str, Any]) -> ProcessRecord:
        return ProcessRecord(
            pid=os.getpid(),
            parent_pid=None,
            name="kernel",
            start_method="",
            origin="user",
            started_ns=None,
            begun_ns=None,
            target_ns=None,
            ended_ns=None,
            exit_code=None,
            main_native_id=self._native_id,
            **{"tasks": TaskLog(), **kept(evidence), **_with_library_tasks(evidence)},
        )

    def _guard(self, name: str, action: Callable[[], T]) -> T | None:
        return guarded(action, partial(self._tell_failure, name))

    def _tell_failure(self, name: str, error: BaseException) -> None:
        if name not in self._failed:  # one that could not start may not be able to stop either
            self._failed.add(name)
            self._problems.append(Problem.of("recorder_failed", name, error))


def _with_library_tasks(evidence: Mapping[str, Any]) -> dict[str, TaskLog]:
    """asyncio's tasks with those of other libraries behind them, where there are such."""
    own, more = evidence.get("tasks") or TaskLog(), evidence.get("library_tasks")
    if more is None:
        return {}
    return {"tasks": replace(own, tasks=(*own.tasks, *more.tasks), loops=(*own.loops, *more.loops))}


def _cell_itself(tasks: TaskLog | None, start_ns: int, end_ns: int) -> tuple[int, int]:
    """From an awaiting cell's first step to its end: before and after it the kernel's loop is ours."""
    number = None if tasks is None else tasks.cell_task
    task = next((one for one in tasks.tasks if one.number == number), None) if tasks else None
    if number is None or task is None:
        return start_ns, end_ns
    begins = [begin for begin, _ in task.steps[:1]] + [part.start_ns for part in task.merged[:1]]
    begin_ns = max(start_ns, min(begins, default=start_ns))
    return begin_ns, max(begin_ns, min(end_ns, task.ended_ns or end_ns))


def _title(options: Options) -> str:
    magic = {"asyncio": "asyncio_trace"}.get(options.model, options.model)
    return f"%%{magic} {options.header}".strip()
