"""Waits of threads: where they turn into READY, at what and for whom they are."""

from __future__ import annotations

from recordings import CELL, MAIN, MS, at, kernel, recording, thread
from tests.trace_text import said

from concmagic.importing.clock_ids_places import CellClock, TrackIds
from concmagic.importing.importer import import_recording
from concmagic.importing.threads.sampled_states import import_holders, import_samples
from concmagic.importing.threads.turns import without_turns
from concmagic.importing.threads.wait_ends import (
    End,
    for_whom,
    joined,
    to_their_ends,
    with_places,
)
from concmagic.model.trace import NO_FACTS, Facts, State, StateInterval, Track
from concmagic.records.recording import JobRecord, SampleLog

CORE_WAIT, HOLDER, LOCK = -6, -7, -4


def wait(begin: float, end: float, reason: str = "sleep", resource: int | None = None) -> StateInterval:
    facts = NO_FACTS if resource is None else Facts(resource)
    return StateInterval(round(begin * MS), round(end * MS), State.WAITING, reason, facts)


def ready(begin: float, end: float, reason: str = "GIL") -> StateInterval:
    return StateInterval(round(begin * MS), round(end * MS), State.READY, reason)


def running(begin: float, end: float) -> StateInterval:
    return StateInterval(round(begin * MS), round(end * MS), State.RUNNING)


def test_a_call_that_ends_in_a_wait_for_the_gil_waited_only_until_then() -> None:
    samples = [wait(0, 20), ready(20, 50)]
    assert without_turns([wait(0, 50)], samples) == [wait(0, 20)]


def test_looking_for_the_gil_now_and_then_is_part_of_wanting_it() -> None:
    samples = [wait(0, 20), ready(20, 25), running(25, 26), ready(26, 40, "core"), ready(40, 50)]
    assert without_turns([wait(0, 50)], samples) == [wait(0, 20)]


def test_a_sleep_of_which_nothing_is_known_between_waits_for_the_gil_is_no_end_of_them() -> None:
    samples = [wait(0, 10, "lock"), ready(10, 20), wait(20, 30, ""), ready(30, 50)]
    assert without_turns([wait(0, 50)], samples) == [wait(0, 10)]
    before_the_call = [running(0, 5), wait(5, 30, ""), ready(30, 50)]
    assert without_turns([wait(1, 50)], before_the_call) == [wait(1, 30)]
    of_the_call_before = [ready(0, 5), wait(5, 30, ""), ready(30, 50)]
    assert without_turns([wait(4, 50)], of_the_call_before) == [wait(4, 30)]
    somewhere_else = [ready(5, 10), wait(10, 30, "lock"), ready(30, 50)]
    assert without_turns([wait(4, 50)], somewhere_else) == [wait(4, 30)]


def test_a_missing_core_that_is_summed_up_over_several_calls_is_of_none_of_them() -> None:
    samples = [wait(0, 100), ready(100, 130, "core"), running(130, 135)]
    calls = [wait(0, 60), wait(61, 120)]
    assert without_turns(calls, samples, 10 * MS) == calls
    seen_between = [wait(0, 55), ready(55, 61, "core"), wait(61, 100), *samples[1:]]
    assert without_turns(calls, seen_between, 2 * MS) == [wait(0, 55), wait(61, 100)]
    assert without_turns(calls, seen_between, 10 * MS) == [wait(0, 60), wait(61, 100)]  # short for that
    of_the_gil = [wait(0, 100), ready(100, 130), running(130, 135)]
    assert without_turns(calls, of_the_gil, 10 * MS) == [wait(0, 60), wait(61, 100)]


def test_a_missing_core_that_has_room_after_a_call_is_no_end_of_it() -> None:
    calls = [wait(0, 100), wait(140, 200)]
    samples = [wait(1, 70), running(70, 80), ready(80, 101, "core"), wait(101, 141, ""), wait(141, 200)]
    assert without_turns(calls, samples, 10 * MS) == calls
    little_room = [wait(1, 70), ready(70, 130, "core"), wait(130, 200)]
    assert without_turns(calls, little_room, 10 * MS) == [wait(0, 70), wait(140, 200)]
    known_wait = [*samples[:3], wait(101, 141, "read"), wait(141, 200)]
    assert without_turns(calls, known_wait, 10 * MS) == [wait(0, 80), wait(140, 200)]


def test_a_call_that_was_not_ready_at_its_end_is_whole() -> None:
    samples = [wait(0, 10), ready(10, 12), wait(12, 50), running(50, 60)]
    assert without_turns([wait(0, 50)], samples, 2 * MS) == [wait(0, 50)]
    assert without_turns([wait(0, 51)], samples, 2 * MS) == [wait(0, 51)]  # it ran at its end: no READY


def test_a_wait_has_the_place_that_samples_saw_in_it() -> None:
    samples = [wait(0, 4, "socket", 0), wait(4, 30, "socket", 1)]
    assert with_places([wait(1, 29, "socket")], samples) == [wait(1, 29, "socket", 1)]
    assert with_places([wait(1, 29, "sleep")], samples) == [wait(1, 29, "sleep")]
    assert with_places([wait(40, 50, "socket")], samples) == [wait(40, 50, "socket")]


def test_a_wait_whose_end_was_not_recorded_lasts_while_samples_agree() -> None:
    samples = [running(0, 5), wait(5, 80, "lock"), running(80, 90)]
    assert to_their_ends([wait(5, 30, "join")], samples) == [wait(5, 80, "join")]
    assert to_their_ends([wait(5, 82, "join")], samples) == [wait(5, 82, "join")]


def track(number: int, *states: StateInterval, end: float | None = None) -> Track:
    stop = None if end is None else round(end * MS)
    return Track(number, "thread", f"t{number}", None, "work", 0, stop, states)


def test_a_join_is_for_the_thread_that_ended_last_in_it() -> None:
    tracks = [track(0, wait(10, 50, "join")), track(1, end=30), track(2, end=49), track(3, end=60)]
    told, flows = joined(tracks, {})
    assert told[0].states[0].waits_for == (2,)
    assert [(flow.source, flow.source_ns // MS, flow.target, flow.target_ns // MS) for flow in flows] == [
        (2, 49, 0, 50)
    ]


def test_a_join_that_was_kept_ready_returned_when_its_call_did() -> None:
    tracks = [track(0, wait(10, 45, "join"), ready(45, 50)), track(1, end=49)]
    assert joined(tracks, {})[0][0].states[0].waits_for == ()
    told, flows = joined(tracks, {0: [(10 * MS, 50 * MS)]})
    assert told[0].states[0].waits_for == (1,)
    assert flows[0].target_ns == 50 * MS


def test_a_thread_does_not_wait_for_itself_nor_for_what_began_later() -> None:
    ends = [End(20 * MS, 0, "own", 0), End(30 * MS, 5, "later", 60 * MS)]
    told, flows = for_whom([track(0, wait(10, 50, "result"))], ends, {}, ("result",), "result")
    assert (told[0].states[0].waits_for, flows) == ((), [])


def test_results_go_to_the_thread_that_waited_for_them() -> None:
    threads = (
        thread(),
        thread(41, "worker", started_ns=at(0), begun_ns=at(0)),
        thread(42, "asker", started_ns=at(0), begun_ns=at(0)),
    )
    jobs = (JobRecord(0, "f(1)", at(1), at(2), at(40), "returned", 40, 41, submitter=MAIN),)
    log = samples((42, 5, 41, LOCK))
    trace = import_recording(recording(kernel(*threads, jobs=jobs), samples=log))
    results = [(flow.source, flow.target) for flow in trace.flows if flow.kind == "result"]
    ids = {one.name: one.id for one in trace.tracks}
    assert results == [(ids["worker"], ids["MainThread"])]  # that the asker waits for it nothing tells


def samples(*rows: tuple[int, float, float, int], **more: object) -> SampleLog:
    import numpy as np

    argument = more.pop("argument", [0] * len(rows))
    columns = zip(*((tid, at(begin), at(stop), code) for tid, begin, stop, code in rows), strict=True)
    native_id, start, end, code = (np.array(column, "<i8").tobytes() for column in columns)
    last = np.array(argument, "<i8").tobytes()
    return SampleLog(native_id, start, end, code, rate_hz=500.0, argument=last, knows_gil=True, **more)  # type: ignore[arg-type]


def test_a_sampled_wait_at_one_socket_with_a_timeout_is_the_sockets() -> None:
    poll, recv = 7, 45
    log = samples(
        (41, 0, 10, poll),
        (42, 0, 10, recv),
        (43, 0, 10, poll),
        details=((41, at(0), "10.0.0.1:443"), (42, at(0), "10.0.0.2:80")),
    )
    ids = TrackIds()
    found = import_samples(log, CellClock(at(0), 100 * MS), ids)
    told = {
        native_id: (one.reason, "" if one.resource is None else ids.resources.rows[one.resource].name)
        for native_id, (one,) in found.items()
    }
    assert told[41] == ("socket", "10.0.0.1:443")
    assert told[42] == ("socket", "10.0.0.2:80")
    assert told[43] == ("select", "")


def test_a_wait_for_a_core_is_ready_and_who_holds_the_gil_is_no_state() -> None:
    log = samples((41, 0, 10, CORE_WAIT), (-40, 0, 10, HOLDER), (-40, 10, 20, HOLDER), argument=[0, 41, 0])
    clock = CellClock(at(0), 100 * MS)
    assert dict(import_samples(log, clock, TrackIds())) == {41: (ready(0, 10, "core"),)}
    assert dict(import_holders(log, clock)) == {40: ((0, 10 * MS, 41), (10 * MS, 20 * MS, 0))}


def test_the_gils_track_is_what_was_read_where_it_was() -> None:
    """Also a holder that is off the cores: no state of a thread would tell."""
    threads = (thread(), thread(41, "napper", started_ns=at(0), begun_ns=at(0)))
    rows = [(MAIN, 0, 100, -3), (41, 0, 100, 230), (-40, 0, 90, HOLDER), (-40, 90, 100, HOLDER)]
    log = samples(*rows, argument=[0, 0, 41, 77])
    trace = import_recording(recording(kernel(*threads), samples=log))
    (gil,) = [one for one in trace.tracks if one.kind == "gil"]
    assert [(one.state, said(trace, one), one.end_ns // MS) for one in gil.states] == [
        (State.RUNNING, "napper", 90),
        (State.UNKNOWN, "", 100),
    ]
    assert CELL  # the cell's own file: no line of it is claimed
    assert {said(trace, one) for one in trace.tracks[2].states} <= {"", "held by napper"}
    ours = kernel(thread(), thread(41, "Addresses._run", origin="ours"))
    trace = import_recording(recording(ours, samples=log))
    (gil,) = [one for one in trace.tracks if one.kind == "gil"]
    assert said(trace, gil.states[0]) == "concmagic"  # a function's name inside of us tells nobody anything
