"""Four times as many threads, jobs or children take about four times as long to read and to draw."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

from concmagic.api import Trace
from concmagic.importing.importer import import_recording
from concmagic.model import trace as model
from concmagic.model.outcomes import RETURNED
from concmagic.records.recording import JobRecord, ProcessJoin, ProcessRecord, Recording, ThreadRecord
from concmagic.renderers.html import HtmlRenderer

MS = 1_000_000
PID, MAIN = 40, 40
SMALL, LARGE = 500, 2_000
MOST = 8  # times as long; with the square of their number it would be sixteen


def thread(native_id: int, start_ns: int, end_ns: int | None, **more: Any) -> ThreadRecord:
    starter = None if native_id == MAIN else MAIN
    begun = None if native_id == MAIN else start_ns
    return ThreadRecord(
        native_id, native_id, f"worker-{native_id}", False, "user", begun, begun, end_ns, starter, **more
    )


def recording(count: int, *processes: ProcessRecord) -> Recording:
    return Recording(
        title="%%threads",
        model="threads",
        source="",
        cell_file="cell",
        cells={},
        start_ns=0,
        end_ns=(count + 10) * MS,
        main_native_id=MAIN,
        processes=processes,
    )


def process(pid: int, **more: Any) -> ProcessRecord:
    at = dict.fromkeys(("parent_pid", "started_ns", "begun_ns", "target_ns", "ended_ns", "exit_code"))
    return ProcessRecord(**{"pid": pid, "name": "", "start_method": "", "origin": "user", **at,
                            "main_native_id": pid, **more})  # fmt: skip


def of_threads(count: int) -> Recording:
    threads = [thread(100 + n, n * MS, (n + 5) * MS) for n in range(count)]
    return recording(count, process(PID, threads=(thread(MAIN, 0, None), *threads)))


def of_jobs(count: int) -> Recording:
    """Of two workers."""
    workers = [thread(100 + n, 0, None, group="pool") for n in range(2)]
    jobs = [
        JobRecord(n, f"f({n})", n, n * MS, (n + 1) * MS, "returned", PID, 100 + n % 2, None, MAIN)
        for n in range(2 * count)
    ]
    kernel = process(PID, threads=(thread(MAIN, 0, None), *workers), jobs=tuple(jobs))
    return recording(2 * count, kernel)


def of_children(count: int) -> Recording:
    """One after the other."""
    children = [
        process(
            1000 + n,
            parent_pid=PID,
            start_method="fork",
            started_ns=n * MS,
            born_ns=n * MS + 1,
            begun_ns=n * MS + 2,
            target_ns=n * MS + 3,
            ended_ns=(n + 1) * MS - 9,
            exit_code=0,
            starter=MAIN,
            joins=(ProcessJoin(MAIN, n * MS + 4, (n + 1) * MS - 8),),
        )
        for n in range(count // 2)
    ]
    return recording(count, process(PID, threads=(thread(MAIN, 0, None),)), *children)


def of_results(count: int) -> model.Trace:
    """One thread waits for the results of very many jobs of two workers, one after the other."""
    waits, flows, jobs = [], [], []
    for n in range(4 * count):
        at, worker = n * MS, 2 + n % 2
        waits.append(model.StateInterval(at, at + MS // 2, model.State.WAITING, "result"))
        waits.append(model.StateInterval(at + MS // 2, at + MS, model.State.RUNNING))
        flows.append(model.Flow("result", worker, at + MS // 2, 1, at + MS // 4))
        jobs.append(model.Job(n, f"f({n})", worker, at, at, at + MS // 2, RETURNED))
    wall = 4 * count * MS
    process = model.Track(0, "process", "kernel", None, "work", 0, None, tuple(waits), pid=PID)
    main = model.Track(1, "thread", "MainThread", 0, "work", 0, None, tuple(waits), pid=PID, host=True)
    ran = (model.StateInterval(0, wall, model.State.RUNNING),)
    workers = [
        model.Track(number, "thread", f"pool_{number}", 0, "work", 0, None, ran, pid=PID, group="pool")
        for number in (2, 3)
    ]
    tracks = (process, main, *workers)
    return model.Trace("%%threads", "threads", wall, tracks, tuple(flows), jobs=tuple(jobs))


def seconds(made: Recording | model.Trace) -> float:
    """CPU time to read and draw it; the smaller of two, for others use the machine's caches, too."""
    taken = []
    for _ in range(2):
        gc.collect()
        began = time.process_time()
        trace = import_recording(made) if isinstance(made, Recording) else made
        HtmlRenderer().render(Trace.of(trace, ()).report())
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.mark.parametrize("make", [of_threads, of_jobs, of_children, of_results])
def test_four_times_as_many_take_about_four_times_as_long(make: Callable[[int], Any]) -> None:
    seconds(make(50))  # imports
    assert seconds(make(LARGE)) < MOST * seconds(make(SMALL))
