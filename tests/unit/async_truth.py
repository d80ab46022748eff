"""Runs a program whose order is known by construction, and tells what its Trace says of it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from tests.trace_text import said

from concmagic.importing.importer import import_recording
from concmagic.model.trace import State, Trace, Track
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.recording.threads.thread_jobs import PoolJobRecorder
from concmagic.recording.threads.thread_recorder import ThreadRecorder
from concmagic.records.recording import ProcessRecord, Recording, TaskLog

Program = Callable[[], Coroutine[Any, Any, Any]]


def traced(main: Program, run: Callable[[Any], Any] = asyncio.run) -> Trace:
    """The Trace of `asyncio.run(main())`: tasks, threads and jobs, no calls and no samples."""
    return traced_and_recorded(main, run)[0]


def traced_and_recorded(
    main: Program, run: Callable[[Any], Any] = asyncio.run, recorder: TaskRecorder | None = None
) -> tuple[Trace, TaskLog, int]:
    """The same, what was recorded of the tasks, and when that began."""
    jobs, threads, tasks = PoolJobRecorder(), ThreadRecorder(), recorder or TaskRecorder()
    start_ns = time.monotonic_ns()
    for recorder in (jobs, threads, tasks):
        recorder.start()
    try:
        run(main())
    finally:
        end_ns = time.monotonic_ns()
        log, threads_seen, jobs_seen = tasks.stop(), threads.stop(), jobs.stop()
    main_thread = threading.get_native_id()
    kernel = ProcessRecord(
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
        main_native_id=main_thread,
        threads=threads_seen,
        tasks=log,
        jobs=jobs_seen,
    )
    trace = import_recording(
        Recording("", "asyncio", "", "<cell>", {}, start_ns, end_ns, main_thread, (kernel,), detail="states")
    )
    assert trace.cost.problems == (), trace.cost.problems
    return trace, log, start_ns


def track(trace: Trace, name: str) -> Track:
    """The only track of this name."""
    found = [one for one in trace.tracks if one.name == name]
    assert len(found) == 1, (name, [one.name for one in trace.tracks])
    return found[0]


def waits(trace: Trace, name: str) -> list[str]:
    """The words of each stretch in which a task waited."""
    states = track(trace, name).states
    return [f"{one.reason} {said(trace, one)}".strip() for one in states if one.state is State.WAITING]


def order(trace: Trace, name: str) -> list[State]:
    """The states of a track, one after the other."""
    return [one.state for one in track(trace, name).states]


def flows(trace: Trace) -> list[tuple[str, str, str]]:
    """Kind, source and target of each flow, in the order in which they arrive."""
    names = {one.id: one.name for one in trace.tracks}
    arrived = sorted(trace.flows, key=lambda flow: flow.target_ns)
    return [(flow.kind, names[flow.source], names[flow.target]) for flow in arrived]
