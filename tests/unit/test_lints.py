"""Each lint finds its case and leaves the near miss alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.trace_text import MS, trace_from_text

from concmagic.analysis import Finding
from concmagic.analysis.lints import LINTS, Lint, find
from concmagic.analysis.metrics import Metrics, compute
from concmagic.model.findings import BusyMachine
from concmagic.model.outcomes import LEFT_RUNNING, RETURNED, outcome_of
from concmagic.model.trace import Flow, Job, State, StateInterval, Trace, Track


def found(trace: Trace, name: str) -> list[Finding]:
    """What one lint says of a trace."""
    return [one for one in find(trace, compute(trace)) if one.lint == name]


BLOCKED = "blocker  RBBBBBBBBBBBBBBBBBBBBR\nvictim   WWYYYYYYYYYYYYYYYYYYYR"


def test_a_blocked_loop_is_found_with_its_line_and_cost() -> None:
    trace = trace_from_text(BLOCKED, reasons={"blocker": "time.sleep"}, source="import time\ntime.sleep(9)")
    (finding,) = found(trace, "blocked-event-loop")
    assert finding.line == 2
    assert finding.cost_s == 0.019
    assert finding.tracks == (0,)
    assert "time.sleep" in finding.message and "1 task was ready" in finding.message


def test_the_call_is_quoted_where_it_stands_alone_on_its_line() -> None:
    trace = trace_from_text(BLOCKED, reasons={"blocker": "time.sleep"}, source="time.sleep(0.02)")
    assert "time.sleep(0.02) at line 2" in found(trace, "blocked-event-loop")[0].message


def test_a_long_step_that_computes_blocks_the_loop_too() -> None:
    trace = trace_from_text(BLOCKED.replace("B", "R"))
    assert "a step of blocker" in found(trace, "blocked-event-loop")[0].message


def test_a_block_while_nobody_was_ready_costs_nothing() -> None:
    assert not found(trace_from_text(BLOCKED.replace("Y", "W")), "blocked-event-loop")


def test_a_block_below_the_floor_is_none() -> None:
    assert not found(trace_from_text("a  RBBBBBBBBWR\nb  WYYYYYYYYYR"), "blocked-event-loop")


def test_ready_on_another_loop_is_not_this_ones_victim() -> None:
    trace = trace_from_text(BLOCKED)
    blocker, victim = trace.tracks
    other = replace(victim, native_id=999)
    assert not found(replace(trace, tracks=(blocker, other)), "blocked-event-loop")


def left(**changes: object) -> Trace:
    """A cell with one thread that goes on."""
    trace = trace_from_text("a  RRRRWW", kind="thread")
    track = replace(trace.tracks[0], outcome=LEFT_RUNNING, end_ns=None, **changes)  # type: ignore[arg-type]
    return replace(trace, tracks=(track,))


def test_what_is_left_running_is_named() -> None:
    (finding,) = found(left(), "left-running")
    assert finding.message == "a is still running after the cell."


def test_a_daemon_that_waits_for_work_is_not_left() -> None:
    states = (StateInterval(0, 6 * MS, State.WAITING, "Queue.get"),)
    assert not found(left(daemon=True, states=states), "left-running")
    assert found(left(daemon=False, states=states), "left-running")


def test_a_daemon_that_nobody_of_the_cell_started_is_not_left_while_it_waits() -> None:
    at_a_socket = (StateInterval(0, 6 * MS, State.WAITING, "socket"),)
    handler = left(daemon=True, states=at_a_socket)
    assert not found(handler, "left-running")
    started = Flow("spawn", 5, 0, handler.tracks[0].id, 0)
    assert found(replace(handler, flows=(started,)), "left-running")
    assert found(left(daemon=False, states=at_a_socket), "left-running")


def test_a_daemon_with_an_idle_loop_is_not_left() -> None:
    idle, busy = (StateInterval(0, 6 * MS, state, "") for state in (State.WAITING, State.RUNNING))
    for states, daemon, expected in (((idle,), True, 0), ((busy,), True, 1), ((idle,), False, 1)):
        trace = left(daemon=daemon, states=states)
        loop = replace(trace.tracks[0], id=7, kind="loop", parent=trace.tracks[0].id, outcome=RETURNED)
        trace = replace(trace, tracks=(*trace.tracks, loop))
        assert len(found(trace, "left-running")) == expected, (states, daemon)


def test_an_idle_worker_of_a_pool_is_not_left() -> None:
    states = (StateInterval(0, 6 * MS, State.WAITING, "for work"),)
    assert not found(left(group="pool", states=states), "left-running")
    assert found(left(group="pool"), "left-running")


def test_a_pool_worker_that_has_just_done_its_last_job_is_not_left_running() -> None:
    trace = left(group="pool")
    worker = next(track.id for track in trace.tracks if track.outcome == LEFT_RUNNING)
    over = Job(0, "job", worker, 0, 0, MS, RETURNED)
    assert not found(replace(trace, jobs=(over,)), "left-running")
    assert found(replace(trace, jobs=(over, replace(over, index=1, end_ns=None))), "left-running")


def ended(kind: str, outcome: str, message: str = "", **changes: object) -> Trace:
    """A cell with one more track that ended so."""
    trace = trace_from_text("main  RRRR\nother  RRR.", kind=kind, host="main")  # type: ignore[arg-type]
    how = replace(outcome_of(outcome), message=message)
    other: Track = replace(trace.tracks[1], outcome=how, parent=0, **changes)  # type: ignore[arg-type]
    return replace(trace, tracks=(trace.tracks[0], other))


def test_an_exception_in_a_thread_is_a_warning_whatever_it_took() -> None:
    (finding,) = found(ended("thread", "raised ValueError", "ValueError: no"), "exception-in-thread")
    assert finding.severity == "warning"
    assert "ValueError: no" in finding.message


def test_a_thread_that_returns_or_exits_is_fine() -> None:
    assert not found(ended("thread", "returned"), "exception-in-thread")
    assert not found(ended("thread", "raised SystemExit"), "exception-in-thread")


def test_a_child_that_was_killed_is_told_with_the_likely_cause() -> None:
    (finding,) = found(ended("process", "killed by SIGKILL"), "child-died")
    assert "memory" in finding.hint


def test_a_pool_may_end_its_workers() -> None:
    assert not found(ended("process", "killed by SIGTERM", group="Pool-1"), "child-died")
    assert found(ended("process", "killed by SIGTERM"), "child-died")
    assert not found(ended("process", "returned"), "child-died")


def test_a_failing_lint_costs_only_itself() -> None:
    def fails(trace: Trace, metrics: Metrics) -> Iterator[Finding]:
        raise ZeroDivisionError("oops")

    trace = trace_from_text(BLOCKED)
    findings = find(trace, compute(trace), lints=(Lint("bad", fails), *LINTS))
    assert {one.lint for one in findings} == {"bad", "blocked-event-loop"}
    said = [one.message for one in findings if one.lint == "bad"]
    assert said == ["The check bad failed (ZeroDivisionError: oops)."]


def test_a_disabled_lint_is_not_asked() -> None:
    trace = trace_from_text(BLOCKED)
    assert not find(trace, compute(trace), disabled=("blocked-event-loop",))


def test_warnings_stand_before_notes_and_by_cost() -> None:
    def costs(*seconds: float) -> Iterator[Finding]:
        return iter([Finding(values=BusyMachine(round(each * 1e9), 10**9), cost_s=each) for each in seconds])

    trace = replace(trace_from_text("a  R"), wall_ns=1000 * MS)
    lint = Lint("x", lambda trace, metrics: costs(0.02, 0.3, 0.9))
    findings = find(trace, compute(trace), lints=(lint,))
    assert [(one.severity, one.cost_s) for one in findings] == [
        ("warning", 0.9),
        ("warning", 0.3),
        ("note", 0.02),
    ]


def test_names_are_kebab_and_unique() -> None:
    names = [lint.name for lint in LINTS]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and " " not in name for name in names)
