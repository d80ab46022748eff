"""From a Recording to a Trace, on recordings made by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trace_text import end_of, said
from tests.unit.recordings import (
    CELL,
    MAIN,
    MS,
    PID,
    at,
    calls,
    kernel,
    log,
    recording,
    slept,
    task,
    thread,
    woken,
)

from concmagic.importing.importer import import_recording
from concmagic.model.saved import from_plain, to_plain
from concmagic.model.trace import State, Trace, Track
from concmagic.problems import Problem
from concmagic.records.handed_over import ModuleImport
from concmagic.records.recording import (
    JobRecord,
    MarkRecord,
    MergedSteps,
    ProcessJoin,
    RawCalls,
    SampleLog,
    Wait,
    Wake,
)


def track(trace: Trace, name: str, kind: str = "") -> Track:
    """The one track of that name."""
    (found,) = [one for one in trace.tracks if one.name == name and kind in ("", one.kind)]
    return found


def states(one: Track) -> list[tuple[str, str, float, float]]:
    """States as (state, reason, begin, end) in milliseconds."""
    return [(s.state.value, s.reason, s.start_ns / MS, s.end_ns / MS) for s in one.states]


def of_tasks(*tasks: object, **more: object) -> Trace:
    return import_recording(recording(kernel(tasks=log(*tasks, **more))))  # type: ignore[arg-type]


def test_a_task_starts_runs_waits_and_is_ready() -> None:
    record = task(1, [(2, 2.5), (20, 20.5)], [woken(15, "Queue.get")], created_ns=at(1))
    assert states(track(of_tasks(record), "t1")) == [
        ("starting", "", 1, 2),
        ("running", "", 2, 2.5),
        ("waiting", "Queue.get", 2.5, 15),
        ("ready", "loop", 15, 20),
        ("running", "", 20, 20.5),
    ]


def test_a_wait_is_told_with_its_line_in_this_cell() -> None:
    trace = of_tasks(task(1, [(2, 3), (20, 21)], [woken(15, "Queue.get")]))
    wait = track(trace, "t1").states[1]
    assert (wait.file, wait.line) == ("", 4)


def test_a_librarys_task_is_named_by_the_one_function_of_the_cell_in_which_it_waited() -> None:
    there = {"name": "", "coroutine": "_run.asend", "file": "/lib/site-packages/lazy.py"}

    def in_function(name: str, ms: float) -> Wake:
        return Wake(at(ms), "timer", wait=Wait("sleep", "", CELL, 4, function=name))

    trace = of_tasks(
        task(1, [(0, 1), (3, 4)], [in_function("heavy", 3)], **there),
        task(2, [(0, 1), (3, 4)], [in_function("main.<locals>.heavy", 3)], **there),
        task(3, [(0, 1), (3, 4), (6, 7)], [in_function("light", 3), in_function("heavy", 6)], **there),
        task(4, [(0, 1), (3, 4)], [in_function("light", 3)], **(there | {"file": CELL})),
    )
    names = [one.name for one in trace.tracks if one.kind == "task"]
    assert names == ["heavy-1", "heavy-2", "_run.asend-1", "_run.asend-2"]


def test_ready_names_who_held_the_loop() -> None:
    victim = task(1, [(0, 1), (30, 31)], [woken(10)])
    trace = of_tasks(victim, task(2, [(5, 29)], name="hog"))
    assert said(trace, track(trace, "t1").states[2]) == "held by hog"


def test_a_callback_can_hold_the_loop() -> None:
    trace = of_tasks(task(1, [(0, 1), (30, 31)], [woken(10)]), callbacks=((5, 29, "on_data"),))
    assert said(trace, track(trace, "t1").states[2]) == "held by on_data"


def test_a_sleeper_whose_time_was_up_during_a_hold_was_ready_from_then_on() -> None:
    sleeper = task(1, [(0, 1), (50, 51)], [slept(49, 20)])
    trace = of_tasks(sleeper, task(2, [(10, 48)]))
    assert states(track(trace, "t1"))[1:3] == [("waiting", "sleep", 1, 21), ("ready", "loop", 21, 50)]


def test_a_late_timer_of_an_idle_loop_kept_nobody_waiting() -> None:
    sleeper = task(1, [(0, 1), (50, 51)], [slept(49, 20)])
    assert states(track(of_tasks(sleeper), "t1"))[1] == ("waiting", "sleep", 1, 49)


def test_between_steps_without_a_wake_up_nothing_is_claimed() -> None:
    assert states(track(of_tasks(task(1, [(0, 0.5), (20, 20.5)])), "t1"))[1] == ("unknown", "", 0.5, 20)


def test_a_task_that_still_waits_covers_the_cell_to_its_end() -> None:
    record = task(1, [(0, 1)], ended_ns=None, outcome="left running", last_wait=Wait("Event", "", CELL, 9))
    found = track(of_tasks(record), "t1")
    assert found.end_ns is None
    assert states(found)[-1] == ("waiting", "Event", 1, 100)


def test_merged_steps_keep_their_sums() -> None:
    merged = (MergedSteps(at(10), at(20), 50, 2 * MS, 3 * MS, 5 * MS),)
    found = track(of_tasks(task(1, [(0, 1), (30, 31)], [woken(29)], merged=merged)), "t1")
    sums = {
        state: sum(s.length_ns for s in found.states if s.state is state and s.reason == "merged") / MS
        for state in (State.RUNNING, State.READY, State.WAITING)
    }
    assert sums == {State.RUNNING: 2, State.READY: 3, State.WAITING: 5}


def test_unnamed_tasks_are_numbered_by_their_coroutine() -> None:
    trace = of_tasks(task(1, [(0, 1)], name=""), task(2, [(1, 2)], name=""), task(3, [(2, 3)], name="mine"))
    assert [one.name for one in trace.tracks if one.kind == "task"] == ["work-1", "work-2", "mine"]


def test_tasks_stand_under_their_parent_or_their_loop() -> None:
    trace = of_tasks(task(1, [(0, 1)]), task(2, [(1, 2)], parent=1))
    loop = track(trace, "event loop")
    assert track(trace, "t1").parent == loop.id
    assert track(trace, "t2").parent == track(trace, "t1").id
    assert loop.parent == track(trace, "MainThread").id
    assert track(trace, "MainThread").parent == track(trace, "kernel").id


def test_the_task_of_an_awaiting_cell_is_the_cell() -> None:
    trace = of_tasks(task(1, [(0, 1)]), task(2, [(1, 2)], parent=1), cell_task=1, kernel=True)
    cell = track(trace, "cell")
    assert cell.host and not cell.unit
    assert not track(trace, "MainThread").host
    assert track(trace, "t2").parent == track(trace, "event loop").id


def test_the_kernels_tasks_are_hidden_and_counted() -> None:
    records = (task(1, [(0, 1)]), task(2, [(1, 2)], origin="kernel"), task(3, [(2, 3)], origin="machinery"))
    trace = of_tasks(*records)
    assert trace.hidden.tasks == 2
    everything = import_recording(recording(kernel(tasks=log(*records)), show_all=True))
    assert {one.name for one in everything.tracks} >= {"t1", "t2", "t3"}


def test_flows_tell_who_made_and_who_woke_whom() -> None:
    woke = Wake(at(15), "task", task=1, wait=Wait("future", "", CELL, 4))
    trace = of_tasks(task(1, [(0, 16)]), task(2, [(1, 2), (17, 18)], [woke], parent=1))
    me, other = track(trace, "t2").id, track(trace, "t1").id
    assert {(flow.kind, flow.source, flow.target) for flow in trace.flows} == {
        ("spawn", other, me),
        ("wake", other, me),
    }


def test_a_long_step_without_recorded_calls_is_not_called_running() -> None:
    assert states(track(of_tasks(task(1, [(0, 40)])), "t1")) == [("unknown", "", 0, 40)]


def test_threads_without_evidence_are_unknown() -> None:
    trace = import_recording(recording())
    assert states(track(trace, "MainThread")) == [("unknown", "", 0, 100)]


def test_a_thread_starts_from_its_start_to_its_first_step() -> None:
    worker = thread(41, "w", started_ns=at(10), begun_ns=at(12), ended_ns=at(50), starter=MAIN)
    trace = import_recording(recording(kernel(thread(), worker)))
    assert states(track(trace, "w")) == [("starting", "", 10, 12), ("unknown", "", 12, 50)]
    assert [(flow.kind, flow.source_ns, flow.target_ns) for flow in trace.flows] == [
        ("spawn", 10 * MS, 12 * MS)
    ]


def test_the_cpu_clock_proves_running() -> None:
    busy = thread(41, "w", started_ns=at(0), begun_ns=at(0), cpu_by_moment=((at(0), 0), (at(50), 49 * MS)))
    assert states(track(import_recording(recording(kernel(thread(), busy))), "w"))[0] == (
        "running",
        "",
        0,
        50,
    )
    half = replace(busy, cpu_by_moment=((at(0), 0), (at(50), 30 * MS)))
    assert states(track(import_recording(recording(kernel(thread(), half))), "w")) == [
        ("unknown", "", 0, 100)
    ]


def test_the_kernels_threads_are_hidden_and_helpers_are_machinery() -> None:
    helpers = (thread(41, "io", origin="kernel"), thread(42, "feeder", origin="machinery"))
    trace = import_recording(recording(kernel(thread(), *helpers, thread(43, "ours", origin="ours"))))
    assert trace.hidden.threads == 1
    assert track(trace, "feeder").role == "machinery"
    assert not [one for one in trace.tracks if one.name in ("io", "ours")]


def test_a_thread_that_died_tells_of_what() -> None:
    dead = thread(41, "w", started_ns=at(1), begun_ns=at(1), ended_ns=at(2), exception="ValueError: no")
    found = track(import_recording(recording(kernel(thread(), dead))), "w")
    assert (found.outcome, found.outcome_detail) == ("raised ValueError", "ValueError: no")


def child(**more: object) -> object:
    values: dict[str, object] = {
        "pid": 50,
        "parent_pid": PID,
        "name": "Process-1",
        "start_method": "spawn",
        "started_ns": at(10),
        "begun_ns": at(30),
        "target_ns": at(40),
        "ended_ns": at(90),
        "exit_code": 0,
        "main_native_id": 50,
        "threads": (thread(50),),
        "starter": MAIN,
    }
    return replace(kernel(), **(values | more))  # type: ignore[arg-type]


def test_what_recording_adds_to_a_childs_life_is_tracing() -> None:
    ours = child(loaded_ns=at(33), called_ns=at(37), done_ns=at(85))
    trace = import_recording(recording(kernel(), ours))  # type: ignore[arg-type]
    found = track(trace, "Process-1")
    told = [
        (s.start_ns / MS, s.end_ns / MS, said(trace, s)) for s in found.states if s.state is State.TRACING
    ]
    assert told == [
        (30, 33, "starting its tracer"),
        (37, 40, "starting its tracer"),
        (85, 90, "handing the recording over"),
    ]
    assert all(s.state in (State.STARTING, State.TRACING) for s in found.states if s.end_ns <= 40 * MS)


def test_a_child_process_starts_python_then_imports() -> None:
    imports = (ModuleImport(50, at(32), at(35), "a"), ModuleImport(50, at(36), at(38), "b"))
    trace = import_recording(recording(kernel(), child(imports=imports)))  # type: ignore[arg-type]
    found = track(trace, "Process-1")
    assert [(s.state.value, said(trace, s), s.start_ns / MS) for s in found.states[:6]] == [
        ("starting", "Python", 10),
        ("starting", "unpickling", 30),
        ("starting", "imports of a", 32),
        ("starting", "unpickling", 35),
        ("starting", "imports of b", 36),
        ("starting", "unpickling", 38),
    ]
    assert (found.end_ns, found.outcome, found.unit) == (90 * MS, "returned", True)
    main = next(one for one in trace.tracks if one.parent == found.id)
    assert (main.start_ns, main.end_ns) == (30 * MS, 90 * MS)


def test_a_child_with_several_threads_says_which_of_them_run() -> None:
    threads = (thread(50), thread(51, "helper", started_ns=at(40), begun_ns=at(40), ended_ns=at(85)))
    rows = [(50, 40, 50, -1), (50, 50, 70, 230), (50, 70, 80, -1), (51, 50, 60, -1), (51, 70, 80, -1)]
    columns = zip(*((who, at(begin), at(end), code) for who, begin, end, code in rows), strict=True)
    samples = SampleLog(*(np.array(column, "<i8").tobytes() for column in columns), rate_hz=500.0)
    trace = import_recording(recording(kernel(), child(threads=threads), samples=samples))  # type: ignore[arg-type]
    running = [
        (said(trace, s), s.start_ns / MS)
        for s in track(trace, "Process-1").states
        if s.state is State.RUNNING
    ]
    assert running == [("MainThread", 40), ("helper", 50), ("MainThread and helper", 70)]
    alone = import_recording(recording(kernel(), child(), samples=samples))  # type: ignore[arg-type]
    assert {s.holders for s in track(alone, "Process-1").states if s.state is State.RUNNING} == {()}


def test_a_join_leads_from_the_process_to_the_thread_that_saw_its_end() -> None:
    """Though another thread ended meanwhile; and not from a process that was asked after it had ended."""
    threads = (thread(), thread(41, "other", started_ns=at(0), begun_ns=at(0), ended_ns=at(80)))
    joined = child(joins=(ProcessJoin(MAIN, at(20), at(92)),))  # type: ignore[arg-type]
    asked = child(pid=51, name="asked", joins=(ProcessJoin(MAIN, at(95), at(95.1)),))  # type: ignore[arg-type]
    log = SampleLog(*(np.array([n], "<i8").tobytes() for n in (MAIN, at(20), at(92), -4)), rate_hz=500.0)
    trace = import_recording(recording(kernel(*threads), joined, asked, samples=log))
    ids = {one.id: one.name for one in trace.tracks}
    joins = [one for one in trace.flows if one.kind == "join"]
    assert [(ids[one.source], ids[one.target], one.source_ns / MS, one.target_ns / MS) for one in joins] == [
        ("Process-1", "MainThread", 90, 92)
    ]


def test_a_wait_in_a_join_says_for_which_process(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (0, 20, 92, "Process.join", "multiprocessing/process.py", 1), (1, 20, 92, "posix.waitpid", "", 0)
    monkeypatch.setattr("concmagic.importing.decode_calls.decode", lambda raw: calls(*rows))
    raw = RawCalls(b"", {}, {}, ((0, 0), (1, 1)), events=1)
    joined = child(joins=(ProcessJoin(MAIN, at(20), at(92)),))  # type: ignore[arg-type]
    trace = import_recording(recording(kernel(thread(), calls=raw), joined))
    main = next(one for one in trace.tracks if one.host)
    (wait,) = [one for one in main.states if one.state is State.WAITING]
    assert (wait.reason, said(trace, wait), wait.end_ns / MS) == ("join", "of Process-1", 92)


@pytest.mark.parametrize(
    ("code", "outcome"), [(0, "returned"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (None, "")]
)
def test_how_a_process_ended(code: int | None, outcome: str) -> None:
    trace = import_recording(recording(kernel(), child(exit_code=code)))  # type: ignore[arg-type]
    assert track(trace, "Process-1").outcome == outcome


def test_what_is_missing_of_a_child_is_said_in_the_footer_and_its_own_error_at_its_end() -> None:
    lost = Problem.of("child_told_nothing", "w", -9)
    killed = kernel(
        pid=41, parent_pid=PID, name="w", exit_code=-9, target_ns=at(5), ended_ns=at(9), problems=(lost,)
    )
    trace = import_recording(recording(kernel(), killed))
    assert lost in trace.cost.problems
    assert track(trace, "w").problems == ()

    failed = replace(
        killed,
        target_ns=None,
        exit_code=1,
        problems=(Problem.of("child_never_started", "w", "ImportError: no."),),
    )
    trace = import_recording(recording(kernel(), failed))
    assert end_of(trace, track(trace, "w")) == "w could not start: ImportError: no"
    assert track(from_plain(json.loads(json.dumps(to_plain(trace)))), "w").problems == failed.problems


def test_jobs_are_the_units_of_a_pool() -> None:
    worker = thread(41, "p_0", started_ns=at(1), begun_ns=at(2), group="p")
    job = JobRecord(0, "f(1)", at(1), at(3), at(9), "returned", PID, 41, None, MAIN)
    trace = import_recording(recording(kernel(thread(), worker, jobs=(job,))))
    assert trace.jobs[0].track == track(trace, "p_0").id
    assert not track(trace, "p_0").unit
    assert {flow.kind for flow in trace.flows} == {"submit", "result"}


def test_a_headers_job_is_told_once_though_a_pool_carried_it() -> None:
    carrier = JobRecord(0, "run()", at(1), at(3), at(9), "returned", PID, 41)
    item = JobRecord(0, "url='x'", at(1), at(4), at(8), "returned", PID, 41)
    worker = thread(41, "p_0", started_ns=at(1), begun_ns=at(2), group="p")
    trace = import_recording(recording(kernel(thread(), worker, jobs=(carrier,)), jobs=(item,)))
    assert [job.label for job in trace.jobs] == ["url='x'"]


def test_marks_stand_on_the_task_or_thread_that_set_them() -> None:
    marks = (MarkRecord("a", at(1), at(2), PID, MAIN, 1), MarkRecord("b", at(3), at(3), PID, MAIN))
    trace = import_recording(recording(kernel(tasks=log(task(1, [(0, 5)])), marks=marks)))
    assert [mark.track for mark in trace.marks] == [track(trace, "t1").id, track(trace, "MainThread").id]


def test_calls_that_cannot_be_read_cost_only_themselves() -> None:
    broken = RawCalls(b"xyz", {}, {}, ((0, 0), (0, 0)), 1)
    trace = import_recording(recording(kernel(calls=broken)))
    assert len(trace.tracks) == 2
    assert any("calls could not be read" in problem.message for problem in trace.cost.problems)


moments = st.lists(st.floats(-20, 120), min_size=2, max_size=14)


@given(moments, st.lists(st.floats(-20, 120), max_size=6), st.booleans(), st.floats(-20, 120))
def test_whatever_was_recorded_states_cover_each_track_exactly(
    times: list[float], wakes: list[float], is_over: bool, created: float
) -> None:
    ordered = sorted(times)
    steps = list(zip(ordered[::2], ordered[1::2], strict=False))
    record = task(
        1,
        steps,
        [slept(each, 10) for each in sorted(wakes)],
        created_ns=at(min(created, ordered[0])),
        ended_ns=at(steps[-1][1]) if is_over else None,
    )
    worker = thread(41, "w", started_ns=at(created), begun_ns=at(ordered[0]), ended_ns=at(ordered[-1]))
    process = child(started_ns=at(created), begun_ns=at(ordered[0]), target_ns=None, ended_ns=at(ordered[-1]))
    trace = import_recording(recording(kernel(thread(), worker, tasks=log(record)), process))  # type: ignore[arg-type]
    for one in trace.tracks:
        end = trace.wall_ns if one.end_ns is None else one.end_ns
        knots = [one.start_ns, *(s.end_ns for s in one.states)]
        assert [s.start_ns for s in one.states] == knots[:-1]
        assert knots[-1] == end and 0 <= one.start_ns <= end <= trace.wall_ns
        assert all(s.end_ns > s.start_ns for s in one.states)
