"""Waits for locks in the trace: reasons, names, holders, flows; exact ones and those from samples."""

from __future__ import annotations

import array
from dataclasses import replace
from typing import Any

import pytest
from tests.trace_text import carried, said
from tests.unit.recordings import CELL, MAIN, MS, at, calls, kernel, recording, thread

from concmagic.importing.importer import import_recording
from concmagic.model.trace import Lock, State, Trace
from concmagic.records.handed_over import CallSite, HeldAtStop, LockLog, LockObject, LockWait, Standing
from concmagic.records.recording import RawCalls, SampleLog

A, B, C = 41, 42, 43
THREADS = (
    thread(), *(thread(number, name, starter=MAIN, started_ns=at(0), begun_ns=at(0))
                for number, name in ((A, "a"), (B, "b"), (C, "c")))
)  # fmt: skip
OWN = CallSite("work", CELL, 7)
PLAIN = (OWN,)
THREADING = "/usr/lib/python3.12/threading.py"
CHAINS = (
    PLAIN,
    (CallSite("Condition.wait", THREADING, 300), CallSite("Event.wait", THREADING, 600), OWN),
    (CallSite("Condition.wait", THREADING, 300), CallSite("Thread.start", THREADING, 900), OWN),
    (CallSite("Condition.__enter__", THREADING, 200), OWN),
)
FUTEX, RUNS, GIL = -4, -1, -3


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library stands where these recordings have it."""
    monkeypatch.setattr("concmagic.code_owner._STDLIB", "/usr/lib/python3.12/")
    monkeypatch.setattr("concmagic.code_owner.known_owners", {})


def wait(who: int, begin: float, end: float | None, **more: Any) -> LockWait:
    """A wait for the first object; taken from its last holder if nothing else is said."""
    values: dict[str, Any] = {"object": 0, "chain": 0, "taken": True}
    if "holders" in more and more.get("taken", True):
        values |= {"releaser": more["holders"][-1], "released_ns": at(end or 0) - MS // 100}
    return LockWait(who, at(begin), None if end is None else at(end), **(values | more))


def samples(*rows: tuple[int, float, float, int, int]) -> SampleLog:
    """Rows (thread, begin, end, code, argument), every two milliseconds."""
    columns = [
        array.array("q", column).tobytes()
        for column in zip(*((who, at(b), at(e), code, arg) for who, b, e, code, arg in rows), strict=True)
    ]
    return SampleLog(*columns[:4], rate_hz=500.0, argument=columns[4], knows_gil=True)


def of(log: LockLog, sampled: SampleLog | None = None, **more: Any) -> Trace:
    return import_recording(recording(kernel(*THREADS, locks=log), samples=sampled, **more))


def exact(*waits: LockWait, name: str = "cache", kind: str = "Lock", **more: Any) -> LockLog:
    objects = (LockObject(kind, name, 5, len(waits), 7 * MS),)
    return LockLog(
        **({"objects": objects, "waits": waits, "chains": CHAINS, "watched": ((at(0), at(100)),)} | more)
    )


def lock_states(trace: Trace, name: str) -> list[tuple[float, float, str, str, int]]:
    (track,) = [one for one in trace.tracks if one.name == name]
    return [
        (one.start_ns / MS, one.end_ns / MS, one.reason, said(trace, one), one.line)
        for one in track.states
        if one.state is State.WAITING
    ]


def test_a_wait_tells_lock_holder_and_line() -> None:
    trace = of(exact(wait(A, 10, 30, holders=(B,))))
    assert lock_states(trace, "a") == [(10, 30, "Lock", "cache, held by b", 7)]


def test_several_holders_are_told_in_order_and_many_by_their_last() -> None:
    trace = of(exact(wait(A, 10, 30, holders=(B, C)), wait(B, 40, 50, holders=(C,), more_holders=9)))
    assert lock_states(trace, "a")[0][3] == "cache, held by b and c"
    assert lock_states(trace, "b")[0][3] == "cache, held by c last"


def test_without_a_name_the_holder_and_the_line_are_told() -> None:
    assert lock_states(of(exact(wait(A, 10, 30, holders=(B,)), name="")), "a")[0][3:] == ("held by b", 7)


def test_a_thread_that_has_it_waits_for_itself() -> None:
    trace = of(exact(wait(A, 10, None, holders=(A,), taken=False)))
    assert lock_states(trace, "a") == [(10, 100, "Lock", "cache, held by a itself", 7)]


def test_inside_an_event_nobody_holds_it_back_but_who_has_not_set_it() -> None:
    trace = of(exact(wait(A, 10, 30, holders=(A,), chain=1, releaser=B), name="ready", kind="Event"))
    assert lock_states(trace, "a") == [(10, 30, "Event", "ready", 7)]
    assert [(flow.kind, carried(trace, flow)) for flow in trace.flows if flow.kind == "release"] == [
        ("release", "ready")
    ]


def test_a_lock_without_a_name_is_told_by_where_it_was_made() -> None:
    made = LockObject("Lock", "", 5, 1, 7 * MS, CallSite("", CELL, 3), 2)
    trace = of(exact(wait(A, 10, 30, holders=(B,), releaser=B), objects=(made,)))
    (flow,) = [one for one in trace.flows if one.kind == "release"]
    assert (flow.detail, carried(trace, flow)) == ("", "made at line 3 (2)")
    assert [(one.name, one.resource) for one in trace.locks] == [("", flow.resource)]


def test_waiting_to_enter_a_condition_is_waiting_for_its_lock() -> None:
    trace = of(exact(wait(A, 10, 30, holders=(B,), chain=3), name="cond", kind="Condition"))
    assert lock_states(trace, "a") == [(10, 30, "Lock", "cond, held by b", 7)]


def test_what_the_library_waits_for_has_no_lock_and_no_flow() -> None:
    trace = of(exact(wait(A, 10, 30, holders=(A,), chain=2, releaser=B)))
    assert lock_states(trace, "a") == [(10, 30, "thread start", "", 7)]
    assert not [flow for flow in trace.flows if flow.kind == "release"]
    assert trace.locks == ()


def test_a_flow_leads_from_who_let_it_go_to_who_got_it() -> None:
    trace = of(exact(wait(A, 10, 30, holders=(B,)), wait(C, 10, 40, holders=(B,), taken=False)))
    ids = {track.name: track.id for track in trace.tracks}
    (flow,) = [one for one in trace.flows if one.kind == "release"]
    assert (flow.source, flow.target, flow.target_ns / MS) == (ids["b"], ids["a"], 30)
    assert flow.source_ns == 30 * MS - MS // 100


def test_totals_of_a_lock_stand_in_the_trace_and_in_its_file() -> None:
    from concmagic.model.saved import from_plain, to_plain

    trace = of(exact(wait(A, 10, 30, holders=(B,))))
    assert trace.locks == (Lock("cache", "Lock", 5, 1, 7 * MS, 0),)
    assert from_plain(to_plain(trace)).locks == trace.locks


def test_after_the_lock_was_let_go_a_thread_waits_for_the_gil() -> None:
    sampled = samples((A, 0, 10, RUNS, 0), (A, 10, 25, FUTEX, 9), (A, 25, 30, GIL, 0), (A, 30, 50, RUNS, 0))
    one = wait(A, 10, 30, holders=(B,), released_ns=at(24))
    assert lock_states(of(exact(one), sampled), "a") == [(10, 25, "Lock", "cache, held by b", 7)]


def with_calls(monkeypatch: pytest.MonkeyPatch, drawn: Any) -> RawCalls:
    monkeypatch.setattr("concmagic.importing.decode_calls.decode", lambda raw: drawn)
    return RawCalls(b"", {}, {}, ((0, 0), (1, 1)), events=1)


def test_the_same_wait_among_the_calls_is_not_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = calls((0, 9.99, 30.01, "_thread.lock.acquire", "", 0), native_id=A)
    raw = with_calls(monkeypatch, drawn)
    log = exact(wait(A, 10, 30, holders=(B,)))
    trace = import_recording(recording(kernel(*THREADS, locks=log, calls=raw)))
    assert lock_states(trace, "a") == [(10, 30, "Lock", "cache, held by b", 7)]


def test_a_sampled_wait_that_begins_too_early_takes_nothing_from_the_call_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sleep's times are exact; when a thread began to wait for a lock is known to a sample only."""
    drawn = calls((0, 10, 50, "time.sleep", "", 0), (0, 51, 90, "_thread.lock.acquire", "", 0), native_id=A)
    raw = with_calls(monkeypatch, drawn)
    sampled = samples((A, 10, 48, 230, 0), (A, 48, 89, FUTEX, 1000))
    trace = import_recording(recording(kernel(*THREADS, locks=SAMPLED, calls=raw), samples=sampled))
    told = [(begin, end, reason) for begin, end, reason, *_ in lock_states(trace, "a") if reason != "lock"]
    assert told == [(10, 50, "sleep"), (51, 90, "Lock")]


@pytest.mark.parametrize(("begin", "end", "left"), [(48, 80, (50, 80)), (2, 12, (2, 10))])
def test_a_sampled_wait_beside_a_call_is_told_without_what_lies_in_the_call(
    monkeypatch: pytest.MonkeyPatch, begin: float, end: float, left: tuple[float, float]
) -> None:
    raw = with_calls(monkeypatch, calls((0, 10, 50, "time.sleep", "", 0), native_id=A))
    sampled = samples((A, begin, end, FUTEX, 1000))
    trace = import_recording(recording(kernel(*THREADS, locks=SAMPLED, calls=raw), samples=sampled))
    told = [(begin, end, reason) for begin, end, reason, *_ in lock_states(trace, "a") if reason != "lock"]
    assert told == sorted([(10, 50, "sleep"), (*left, "Lock")])


def test_a_sampled_wait_over_several_calls_fills_no_gap_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """One result after the other: each wait has a lock of its own, all at one address."""
    drawn = calls(
        *((0, begin, begin + 20, "_thread.lock.acquire", "", 0) for begin in (10, 30.1, 50.2)), native_id=A
    )
    raw = with_calls(monkeypatch, drawn)
    sampled = samples((A, 8, 72, FUTEX, 3000))
    log = replace(SAMPLED, standing=(Standing(A, at(12), at(68), 1),))
    trace = import_recording(recording(kernel(*THREADS, locks=log, calls=raw), samples=sampled))
    told = [(begin, end) for begin, end, reason, *_ in lock_states(trace, "a") if reason != "lock"]
    assert told == [(10, 30), (30.1, 50.1), (50.2, 70.2)]


SAMPLED = LockLog(
    objects=(LockObject("Lock", "cache"), LockObject("RLock", "other")),
    chains=CHAINS,
    addresses=((1000, 0), (2000, 1)),
)


def test_a_sampled_wait_has_the_lock_whose_address_it_slept_at() -> None:
    sampled = samples((A, 10, 30, FUTEX, 1000), (B, 10, 40, FUTEX, 2000))
    trace = of(SAMPLED, sampled)
    assert lock_states(trace, "a") == [(10, 30, "Lock", "cache", 0)]
    assert lock_states(trace, "b") == [(10, 40, "RLock", "other", 0)]


def test_a_sampled_wait_that_begins_before_its_call_takes_nothing_from_the_call_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Samples tell only nearly when the one wait ended and the next began."""
    drawn = calls(
        (0, 10, 29.9, "_thread.lock.acquire", "", 0),
        (0, 30, 50, "_thread.lock.acquire", "", 0),
        native_id=A,
    )
    raw = with_calls(monkeypatch, drawn)
    sampled = samples((A, 10, 26, FUTEX, 3000), (A, 26, 50, FUTEX, 1000))
    trace = import_recording(recording(kernel(*THREADS, locks=SAMPLED, calls=raw), samples=sampled))
    assert lock_states(trace, "a") == [(10, 29.9, "Lock", "", 0), (30, 50, "Lock", "cache", 0)]


def test_a_short_sampled_wait_or_one_elsewhere_is_for_no_known_lock() -> None:
    sampled = samples((A, 10, 19.9, FUTEX, 1000), (B, 10, 40, FUTEX, 3000))
    trace = of(SAMPLED, sampled)
    assert lock_states(trace, "a") == [(10, 19.9, "lock", "", 0)]
    assert lock_states(trace, "b") == [(10, 40, "lock", "", 0)]


STANDING = replace(
    SAMPLED,
    chains=(
        *CHAINS,
        (CallSite("Thread._wait", THREADING, 1100), CallSite("Thread.join", THREADING, 1000), OWN),
    ),
)  # fmt: skip


def test_a_look_during_a_sampled_wait_tells_its_line_and_what_it_is_to_the_user() -> None:
    looks = (
        Standing(A, at(15), at(16), 0),
        Standing(B, at(15), at(16), 1, object=1),
        Standing(C, at(15), at(16), 4, joined=B),
    )
    sampled = samples(
        (A, 10, 30, FUTEX, 1000), (B, 10, 40, FUTEX, 2000), (B, 40, 50, RUNS, 0), (C, 10, 51, FUTEX, 3000)
    )
    trace = of(replace(STANDING, standing=looks), sampled)
    assert lock_states(trace, "a") == [(10, 30, "Lock", "cache", 7)]
    assert lock_states(trace, "b") == [(10, 40, "Event", "other", 7)]
    assert lock_states(trace, "c") == [(10, 51, "join", "of b", 7)]


@pytest.mark.parametrize("look", [(11, 11.5), (25, 29), (5, 35), (31, 32)])
def test_a_look_at_the_edge_of_a_sampled_wait_or_beside_it_tells_nothing_of_it(
    look: tuple[float, float],
) -> None:
    """The thread may have been elsewhere still, or again: a sampling period is not known at either edge."""
    standing = (Standing(A, at(look[0]), at(look[1]), 4, joined=B),)
    trace = of(replace(STANDING, standing=standing), samples((A, 10, 30, FUTEX, 3000)))
    assert lock_states(trace, "a") == [(10, 30, "lock", "", 0)]


def test_a_recorded_join_tells_whose_end_it_was() -> None:
    """The thread that ended last by then is not always the one."""
    joining = wait(A, 10, 30, taken=False, joined=C, chain=4)
    log = replace(exact(joining), chains=STANDING.chains)
    ended = (*THREADS[:2], replace(THREADS[2], ended_ns=at(29.9)), replace(THREADS[3], ended_ns=at(29)))
    trace = import_recording(recording(kernel(*ended, locks=log)))
    assert lock_states(trace, "a") == [(10, 30, "join", "of c", 7)]
    ids = {track.id: track.name for track in trace.tracks}
    assert [(ids[one.source], ids[one.target]) for one in trace.flows if one.kind == "join"] == [("c", "a")]


def letting_go(*moments: tuple[int, float]) -> Any:
    """Calls by which threads let a lock go."""
    parts = [
        calls((0, moment, moment + 0.01, "_thread.lock.__exit__", "", 0), native_id=who)
        for who, moment in moments
    ]
    import numpy as np

    first = parts[0]
    joined = {
        name: np.concatenate([getattr(one, name) for one in parts])
        for name in ("native_id", "start_ns", "end_ns", "function", "is_c", "open", "depth")
    }
    return replace(first, **joined)


@pytest.mark.parametrize(
    ("moments", "detail"),
    [
        (((B, 31), (C, 60)), "cache, held by b"),
        (((B, 27), (B, 28)), "cache, held by b"),
        (((B, 31), (C, 29)), "cache"),  # either may have had it
        (((B, 41),), "cache"),
        (((A, 30),), "cache"),
    ],
)
def test_who_let_a_lock_go_as_a_sampled_wait_ended_had_it(
    monkeypatch: pytest.MonkeyPatch, moments: Any, detail: str
) -> None:
    raw = with_calls(monkeypatch, letting_go(*moments))
    sampled = samples((A, 10, 30, FUTEX, 1000), (A, 32, 100, RUNS, 0))
    trace = import_recording(recording(kernel(*THREADS, locks=SAMPLED, calls=raw), samples=sampled))
    assert lock_states(trace, "a")[0][2:4] == ("Lock", detail)
    flows = [one for one in trace.flows if one.kind == "release"]
    assert len(flows) == ("held" in detail)


def test_nobody_lets_go_before_a_sampled_wait_began(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = with_calls(monkeypatch, letting_go((B, 17)))
    sampled = samples((A, 18, 29, FUTEX, 1000), (A, 32, 100, RUNS, 0))
    seldom = replace(sampled, rate_hz=100.0)  # 17 lies within two periods of the wait's end
    trace = import_recording(recording(kernel(*THREADS, locks=SAMPLED, calls=raw), samples=seldom))
    assert [one for one in trace.flows if one.kind == "release"] == []


def test_a_lock_that_only_samples_saw_and_nobody_knows_has_no_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = with_calls(monkeypatch, letting_go((B, 31)))
    sampled = samples((A, 10, 30, FUTEX, 1000), (A, 32, 100, RUNS, 0))
    nameless = replace(SAMPLED, objects=(LockObject("Lock", ""), *SAMPLED.objects[1:]))
    trace = import_recording(recording(kernel(*THREADS, locks=nameless, calls=raw), samples=sampled))
    assert [one for one in trace.flows if one.kind == "release"] == []


def test_exact_waits_end_where_they_were_no_longer_watched() -> None:
    log = replace(SAMPLED, waits=(wait(A, 10, 30, holders=(B,)),), watched=((at(0), at(50)),))
    sampled = samples((A, 9, 31, FUTEX, 1000), (A, 60, 80, FUTEX, 1000))
    told = [one for one in lock_states(of(log, sampled), "a") if one[2] == "Lock"]
    assert told == [(10, 30, "Lock", "cache, held by b", 7), (60, 80, "Lock", "cache", 0)]


def test_in_a_gap_of_the_watch_waits_are_from_samples() -> None:
    """One that began before it is known until then; one that goes on after it was not seen by itself."""
    watched = (at(0), at(30)), (at(60), at(100))
    log = replace(SAMPLED, waits=(wait(A, 10, 30, holders=(B,)),), watched=watched)
    sampled = samples((A, 10, 45, FUTEX, 1000), (A, 56, 75, FUTEX, 1000), (A, 90, 99, FUTEX, 1000))
    told = [one[:2] for one in lock_states(of(log, sampled), "a") if one[2] == "Lock"]
    assert told == [(10, 30), (30, 45), (56, 75)]


def test_frames_at_the_end_tell_holder_and_line() -> None:
    stopped = (HeldAtStop(A, at(80), 0, (1,), 0), HeldAtStop(B, at(80), 1, (0,), 0))
    sampled = samples((A, 10, 100, FUTEX, 1000), (B, 20, 79, FUTEX, 2000))
    trace = of(replace(SAMPLED, frames=stopped), sampled, outcome="interrupted")
    assert lock_states(trace, "a") == [(10, 100, "Lock", "cache, held by b", 7)]
    assert lock_states(trace, "b") == [(20, 80, "RLock", "other, held by a", 7)]


def test_without_samples_frames_at_the_end_are_what_is_known() -> None:
    stopped = (HeldAtStop(A, at(80), 0, (), 0), HeldAtStop(B, at(80), None, (0,), 0))
    trace = of(replace(SAMPLED, frames=stopped), outcome="interrupted")
    assert lock_states(trace, "a") == [(80, 100, "Lock", "cache, held by b", 7)]


def test_a_log_that_cannot_be_read_costs_only_itself() -> None:
    trace = of(exact(wait(A, 10, 30, object=9)))
    assert any("locks" in problem.values for problem in trace.cost.problems)
    assert {track.name for track in trace.tracks} >= {"a", "b", "c"}


def test_what_sleeps_in_native_code_waits_for_no_lock() -> None:
    """Though every use of a lock was seen until the end; and so do its short sleeps close by."""
    exactly = exact(wait(B, 10, 40), watched=((at(0), at(100)),))
    looks = (Standing(A, at(15), at(16), 0), Standing(B, at(15), at(16), 0))
    sampled = samples(
        (A, 4, 8, FUTEX, 500), (A, 9, 30, FUTEX, 1000), (A, 31, 45, FUTEX, 900), (A, 70, 90, FUTEX, 1000)
    )
    trace = of(replace(exactly, standing=looks, native=frozenset([0])), sampled)
    native = [(4, 8), (9, 30), (31, 45)]
    assert lock_states(trace, "a") == [
        *((*both, "native code", "", 7) for both in native),
        (70, 90, "lock", "", 0),
    ]
    assert lock_states(trace, "b") == [(10, 40, "Lock", "cache", 7)]


def test_a_sleep_at_a_known_lock_or_of_which_there_is_no_look_is_not_in_native_code() -> None:
    looks = (Standing(A, at(15), at(16), 0), Standing(B, at(15), at(16), 1, object=1))
    sampled = samples((A, 10, 30, FUTEX, 1000), (B, 10, 40, FUTEX, 2000), (C, 10, 40, FUTEX, 3000))
    trace = of(replace(STANDING, standing=looks), sampled)
    assert {state[2] for name in "abc" for state in lock_states(trace, name)} == {"Lock", "Event", "lock"}
