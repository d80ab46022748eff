"""From a Recording to a Trace: one process after the other, then what lies between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import nan
from typing import TypeVar, cast

from concmagic.importing.build_and_cost import build, cost, problems_of, python_cpu_s, sampling_ns
from concmagic.importing.call_columns import slices_of, together
from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds
from concmagic.importing.found import Found
from concmagic.importing.import_calls import ImportedCalls, import_calls
from concmagic.importing.import_messages import match
from concmagic.importing.import_processes import of_a_server, process_spawn, process_track, with_life
from concmagic.importing.jobs_marks_prints import import_jobs, job_flows, known_jobs, to_waiters
from concmagic.importing.message_evidence import message_flows, with_messages
from concmagic.importing.module_imports import with_imports
from concmagic.importing.process_lock_waits import SharedWaits
from concmagic.importing.tasks.import_tasks import ImportedTasks, TaskImporter, ended_with_process
from concmagic.importing.tasks.step_states import blocking_in_steps, evidence_of_threads
from concmagic.importing.tasks.task_flows import with_jobs_of_tasks
from concmagic.importing.tasks.task_sums import all_flights
from concmagic.importing.threads.gil_holders import import_gil
from concmagic.importing.threads.import_locks import import_locks, with_use
from concmagic.importing.threads.import_threads import (
    ThreadContext,
    blocked_calls,
    hidden_thread,
    import_threads,
    shown,
    whose,
)
from concmagic.importing.threads.lock_waits import ImportedLocks, with_locks
from concmagic.importing.threads.sampled_states import (
    Holding,
    Piece,
    Samples,
    import_clocks,
    import_holders,
    import_samples,
)
from concmagic.importing.threads.side_by_side import OneGil, of_loops, one_at_a_time
from concmagic.importing.threads.wait_ends import process_joins, with_results
from concmagic.interpreter.borrowing import runs_without_gil
from concmagic.model.outcomes import UNKNOWN, outcome_of
from concmagic.model.trace import Function, Job, Model, Trace, Track
from concmagic.problems import Problem
from concmagic.records.evidence_sources import SOURCES, Source, named
from concmagic.records.recording import ProcessRecord, Recording
from concmagic.source_lookup import CallLines

T = TypeVar("T")


def import_recording(recording: Recording) -> Trace:
    """Build the Trace; evidence that cannot be read costs itself and a sentence in `cost.problems`."""
    return _Importer(recording).run()


def _import_source(source: Source, found: Found) -> None:
    named("importing", source.importer)(found)


class _Importer:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._outcome = outcome_of(recording.outcome)
        self._clock = CellClock(recording.start_ns, max(recording.end_ns - recording.start_ns, 0))
        self._places = Places(recording.cell_file, recording.cells)
        self._lines = CallLines(recording.source, recording.cell_file)
        self._ids = TrackIds()
        self._messages = match(recording.processes)
        self._shared_waits = SharedWaits(recording.processes, self._clock)
        self._own_jobs = known_jobs(recording)  # not those of pools of processes: messages tell of them
        self._jobs = (
            *self._own_jobs,
            *(job.record for job in self._messages.jobs),
            *self._messages.merged,
        )
        self._found = Found(
            recording=recording,
            clock=self._clock,
            ids=self._ids,
            places=self._places,
            problems=[*recording.problems, *self._messages.problems],
        )
        self._holders = self._read_holders()
        self._cpu_clocks = self._read_cpu_clocks()

    def run(self) -> Trace:
        recording, found = self._recording, self._found
        samples = self._read_samples()
        for process in recording.processes:  # ids first: children are named as parents of each other
            self._ids.get("process", process.pid, 0)
        for process in recording.processes:
            self._import_process(process, samples)
        jobs = import_jobs(self._jobs, self._clock, self._ids)
        self._add_flows_of_jobs(jobs[: len(self._own_jobs)])
        for source in SOURCES:
            if source.importer:
                self._guarded(source.name, partial(_import_source, source, found), None)
        known = {track.id for track in found.tracks}
        rows = self._ids.resources.rows
        return Trace(
            title=recording.title,
            model=cast("Model", recording.model),
            wall_ns=self._clock.wall_ns,
            tracks=_with_hosts(found.tracks),
            flows=tuple(flow for flow in found.flows if flow.source in known and flow.target in known),
            marks=tuple(found.marks),
            jobs=jobs,
            locks=tuple(found.locks),
            resources=self._guarded("locks", lambda: with_use(rows, found.tracks), rows),
            others=self._ids.others,
            prints=tuple(found.prints),
            gil_switches=None if recording.samples is None else recording.samples.gil_switches,
            slices=together(found.slices),
            source=recording.source,
            outcome=self._outcome,
            cpu_s=recording.cpu_ns / 1e9 if recording.cpu_ns else nan,
            python_cpu_s=python_cpu_s(recording),
            build=build(recording),
            cost=cost(recording, self._clock, found.events, tuple(dict.fromkeys(found.problems))),
            hidden=found.hidden,
            unawaited=tuple(found.unawaited),
            loops=tuple(found.loops),
            groups=tuple(group for group in found.groups if group.track in known),
            flights=all_flights(found.flights),
            stop=found.stop,
        )

    def _add_flows_of_jobs(self, own: Sequence[Job]) -> None:
        found = self._found
        of_jobs = job_flows(self._own_jobs, self._clock, self._ids)
        found.tracks, of_waits = with_results(found.tracks, own, found.blocked)
        found.flows += message_flows(self._messages, found.tracks, found.steps, self._clock)
        found.flows += self._shared_waits.flows(found.tracks)
        found.flows = to_waiters(with_jobs_of_tasks(of_jobs, found.flows, found.steps), of_waits)

    def _guarded(self, what: str, read: Callable[[], T], nothing: T) -> T:
        """What is read; of evidence that cannot be read a problem."""
        try:
            return read()
        except Exception as error:
            self._found.problems.append(Problem.of("evidence_unreadable", what, error))
            return nothing

    def _read_samples(self) -> Samples:
        log = self._recording.samples
        return self._guarded("samples", lambda: import_samples(log, self._clock, self._ids), {})

    def _read_holders(self) -> Mapping[int, Sequence[Holding]]:
        return self._guarded("GIL", lambda: import_holders(self._recording.samples, self._clock), {})

    def _read_cpu_clocks(self) -> Mapping[int, Sequence[Piece]]:
        return self._guarded("GIL", lambda: import_clocks(self._recording.samples, self._clock), {})

    def _read_calls(self, process: ProcessRecord) -> ImportedCalls:
        raw = process.calls
        if raw is None:
            return ImportedCalls()
        from concmagic.importing.decode_calls import decode

        self._found.events += raw.events
        known = self._clock, self._places, self._lines, self._ids, process.pid
        return self._guarded("calls", lambda: import_calls(decode(raw), *known), ImportedCalls())

    def _read_locks(self, process: ProcessRecord, calls: ImportedCalls) -> ImportedLocks:
        recording = self._recording
        known = recording.samples, self._clock, self._places, sampling_ns(recording), self._ids
        return self._guarded("locks", lambda: import_locks(process, calls, *known), ImportedLocks())

    def _import_process(self, process: ProcessRecord, samples: Samples) -> None:
        found, pid = self._found, process.pid
        is_interrupted = self._outcome.kind == "interrupted" or process.ended_by == "interrupt"
        found.problems += problems_of(process, is_interrupted)
        for record in process.threads:
            if shown(record, process.main_native_id, self._recording.show_all):
                self._ids.get("thread", pid, record.native_id)
            else:
                found.hidden += hidden_thread(record)
        calls = self._read_calls(process)
        locks = self._read_locks(process, calls)
        calls = with_locks(calls, locks, samples)
        tasks = self._read_tasks(process, calls, samples)
        at_work = {job.native_id for job in self._jobs if job.pid == pid} | tasks.steps.keys()
        process = whose(process, calls, at_work, self._places)
        context = self._thread_context(process, calls, samples, tasks)
        threads, flows = import_threads(process.threads, context)
        found.blocked |= blocked_calls(context)
        threads = [with_messages(thread, self._messages, process, self._clock) for thread in threads]
        threads = [self._shared_waits.over(thread) for thread in threads]
        threads = [with_imports(thread, process, self._clock) for thread in threads]
        if process.origin == "machinery":  # a manager's server: nothing in it is the user's work
            threads = [of_a_server(thread) for thread in threads]
        threads, gil = self._read_gil(process, with_life(process, threads, self._clock), context)
        of_process = samples.get(pid, ()) if not threads else ()
        is_group = any(job.pid == pid for job in self._jobs)
        track = process_track(
            process, threads, of_process, self._clock, self._ids, is_group, context.sampling_ns
        )
        spawn = process_spawn(process, self._clock, self._ids)
        if process.origin in ("user", "machinery") or self._recording.show_all:
            found.tracks += [track, *gil, *threads, *tasks.tracks]
            found.flows += [*([spawn] if spawn else []), *flows, *tasks.flows, *locks.flows(pid, self._ids)]
            found.loops += tasks.loops
            found.groups += tasks.groups
            found.flights.append(tasks.flights)
            found.locks += locks.locks
        found.slices.append(slices_of(calls.shown, pid, self._ids, tasks.steps, self._places))
        found.hidden += tasks.hidden
        for native_id, steps in tasks.steps.items():
            thread = self._ids.known("thread", pid, native_id)
            if thread is not None:
                found.steps[thread] = steps

    def _read_tasks(self, process: ProcessRecord, calls: ImportedCalls, samples: Samples) -> ImportedTasks:
        if process.tasks is None:
            return ImportedTasks()
        self._found.unawaited += [
            Function(code.name, self._places.short(code.file), code.line) for code in process.tasks.unawaited
        ]
        blocked, known_until = blocking_in_steps(process, calls, samples, self._clock)
        found = TaskImporter(
            process.tasks,
            process.pid,
            self._clock,
            self._places,
            self._ids,
            blocked,
            known_until,
            self._recording.show_all,
            evidence_of_threads(process, calls, samples),
            {record.native_id: record for record in process.threads},
            self._outcome if process.parent_pid is None else UNKNOWN,
        ).run()
        return found if process.ended_ns is None else ended_with_process(found)

    def _read_gil(
        self, process: ProcessRecord, threads: list[Track], context: ThreadContext
    ) -> tuple[list[Track], list[Track]]:
        """The threads with the holder on their waits, and the GIL's own track where it kept them waiting."""
        if runs_without_gil():
            return threads, []
        held = {native_id: one.held for native_id, one in context.calls.items()}
        clock = self._cpu_clocks.get(process.pid, ())
        known = OneGil(clock, context.holders, context.sampling_ns, held, of_loops(context.loops))
        one_by_one = self._guarded("GIL", lambda: one_at_a_time(threads, known), threads)
        untold: tuple[list[Track], list[Track]] = one_by_one, []
        return self._guarded("GIL", lambda: import_gil(process, one_by_one, context), untold)

    def _thread_context(
        self, process: ProcessRecord, calls: ImportedCalls, samples: Samples, tasks: ImportedTasks
    ) -> ThreadContext:
        workers = {job.native_id for job in self._jobs if job.pid == process.pid}
        return ThreadContext(
            pid=process.pid,
            parent=self._ids.get("process", process.pid, 0),
            main_native_id=process.main_native_id,
            clock=self._clock,
            ids=self._ids,
            calls=calls.threads,
            loops=tasks.by_thread,
            loop_waits=tasks.loop_waits,
            with_tasks=tasks.steps.keys(),
            samples=samples,
            job_groups=frozenset(
                record.group for record in process.threads if record.group and record.native_id in workers
            ),
            main_outcome=self._outcome,
            is_kernel=process.parent_pid is None,
            show_all=self._recording.show_all,
            places=self._places,
            born_ns=_born(process, self._clock),
            sampling_ns=sampling_ns(self._recording),
            holders=self._holders.get(process.pid, ()),
            died_ns=self._clock.end_at(process.ended_ns),
            process_joins=process_joins(process, self._recording.processes, self._clock, self._ids),
        )


def _born(process: ProcessRecord, clock: CellClock) -> int:
    """When a process's first thread can have begun."""
    moment = process.started_ns if process.begun_ns is None else process.begun_ns
    return 0 if moment is None else clock.at(moment)


def _with_hosts(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """The cell's own task stands for its thread: the main thread is host only where there is none."""
    if not any(track.host and track.kind == "task" for track in tracks):
        return tuple(tracks)
    return tuple(
        replace(track, host=False) if track.host and track.kind == "thread" else track for track in tracks
    )
