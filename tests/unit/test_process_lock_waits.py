"""Waits for what processes share: who let go what ended each, in the trace and on the path."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from recordings import MAIN, MS, at, kernel, recording, thread

from concmagic.importing.importer import import_recording
from concmagic.importing.process_lock_waits import SharedWait, shared_waits
from concmagic.model.trace import State, Trace
from concmagic.records.handed_over import ProcessLockLog, ProcessLockWait
from concmagic.records.recording import ProcessRecord

A, B, C = 50, 60, 70
Release = tuple[int, float]  # who let go, and when
Wait = tuple[int, float, float]  # who waited, from when to when


def log(
    pid: int, releases: list[float], waits: list[tuple[float, float]], lock: str = "x", **more: float
) -> ProcessLockLog:
    ended = at(more["ended"]) if "ended" in more else None
    return ProcessLockLog(
        (lock,),
        tuple(ProcessLockWait(0, pid, at(begin), at(end), True) for begin, end in waits),
        tuple((0, pid, at(moment)) for moment in releases),
        ended,
    )


def child(pid: int, made: ProcessLockLog | None) -> ProcessRecord:
    return kernel(
        thread(pid), pid=pid, parent_pid=MAIN, main_native_id=pid, name=f"child {pid}", process_locks=made
    )


def enders(*logs: ProcessLockLog | None) -> list[tuple[int, int | None]]:
    """Whose wait was ended by whom, in the order of the ends."""
    processes = [child(pid, made) for pid, made in zip((A, B, C), logs, strict=False)]
    return [(one.waiter[0], one.releaser[0] if one.releaser else None) for one in shared_waits(processes)]


def test_a_wait_ends_by_the_last_release_before_its_end() -> None:
    assert enders(log(A, [10, 20], []), log(B, [], [(5, 20.1)]), log(C, [15], [])) == [(B, A)]
    assert enders(log(A, [10, 20], []), log(B, [], [(5, 30.1)]), log(C, [30], [])) == [(B, C)]


def test_each_release_lets_one_go_on_also_where_the_first_is_noted_last() -> None:
    late, quick = log(A, [10], [(11, 25)]), log(C, [20], [(2, 10.1)])
    assert enders(late, log(B, [], [(12, 20.1)]), quick) == [(C, A), (B, C), (A, None)]
    both = log(B, [], [(2, 20.1)])
    assert enders(log(A, [10, 20], []), both, log(C, [], [(1, 25)])) == [(B, A), (C, A)]


def test_a_release_before_a_wait_or_long_before_its_end_is_none_of_its() -> None:
    assert enders(log(A, [4], []), log(B, [], [(5, 20)])) == [(B, None)]
    assert enders(log(A, [10], []), log(B, [], [(5, 600)])) == [(B, None)]


def test_of_a_log_that_ends_early_only_what_was_just_before_counts() -> None:
    assert enders(log(A, [10], []), log(B, [], [(5, 20)])) == [(B, A)]
    assert enders(log(A, [10], [], ended=12), log(B, [], [(5, 20)])) == [(B, None)]
    assert enders(log(A, [10], [], ended=12), log(B, [], [(5, 11)])) == [(B, A)]


def test_another_lock_ends_nothing() -> None:
    assert enders(log(A, [19], [], lock="y"), log(B, [], [(5, 20)])) == [(B, None)]


def test_what_was_given_up_was_ended_by_nobody() -> None:
    waits = log(B, [], [(5, 20)])
    given_up = replace(waits, waits=tuple(one._replace(taken=False) for one in waits.waits))
    assert enders(log(A, [19], []), given_up) == [(B, None)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1, max_size=12))
def test_of_a_lock_that_goes_from_one_to_the_next_each_got_it_from_the_one_before(
    turns: list[tuple[int, int]],
) -> None:
    """All come at once; each has it for a while, is noted late, and lets it go."""
    now, releases, waits, order = 100.0, [], [], []
    for number, (held, late) in enumerate(turns):
        releases.append((number, now))
        waits.append((number + 1, 1.0, now + late / 100))
        order.append((number + 1, number))
        now += 1 + held
    logs = [
        log(1000 + who, [at_ms for one, at_ms in releases if one == who],
            [(begin, end) for one, begin, end in waits if one == who])
        for who in range(len(turns) + 1)
    ]  # fmt: skip
    found = shared_waits([child(1000 + who, made) for who, made in enumerate(logs)])
    assert [(one.waiter[0] - 1000, one.releaser[0] - 1000) for one in found if one.releaser] == order


def traced(*more: ProcessRecord) -> Trace:
    own = kernel(thread(), process_locks=log(MAIN, [], [(10, 60.5)]))
    return import_recording(recording(own, *more))


def test_a_thread_waited_until_it_was_let_go_and_a_flow_tells_by_whom() -> None:
    trace = traced(child(A, log(A, [60], [])))
    (flow,) = [flow for flow in trace.flows if flow.kind == "release"]
    names = {track.id: (track.pid, track.kind) for track in trace.tracks}
    assert (names[flow.source], names[flow.target]) == ((A, "thread"), (MAIN, "thread"))
    assert (flow.source_ns, flow.target_ns) == (60 * MS, 60 * MS)
    main = next(track for track in trace.tracks if track.id == flow.target)
    waited = [one for one in main.states if one.state is State.WAITING]
    assert [(one.pair, one.reason) for one in waited] == [((10 * MS, 60 * MS), "process lock")]


def test_a_wait_that_nobody_is_known_to_have_ended_is_told_as_a_wait() -> None:
    trace = traced(child(A, None))
    assert Counter(flow.kind for flow in trace.flows)["release"] == 0
    main = next(track for track in trace.tracks if track.kind == "thread" and track.pid == MAIN)
    assert [one.pair for one in main.states if one.state is State.WAITING] == [(10 * MS, round(60.5 * MS))]


def test_waits_are_told_in_the_order_of_their_ends() -> None:
    found = shared_waits([child(A, log(A, [], [(1, 9), (10, 20)])), child(B, log(B, [], [(2, 5)]))])
    assert found == tuple(
        SharedWait((pid, pid), at(begin), at(end)) for pid, begin, end in ((B, 2, 5), (A, 1, 9), (A, 10, 20))
    )
