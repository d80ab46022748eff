"""The path: what the cell's end had to wait for."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trace_text import MS, trace_from_text

from concmagic.analysis.critical_path import path_of, summarised
from concmagic.model.trace import Facts, Flow, FlowKind, State, StateInterval, Trace


def told(trace: Trace) -> list[tuple[str, str, int]]:
    """The path as (track, state, milliseconds)."""
    names = {track.id: track.name for track in trace.tracks}
    return [
        (
            names.get(part.track, "?") if part.track is not None else "?",
            part.state.value,
            part.length_ns // MS,
        )
        for part in path_of(trace)
    ]


def linked(trace: Trace, *flows: tuple[FlowKind, int, int, int]) -> Trace:
    """With flows (kind, source, target, millisecond)."""
    made = tuple(Flow(kind, source, at * MS, target, at * MS) for kind, source, target, at in flows)
    return replace(trace, flows=made)


def test_a_cell_alone_is_its_own_path() -> None:
    trace = trace_from_text("cell  RRWWWR", host="cell")
    assert told(trace) == [("cell", "running", 2), ("cell", "waiting", 3), ("cell", "running", 1)]


def test_a_wait_for_another_leads_to_what_that_one_did() -> None:
    trace = trace_from_text("cell  RWWWWR\na     .RRRR.", host="cell", reasons={"cell": "join"})
    trace = linked(trace, ("spawn", 0, 1, 1), ("join", 1, 0, 5))
    assert told(trace) == [("cell", "running", 1), ("a", "running", 4), ("cell", "running", 1)]


def test_without_a_flow_the_last_child_to_end_is_the_one_waited_for() -> None:
    trace = trace_from_text(
        "cell  RWWWWR\na     .RR...\nb     .WWWR.", host="cell", reasons={"cell": "gather"}
    )
    trace = linked(trace, ("spawn", 0, 1, 1), ("spawn", 0, 2, 1))
    assert told(trace)[1:3] == [("b", "waiting", 3), ("b", "running", 1)]


def test_a_wait_for_a_process_by_its_sentinel_leads_to_it_if_it_ended_then() -> None:
    reasons = {"cell": "pipe"}
    long = "cell  R" + "W" * 60 + "R"
    trace = trace_from_text(f"{long}\na     .{'R' * 60}.", host="cell", reasons=reasons)
    assert told(linked(trace, ("spawn", 0, 1, 1)))[1] == ("a", "running", 60)
    # It ended long before: what came through the pipe then came from somebody else.
    trace = trace_from_text(f"{long}\na     .{'R' * 20}{'.' * 41}", host="cell", reasons=reasons)
    assert told(linked(trace, ("spawn", 0, 1, 1)))[1] == ("cell", "waiting", 60)


def test_a_message_that_was_read_only_when_its_reader_had_a_core_leads_to_its_sender() -> None:
    def reader(after: str, arrived_ns: int) -> Trace:
        text = f"reader  RWWWWWWWW{after}\nchild   .RRRRRRRR{'.' * len(after)}"
        trace = trace_from_text(text, kind="thread", host="reader", reasons={"reader": "read"})
        sent = Flow("result", 1, 9 * MS - 1, 0, arrived_ns)
        return replace(trace, flows=(Flow("spawn", 0, MS, 1, MS), sent))

    for kept_for in (0, 1, 9):  # milliseconds, from the message to the reader's next run
        trace = reader("Y" * kept_for + "R" * (10 - kept_for), (9 + kept_for) * MS + MS // 2)
        assert told(trace)[:2] == [("reader", "running", 1), ("child", "running", 7)]
    # Not one that came when the reader had gone on already.
    assert told(reader("YRRRRRRRRY", 19 * MS))[:2] == [("reader", "running", 1), ("reader", "waiting", 8)]


def test_a_wait_for_a_result_whose_end_was_sampled_before_that_was_sent_leads_to_its_maker() -> None:
    text = f"cell    R{'W' * 60}RRRR\nchild   .{'R' * 62}.."
    for reason, expected in (("result", ("child", "running", 60)), ("Lock", ("cell", "waiting", 60))):
        trace = trace_from_text(text, kind="thread", host="cell", reasons={"cell": reason})
        result = Flow("result", 1, 62 * MS, 0, 63 * MS)
        trace = replace(trace, flows=(Flow("spawn", 0, MS, 1, MS), result))
        assert told(trace)[1] == expected


def test_a_lock_that_is_let_go_just_after_samples_saw_the_wait_end_leads_to_who_had_it() -> None:
    text = f"cell    R{'W' * 60}RRRR\nother   .{'R' * 62}.."
    trace = trace_from_text(text, kind="thread", host="cell", reasons={"cell": "Queue.get"})
    release = Flow("release", 1, 62 * MS, 0, 63 * MS)
    trace = replace(trace, flows=(Flow("spawn", 0, MS, 1, MS), release))
    assert told(trace)[1] == ("other", "running", 60)


def test_a_message_that_is_read_before_its_writer_is_done_leads_to_the_writer() -> None:
    text = f"cell    R{'W' * 60}RRRR\nother   .{'R' * 64}"
    trace = trace_from_text(text, kind="thread", host="cell", reasons={"cell": "pipe"})
    send = Flow("send", 1, 62 * MS, 0, 62 * MS)
    trace = replace(trace, flows=(Flow("spawn", 0, MS, 1, MS), send))
    assert told(trace)[1] == ("other", "running", 60)


def test_a_sleep_is_ended_by_no_result_that_is_read_after_it() -> None:
    text = f"cell    R{'W' * 60}R\nother   .{'R' * 20}{'.' * 41}"
    trace = trace_from_text(text, kind="thread", host="cell", reasons={"cell": "sleep"})
    result = Flow("result", 1, 21 * MS, 0, 61 * MS)
    trace = replace(trace, flows=(Flow("spawn", 0, MS, 1, MS), result))
    assert ("cell", "waiting", 60) in told(trace)


def test_a_wait_for_the_exit_of_a_worker_leads_to_it_and_one_for_a_command_does_not() -> None:
    trace = trace_from_text(
        "cell  RWWWWR\nchild .RRRR.", kind="thread", host="cell", reasons={"cell": "subprocess"}
    )
    child = replace(trace.tracks[1], kind="process", start_method="fork")
    worker = linked(replace(trace, tracks=(trace.tracks[0], child)), ("spawn", 0, 1, 1))
    assert told(worker)[1] == ("child", "running", 4)
    command = replace(child, start_method="subprocess")
    assert told(replace(worker, tracks=(trace.tracks[0], command)))[1] == ("cell", "waiting", 4)


def test_a_helper_that_waits_for_something_to_do_leads_to_who_started_it() -> None:
    trace = trace_from_text(
        "cell    RRRRWW\nhelper  .WWWRR", host="cell", kind="thread", reasons={"cell": "join"}
    )
    helper = replace(trace.tracks[1], role="machinery")
    trace = replace(trace, tracks=(trace.tracks[0], helper))
    trace = linked(trace, ("spawn", 0, 1, 1), ("join", 1, 0, 6))
    assert told(trace) == [("cell", "running", 4), ("helper", "running", 2)]


def joined(helper: str, reason: str, main: str) -> Trace:
    """Main starts a helper, sleeps (S) and joins it (J); what the helper waits for (W) has this reason."""
    drawn = trace_from_text(
        f"main    {main.replace('S', 'W').replace('J', 'W')}\nhelper  {helper.replace('Z', 'W')}",
        kind="thread",
        host="main",
    )
    tracks = []
    for track, text, names in (
        (drawn.tracks[0], main, {"S": "sleep", "J": "join"}),
        (drawn.tracks[1], helper, {"W": reason, "Z": "sleep"}),
    ):
        states = []
        for letter, run in itertools.groupby(enumerate(text), key=lambda one: one[1]):
            places = [place for place, _ in run]
            state = State.WAITING if letter in names else State.RUNNING
            if letter != ".":
                one = StateInterval(places[0] * MS, (places[-1] + 1) * MS, state, names.get(letter, ""))
                states.append(one)
        tracks.append(replace(track, states=tuple(states), end_ns=states[-1].end_ns))
    return linked(replace(drawn, tracks=tuple(tracks)), ("spawn", 0, 1, 1))


CELLS_OWN_END = [("main", "running", 1), ("main", "waiting", 40), ("main", "waiting", 1)]


@pytest.mark.parametrize("reason", ["for work", "timer", "Queue.get", "Event", "process lock"])
def test_a_helper_that_the_cell_itself_called_off_is_not_what_it_waited_for(reason: str) -> None:
    """Nothing told who ended the helper's wait: it was over as the join began."""
    trace = joined("." + "W" * 41, reason, main="R" + "S" * 40 + "J")
    assert told(trace) == CELLS_OWN_END


def test_a_helper_that_was_called_off_before_its_joiner_had_a_core_again_is_not_either() -> None:
    trace = joined("." + "W" * 38 + "RRRR", "Event", main="R" + "S" * 40 + "RJ")
    assert ("helper", "waiting", 38) not in told(trace)


def test_a_join_in_several_stretches_began_with_the_first() -> None:
    trace = joined("." + "W" * 41 + "RRRRR", "Event", main="R" + "S" * 40 + "JJJRJJ")
    assert ("helper", "waiting", 41) not in told(trace)
    assert ("main", "waiting", 40) in told(trace)


@pytest.mark.parametrize("reason", ["timer", "Queue.get", "Event"])
def test_a_wait_that_outlasts_the_beginning_of_the_join_is_part_of_the_path(reason: str) -> None:
    trace = joined("." + "W" * 40, reason, main="R" + "S" * 10 + "J" * 30)
    assert ("helper", "waiting", 40) in told(trace)


def test_a_worker_without_work_is_never_on_the_path() -> None:
    trace = joined("." + "Z" * 10 + "W" * 25 + "Z" * 3 + "W" * 2, "for work", main="R" + "S" * 30 + "J" * 10)
    names = {part.reason for part in path_of(trace)}
    assert "for work" not in names
    assert ("helper", "waiting", 3) in told(trace)


def test_what_a_command_does_until_the_join_is_not_called_off() -> None:
    trace = joined("." + "W" * 40, "socket", main="R" + "S" * 39 + "J")
    assert ("helper", "waiting", 40) in told(trace)


def test_a_child_is_called_off_through_its_main_thread() -> None:
    trace = joined("." + "W" * 41, "Event", main="R" + "S" * 40 + "J")
    thread = replace(trace.tracks[1], id=2, parent=1, native_id=500)
    process = replace(trace.tracks[1], kind="process", pid=500, native_id=500, parent=0)
    assert told(replace(trace, tracks=(trace.tracks[0], process, thread))) == CELLS_OWN_END


def test_a_lock_that_was_noted_late_leads_to_who_let_it_go() -> None:
    """Its taker needed a core before it could note that it has it."""
    text = "taker   RWWWWWWRRRRRRRRRR\nholder  RRRRRRRWWWWWWWWWW"
    trace = trace_from_text(text, kind="thread", host="taker", reasons={"taker": "Lock"})
    trace = replace(trace, flows=(Flow("release", 1, 7 * MS - 1, 0, 15 * MS),))
    assert told(trace)[:2] == [("holder", "running", 6), ("taker", "waiting", 0)]


def test_a_sleep_leads_to_nobody() -> None:
    trace = trace_from_text("cell  RWWWWR\na     .RRRR.", host="cell")
    assert ("a", "running", 4) not in told(trace)


def test_a_lock_leads_to_who_let_go() -> None:
    trace = trace_from_text("cell  RWWWWR\na     RRRRRW", host="cell", reasons={"cell": "Lock"})
    trace = linked(trace, ("wake", 1, 0, 5))
    assert told(trace) == [("a", "running", 5), ("cell", "running", 1)]


def test_ready_is_what_the_loop_did_meanwhile() -> None:
    trace = trace_from_text("cell  RYYYYR\na     WBBBBW", host="cell", reasons={"a": "time.sleep"})
    drawn = trace_from_text("loop  RBBBBR", kind="loop", reasons={"loop": "time.sleep"}).tracks[0]
    loop = replace(drawn, id=7, native_id=100)
    trace = replace(trace, tracks=(*trace.tracks, loop))
    assert ("loop", "blocking", 4) in told(trace)


def test_a_new_task_that_cannot_start_is_what_the_loop_did_meanwhile() -> None:
    trace = trace_from_text(
        "cell    RWWWWR\ngreedy  SRRRR.\nmodest  SSSSSR", host="cell", reasons={"cell": "gather"}
    )
    drawn = trace_from_text("loop  RRRRRR", kind="loop").tracks[0]
    trace = replace(trace, tracks=(*trace.tracks, replace(drawn, id=7, native_id=100)))
    trace = linked(trace, ("spawn", 0, 1, 0), ("spawn", 0, 2, 0), ("wake", 2, 0, 5))
    assert {(name, state) for name, state, _ in told(trace)} == {("loop", "running"), ("cell", "running")}


def test_a_process_whose_end_was_noticed_after_the_join_is_the_one_waited_for() -> None:
    trace = trace_from_text(
        "main   RWWWWR\nchild  .SSRR.", kind="thread", host="main", reasons={"main": "join"}
    )
    late = replace(trace.tracks[1], end_ns=5 * MS + MS // 2)
    trace = linked(replace(trace, tracks=(trace.tracks[0], late)), ("spawn", 0, 1, 1))
    assert told(trace)[1:3] == [("child", "starting", 2), ("child", "running", 2)]


def test_a_thread_that_runs_a_loop_is_told_by_the_task_it_ran() -> None:
    thread = replace(trace_from_text("main  RRRRRRRR", kind="thread", host="main").tracks[0], id=0)
    loop = replace(trace_from_text("loop  ..RWWR..", kind="loop").tracks[0], id=1, parent=0, unit=False)
    task = replace(trace_from_text("task  ..RWWR..").tracks[0], id=2, parent=1)
    trace = Trace("drawn", "asyncio", 8 * MS, (thread, loop, task))
    assert told(trace) == [
        ("main", "running", 2),
        ("task", "running", 1),
        ("task", "waiting", 2),
        ("task", "running", 1),
        ("main", "running", 2),
    ]


def blocked_in(reason: str) -> Trace:
    """A task whose step waits four milliseconds in a blocking call; a process ends meanwhile."""
    thread = trace_from_text("main  RRWWWWRR", kind="thread", host="main", reasons={"main": reason}).tracks[0]
    child = trace_from_text("child  ..RRRR..", kind="process").tracks[0]
    thread, child = (replace(one, id=n, pid=n, native_id=n) for n, one in ((0, thread), (3, child)))
    loop = trace_from_text("loop  .RBBBBR.", kind="loop").tracks[0]
    task = trace_from_text("task  .RBBBBR.").tracks[0]
    loop = replace(loop, id=1, parent=0, unit=False, pid=0, native_id=0)
    task = replace(task, id=2, parent=1, pid=0, native_id=0)
    return linked(Trace("drawn", "asyncio", 8 * MS, (thread, loop, task, child)), ("spawn", 0, 3, 2))


def test_a_step_that_waits_for_a_process_leads_to_what_that_did() -> None:
    assert told(blocked_in("pool")) == [
        ("main", "running", 1),
        ("task", "running", 1),
        ("child", "running", 4),
        ("task", "running", 1),
        ("main", "running", 1),
    ]


def test_a_step_that_waits_for_a_thread_is_part_of_the_path_itself() -> None:
    """That the loop was blocked meanwhile says more than what the thread did."""
    trace = blocked_in("join")
    thread = replace(trace.tracks[3], kind="thread", pid=0)
    assert told(replace(trace, tracks=(*trace.tracks[:3], thread)))[2] == ("task", "blocking", 4)


def test_a_step_whose_thread_got_its_core_late_leads_on_as_well() -> None:
    trace = blocked_in("pool")
    late = trace_from_text("main  RRWWYYRR", kind="thread", host="main", reasons={"main": "pool"}).tracks[0]
    late = replace(late, id=0, pid=0, native_id=0)
    child = replace(trace.tracks[3], end_ns=4 * MS, states=trace.tracks[3].states[:1])
    child = replace(child, states=(replace(child.states[0], end_ns=4 * MS),))
    found = told(replace(trace, tracks=(late, *trace.tracks[1:3], child)))
    assert found[2:4] == [("child", "running", 2), ("task", "blocking", 2)]


def test_of_several_tasks_of_a_loop_the_cells_own_is_on_the_path() -> None:
    thread = replace(trace_from_text("main  RRRRRRRR", kind="thread").tracks[0], id=0)
    loop = replace(trace_from_text("loop  WWWWWWWW", kind="loop").tracks[0], id=1, parent=0, unit=False)
    old = replace(trace_from_text("old  WWWWWWWW").tracks[0], id=2, parent=1)
    cell = replace(
        trace_from_text("cell  RRWWWWRR", host="cell", reasons={"cell": "gather"}).tracks[0], id=3, parent=1
    )
    worker = replace(trace_from_text("worker  ..RRRR..", kind="thread").tracks[0], id=4)
    trace = Trace("drawn", "asyncio", 8 * MS, (thread, loop, old, cell, worker))
    assert told(linked(trace, ("spawn", 0, 4, 2), ("join", 4, 3, 6))) == [
        ("cell", "running", 2),
        ("worker", "running", 4),
        ("cell", "running", 2),
    ]


def test_what_a_step_gave_a_thread_leads_to_its_task_and_not_to_the_cells_own() -> None:
    """The cell waits for both, and one has ended long before: that is not who gave the thread its work."""
    thread = replace(trace_from_text("main  RRRRRRRRRR", kind="thread").tracks[0], id=0, native_id=7)
    loop = replace(trace_from_text("loop  RRRRRWWWRR", kind="loop").tracks[0], id=1, parent=0, unit=False)
    drawn = (
        ("cell  RWWWWWWWWR", {"cell": "gather"}, 2),
        ("rows  .WWWRWWWR.", {"rows": "future"}, 3),
        ("note  .RR.......", {}, 4),
    )
    tasks = [
        replace(trace_from_text(text, host="cell", reasons=why).tracks[0], id=number, parent=1, native_id=7)
        for text, why, number in drawn
    ]
    helper = trace_from_text("helper  WWWWWRRR..", kind="thread", reasons={"helper": "Queue.get"}).tracks[0]
    helper = replace(helper, id=5, role="machinery", unit=False)
    trace = Trace("drawn", "asyncio", 10 * MS, (thread, loop, *tasks, helper))
    flows = (
        *(("spawn", 0, 5, 0), ("spawn", 2, 3, 1), ("spawn", 2, 4, 1)),
        *(("result", 4, 2, 3), ("wake", 5, 3, 8), ("result", 3, 2, 9)),
    )
    path = told(linked(trace, *flows))
    assert ("helper", "running", 3) in path
    assert path[path.index(("helper", "running", 3)) - 1] == ("rows", "running", 1)
    assert not any(name == "cell" and state == "waiting" for name, state, _ in path)


def test_a_step_that_sleeps_is_part_of_the_path_itself() -> None:
    assert told(blocked_in("sleep"))[2] == ("task", "blocking", 4)


def test_equal_parts_are_summed_longest_first() -> None:
    parts = summarised(path_of(trace_from_text("cell  RWRWWWRR", host="cell")))
    assert [(part.state, length // MS) for part, length in parts] == [(State.RUNNING, 4), (State.WAITING, 4)]


drawings = st.lists(st.text("RBYWSU", min_size=1, max_size=12), min_size=1, max_size=5)
links = st.lists(
    st.tuples(
        st.sampled_from(["wake", "join", "spawn", "result"]),
        st.integers(0, 4),
        st.integers(0, 4),
        st.integers(0, 12),
    ),
    max_size=12,
)


@given(drawings, links, st.sampled_from(["join", "sleep", "Lock"]), st.booleans())
def test_whatever_the_flows_the_parts_cover_the_cell_exactly(
    drawn: list[str], flows: list[tuple[FlowKind, int, int, int]], reason: str, has_host: bool
) -> None:
    text = "\n".join(f"t{number}  {line}" for number, line in enumerate(drawn))
    names = {f"t{number}": reason for number in range(len(drawn))}
    trace = trace_from_text(text, reasons=names, host="t0" if has_host else "")
    known = [flow for flow in flows if flow[1] < len(drawn) and flow[2] < len(drawn)]
    parts = path_of(linked(trace, *known))
    assert sum(part.length_ns for part in parts) == trace.wall_ns
    assert parts[0].start_ns == 0 and parts[-1].end_ns == trace.wall_ns
    assert all(one.end_ns == other.start_ns for one, other in itertools.pairwise(parts))


def test_a_lock_whose_release_nothing_told_leads_to_who_got_it_last() -> None:
    """It passes from one to the next: the second got it as the third waited, so the third has it from it."""
    text = "first   WWWRRRRRR\nsecond  WWWWRRRRR\nthird   WWWWWWWWR"
    reasons = {"first": "sleep", "second": "Lock", "third": "Lock"}
    trace = trace_from_text(text, kind="thread", host="third", reasons=reasons)
    tracks = tuple(
        replace(one, states=tuple(replace(state, facts=Facts(resource=7)) for state in one.states))
        for one in trace.tracks
    )
    assert told(replace(trace, tracks=tracks))[-2:] == [("second", "running", 4), ("third", "running", 1)]
    assert told(trace)[-2:] == [("third", "waiting", 8), ("third", "running", 1)]


def handing_over(text: str, *joins: tuple[int, int, int]) -> Trace:
    """Children that the cell joins; flows (child, when it ended, when the cell saw it)."""
    trace = trace_from_text(text, host="cell", reasons={"cell": "join"})
    spawned = [Flow("spawn", 0, MS, child, MS) for child in (1, 2)]
    joined = [Flow("join", child, ended * MS, 0, seen * MS) for child, ended, seen in joins]
    return replace(trace, flows=(*spawned, *joined))


def test_who_was_done_last_is_on_the_path_and_not_who_handed_over_last() -> None:
    text = "cell  RWWWWWWWWWWRR\na     .RRRTTTTTTT..\nb     .RRRRRRRTT..."
    expected = [("cell", "running", 1), ("b", "running", 7), ("a", "tracing", 3), ("cell", "running", 2)]
    assert told(handing_over(text, (1, 11, 11), (2, 10, 12))) == expected
    later = "cell  RWWWWWWWWWWRWR\na     .RRRTTTTTTT...\nb     .RRRRRRRTTTTTT."
    found = told(handing_over(later, (1, 11, 11), (2, 13, 13)))
    assert found[:3] == [("cell", "running", 1), ("b", "running", 7), ("a", "tracing", 3)]


def test_who_had_ended_before_it_was_joined_may_have_been_done_last() -> None:
    text = "cell  RWWWWWWWWWWR\na     .RRRTTTTTTT.\nb     .RRRRRR....."
    trace = handing_over(text, (1, 11, 11))
    expected = [("cell", "running", 1), ("b", "running", 6), ("a", "tracing", 4), ("cell", "running", 1)]
    assert told(trace) == expected
    daemons = tuple(replace(track, daemon=track.name == "b") for track in trace.tracks)
    assert told(replace(trace, tracks=daemons))[1:3] == [("a", "running", 3), ("a", "tracing", 7)]


def test_a_wait_that_is_for_nothing_but_what_is_ours_is_no_wait_of_the_cells() -> None:
    text = "cell  RRRRRRWWWWWR\na     .RRRTTTTTTT.\nb     .R.........."
    trace = handing_over(text, (1, 11, 11))
    assert told(trace) == [("cell", "running", 6), ("a", "tracing", 5), ("cell", "running", 1)]


def test_a_message_that_was_there_before_a_wait_did_not_end_it() -> None:
    text = "cell  RRRWWWWWWWWR\na     .RRRRRRRRRR.\nb     .RR........."
    trace = handing_over(text, (1, 11, 11))
    sent = Flow("result", 2, 2 * MS, 0, 11 * MS)
    assert told(replace(trace, flows=(*trace.flows, sent)))[1] == ("a", "running", 10)
