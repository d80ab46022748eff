"""The lints about asyncio: each finds its case and leaves the near miss alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.trace_text import MS, end_of, trace_from_text

from concmagic import sentences
from concmagic.analysis import Finding
from concmagic.analysis.lint_awaits import sites
from concmagic.analysis.lints import find
from concmagic.analysis.metrics import compute
from concmagic.analysis.wait_chains import chains, longest_chains
from concmagic.model.outcomes import LEFT_RUNNING, RETURNED, Outcome, outcome_of
from concmagic.model.saved import from_plain, to_plain
from concmagic.model.trace import NO_FACTS, Facts, Flow, Function, Group, Resource, State, Trace


def found(trace: Trace, name: str) -> list[Finding]:
    """What one lint says of a trace."""
    return [one for one in find(trace, compute(trace)) if one.lint == name]


def said_of(trace: Trace) -> list[str]:
    """What the error of a cell that ran out of time says of who waited."""
    return [
        sentences.still_waiting(tuple(link.values for link in chain.links)) for chain in longest_chains(trace)
    ]


def changed(trace: Trace, **tracks: dict[str, object]) -> Trace:
    """The trace with some fields of the tracks of these names changed."""
    made = [replace(track, **tracks.get(track.name, {})) for track in trace.tracks]  # type: ignore[arg-type]
    return replace(trace, tracks=tuple(made))


def waits(trace: Trace, name: str, *reasons: tuple[str, Facts]) -> Trace:
    """The trace with reason and facts of one track's waits, in order."""
    told = iter(reasons)
    (track,) = [one for one in trace.tracks if one.name == name]
    states = []
    for one in track.states:
        if one.state is State.WAITING:
            reason, facts = next(told)
            one = replace(one, reason=reason, facts=facts)
        states.append(one)
    return changed(trace, **{name: {"states": tuple(states)}})


# blocked-event-loop

LONG = "blocker  " + "B" * 60 + "." * 940 + "\nvictim   WW" + "Y" * 58 + "R" * 940


def test_a_long_step_in_a_long_cell_blocks_from_50_ms_on() -> None:
    assert len(found(trace_from_text(LONG), "blocked-event-loop")) == 1
    assert not found(trace_from_text(LONG.replace("B" * 60, "B" * 49)), "blocked-event-loop")


def test_a_step_counts_as_a_whole() -> None:
    parts = LONG.replace("B" * 60, "B" * 20 + "R" * 5 + "B" * 20 + "R" * 15)
    (finding,) = found(trace_from_text(parts, reasons={"blocker": "time.sleep"}), "blocked-event-loop")
    assert "time.sleep" in finding.message and "(victim)" in finding.message
    assert finding.cost_s == 0.058


def test_tasks_that_have_not_begun_are_kept_waiting_too() -> None:
    drawn = (
        "blocker  "
        + "B" * 60
        + "R" * 40
        + "\nfirst  SS"
        + "S" * 58
        + "R" * 40
        + "\nsecond  "
        + "S" * 60
        + "R" * 40
    )
    (finding,) = found(trace_from_text(drawn, reasons={"blocker": "time.sleep"}), "blocked-event-loop")
    assert finding.message.endswith("while 2 tasks were ready (first and second).")


def kept_from_a_core(drawn: str) -> Trace:
    """As drawn, but what the blocker was READY for is a core."""
    trace = trace_from_text(drawn)
    (blocker,) = [one for one in trace.tracks if one.name == "blocker"]
    states = [replace(one, reason="core") if one.state is State.READY else one for one in blocker.states]
    return changed(trace, blocker={"states": tuple(states)})


def test_a_short_step_that_other_programs_make_long_blocks_nothing() -> None:
    kept = "blocker  " + "RR" + "Y" * 95 + "RRR" + "\nvictim   WW" + "Y" * 98
    assert not found(kept_from_a_core(kept), "blocked-event-loop")


def test_what_other_programs_took_of_a_long_step_is_not_its_cost() -> None:
    kept = "blocker  " + "R" * 15 + "Y" * 70 + "R" * 15 + "\nvictim   WW" + "Y" * 98
    (finding,) = found(kept_from_a_core(kept), "blocked-event-loop")
    assert finding.message.startswith("For 30 of 100 ms nobody else could run: a step of blocker blocked")
    assert finding.cost_s == pytest.approx(0.028)


def test_steps_of_several_tasks_are_told_as_theirs() -> None:
    drawn = (
        "a  " + "R" * 20 + "Y" * 60 + "\nb  " + "Y" * 20 + "R" * 30 + "Y" * 30 + "\nc  " + "Y" * 50 + "R" * 30
    )
    (finding,) = found(trace_from_text(drawn), "blocked-event-loop")
    assert "steps of b and 2 other tasks, 3 times, blocked the loop" in finding.message


def test_who_gives_a_pool_its_first_job_is_not_sent_to_a_pool() -> None:
    trace = trace_from_text(LONG, reasons={"blocker": "asyncio.to_thread"})
    (block,) = [one for one in trace.tracks[0].states if one.state is State.BLOCKING]
    starts = replace(block, facts=Facts(call="Thread.start"))
    (finding,) = found(changed(trace, blocker={"states": (starts,)}), "blocked-event-loop")
    assert "asyncio.to_thread (in Thread.start)" in finding.message
    assert finding.hint.startswith("A pool starts its threads with its first jobs")


# many-small-blocks

SMALL = "writer  " + "BBBBBW" * 20 + "\nother   " + "WYYYYR" * 20


def test_many_small_blocks_are_one_finding() -> None:
    (finding,) = found(trace_from_text(SMALL, reasons={"writer": "posix.write"}), "many-small-blocks")
    assert finding.message.startswith("posix.write at line 2 blocked the loop 20 times")
    assert finding.cost_s == 0.08
    assert "(other)" in finding.message


@pytest.mark.parametrize(
    "drawn", [SMALL.replace("Y", "W"), SMALL.replace("B", "R"), SMALL.replace("Y", "W", 70)]
)
def test_small_blocks_that_keep_nobody_or_compute_are_none(drawn: str) -> None:
    assert not found(trace_from_text(drawn), "many-small-blocks")


# starved-task

STARVED = "a  " + "RYWW" * 25 + "\nb  " + "WRYW" * 25 + "\nc  " + "WWRY" * 25 + "\nlast  R" + "Y" * 97 + "RR"


def test_a_task_that_seldom_has_its_turn_is_a_note() -> None:
    (finding,) = found(trace_from_text(STARVED), "starved-task")
    assert (finding.severity, finding.tracks) == ("note", (3,))


@pytest.mark.parametrize("reason", ["core", "GIL"])
def test_a_loop_without_a_core_starves_nobody(reason: str) -> None:
    """The loop served nobody meanwhile: it had no core, or another thread the GIL."""
    trace = trace_from_text(STARVED + "\nloop  " + "Y" * 300)
    *tasks, loop = trace.tracks
    kept = tuple(replace(one, reason=reason) for one in loop.states)
    served = replace(trace, tracks=(*tasks, replace(loop, kind="thread", states=())))
    assert found(served, "starved-task")
    missing = replace(trace, tracks=(*tasks, replace(loop, kind="thread", states=kept)))
    assert found(missing, "starved-task") == []


def test_tasks_that_take_turns_are_not_starved() -> None:
    assert not found(
        trace_from_text("a  " + "RYYY" * 25 + "\nb  " + "YRYY" * 25 + "\nc  " + "YYRY" * 25), "starved-task"
    )


# never-awaited, exception-never-retrieved


def test_a_coroutine_that_was_never_awaited_is_named_with_its_line() -> None:
    source = "async def fetch(): pass\nfetch()\nawait fetch()"
    trace = replace(trace_from_text("a  R", source=source), unawaited=(Function("fetch", "", 2),) * 2)
    (finding,) = found(trace, "never-awaited")
    assert finding.message == "fetch() was called 2 times at line 3 and never awaited: nothing of it ran."
    assert (finding.severity, finding.line) == ("warning", 3)
    assert found(from_plain(to_plain(trace)), "never-awaited") == [finding]


def test_without_evidence_nothing_was_forgotten() -> None:
    assert not found(trace_from_text("a  R", source="fetch()"), "never-awaited")


def failed(**changes: object) -> Trace:
    """A cell with a task that failed."""
    values = {"outcome": Outcome("raised", "ValueError", "ValueError: no"), "unretrieved": True}
    return changed(trace_from_text("main  RRR\nbad   R.."), bad=values | changes)


def test_an_exception_that_nobody_asked_for_is_a_warning() -> None:
    (finding,) = found(failed(), "exception-never-retrieved")
    assert finding.message == "Task bad failed with ValueError: no, and nothing asked for its result."
    assert finding.severity == "warning"


def test_of_many_alike_tasks_how_they_all_ended_is_told() -> None:
    trace = failed()
    ends = ((Outcome("raised", "ValueError"), 1_200), (RETURNED, 3))
    group = Group(trace.tracks[1].id, 1_203, 1_203, 1_200, 1_203, 0, 3, 0, 0, 0, ends)
    trace = replace(trace, groups=(group,))
    (finding,) = found(trace, "exception-never-retrieved")
    told = "1,200 raised ValueError, 3 returned: ValueError: no"
    assert finding.message == f"Task bad × 1,203 failed with {told}, and nothing asked for its result."
    assert end_of(trace, trace.tracks[1]) == told


def test_an_exception_that_somebody_asked_for_is_none() -> None:
    assert not found(failed(unretrieved=False), "exception-never-retrieved")
    assert not found(failed(role="machinery"), "exception-never-retrieved")


# left-running


def left(**changes: object) -> Trace:
    """A cell with a task that goes on."""
    return changed(
        trace_from_text("main  RRRR\nbg    .RWW"), bg={"outcome": LEFT_RUNNING, "end_ns": None} | changes
    )


def test_a_task_that_outlives_the_cell_is_named() -> None:
    (finding,) = found(left(line=3), "left-running")
    assert (finding.message, finding.line) == ("bg is still running after the cell.", 3)


def test_a_consumer_or_an_earlier_cells_task_is_not_left() -> None:
    assert not found(waits(left(), "bg", ("Queue.get", NO_FACTS)), "left-running")
    assert not found(left(start_ns=0), "left-running")
    assert not found(left(role="machinery"), "left-running")


# sequential-awaits

ROW = "fetch(1), fetch(2), fetch(3) and fetch(4) at lines 5, 6, 7 and 8"
FETCH = "async def fetch(n):\n    await sleep(n)\n    return n\n"


def one_after_the_other(body: str, function: str = FETCH, reason: str = "sleep") -> list[Finding]:
    """What is said of a cell that waits four times for 100 ms, on line 3."""
    trace = trace_from_text("cell  " + ("R" + "W" * 100) * 4, host="cell", source=function + body)
    host = trace.tracks[0]
    states = tuple(replace(one, line=3, reason=reason) if one.line else one for one in host.states)
    return found(replace(trace, tracks=(replace(host, states=states),)), "sequential-awaits")


@pytest.mark.parametrize(
    "body",
    [
        "for n in ns:\n    out.append(await fetch(n))",
        "[await fetch(n) for n in ns]",
        "a = await fetch(1)\nb = await fetch(2)\nc = await fetch(3)\nd = await fetch(4)",
        "total = 0\nfor n in ns:\n    total += await fetch(n)",
        "for n in ns:\n    await fetch(n)\nawait asyncio.gather(*(fetch(n) for n in ns))",  # tasks
    ],
)
def test_waits_that_do_not_need_each_other(body: str) -> None:
    (finding,) = one_after_the_other(body)
    assert finding.cost_s == pytest.approx(0.3)
    told = (
        "fetch(1), fetch(2), fetch(3) and fetch(4) at lines 5, 6, 7 and 8"
        if "d =" in body
        else "4 × await fetch("
    )
    assert finding.message.startswith(f"{told}")
    assert finding.hint.startswith("await asyncio.gather(") or "await fetch(n)" in body


@pytest.mark.parametrize("first", ["", "a = "])
def test_waits_of_which_nobody_keeps_the_value_are_a_question_of_order(first: str) -> None:
    """They are wanted for what they do: a note."""
    body = f"{first}await fetch(1)\nawait fetch(2)\nawait fetch(3)\nawait fetch(4)"
    (finding,) = one_after_the_other(body)
    assert finding.severity == "note"
    assert finding.message.startswith(
        "fetch(1), fetch(2), fetch(3) and fetch(4) at lines 5, 6, 7 and 8 waited"
    )
    assert finding.hint.startswith(
        "If their order does not matter: await asyncio.gather(fetch(1), fetch(2), fetch(3), …)"
    )


@pytest.mark.parametrize(
    "body",
    [
        "n = 1\nwhile n:\n    n = await fetch(n)",
        "for n in ns:\n    last = await fetch(n, last)",  # a data dependence
        "a = await fetch(1)\nb = await fetch(a)",
        "for _ in range(4):\n    await fetch(1)",  # a poll
        "for n in ns:\n    if await fetch(n):\n        break",
        "for n in ns:\n    try:\n        await fetch(n)\n    except ValueError:\n        pass",
        "for n in ns:\n    async with lock:\n        await fetch(n)",
        "async with lock:\n    for n in ns:\n        await fetch(n)",
        "async for n in ns:\n    await fetch(n)",
        "for n in ns:\n    await session.fetch(n)",  # perhaps one connection
        "for n in ns:\n    await asyncio.sleep(n)",
        "await fetch(1)\nawait fetch(1)",  # a pause
        "a = await fetch(1)\nb = await other(2)",
        # Which of the waits belong to the pair that could be at once is not known.
        "for _ in ns:\n    url = await fetch(url)\na = await fetch(1)\nb = await fetch(2)",
        "async def both(n):\n    return await fetch(n)\nawait both(1)\nfor n in ns:\n    await fetch(n)",
    ],
)
def test_waits_that_may_need_each_other(body: str) -> None:
    assert not one_after_the_other(body)


def test_what_is_read_from_a_stream_has_its_order() -> None:
    assert not one_after_the_other("[await fetch(n) for n in ns]", reason="stream read")


def test_a_function_that_loops_tells_no_single_calls() -> None:
    looping = "async def fetch(n):\n  for _ in n: await sleep(1)\n"
    assert not list(sites(looping + "for n in ns:\n    await fetch(n)"))


def test_waits_while_others_are_at_work_are_shared_out() -> None:
    source = FETCH + "for n in ns:\n    await fetch(n)"
    drawn = "cell  " + ("R" + "W" * 50) * 4 + "\nother  " + "W" * 200
    trace = trace_from_text(drawn, host="cell", source=source)
    host = trace.tracks[0]
    states = tuple(replace(one, line=3) if one.line else one for one in host.states)
    assert found(replace(trace, tracks=(replace(host, states=states),)), "sequential-awaits")
    assert not found(
        replace(trace, tracks=(replace(host, states=states), trace.tracks[1])), "sequential-awaits"
    )


# concurrency-capped

CAP_SOURCE = "sem = asyncio.Semaphore({})\nasync def job():\n    async with sem:\n        await sleep(1)\n"


def queue_of(bound: int, inside: str = "W") -> Trace:
    """Four tasks, two at a time: two wait at once, two queue on line 4 before."""
    drawn = "\n".join(
        [
            f"a  R{inside * 50}{'.' * 50}",
            f"b  R{inside * 50}{'.' * 50}",
            "c  RW" + "W" * 99,
            "d  RW" + "W" * 99,
        ]
    )
    trace = trace_from_text(drawn, source=CAP_SOURCE.format(bound))
    tracks = []
    for track in trace.tracks:
        if track.name in "cd":
            run, wait = track.states
            queued = replace(wait, end_ns=51 * MS, reason="Semaphore", line=4)
            track = replace(track, states=(run, queued, replace(wait, start_ns=51 * MS, line=5)))
        tracks.append(track)
    return replace(trace, tracks=tuple(tracks))


def test_a_semaphore_that_bounds_is_named_with_its_queue() -> None:
    (finding,) = found(queue_of(2), "concurrency-capped")
    assert finding.severity == "note"  # the bound was asked for
    assert finding.message == "`sem`, line 4, let no more than 2 through at once: 2 queued for 50 ms."
    assert finding.cost_s == 0.05


def test_where_the_bound_is_not_told_it_is_counted() -> None:
    trace = replace(queue_of(2), source="")
    assert (
        "A semaphore, line 4, let no more than 2 through at once"
        in found(trace, "concurrency-capped")[0].message
    )


def test_a_bound_of_one_is_a_lock() -> None:
    assert not found(queue_of(1), "concurrency-capped")


def test_with_a_busy_loop_a_larger_bound_would_not_help() -> None:
    assert not found(queue_of(2, inside="R"), "concurrency-capped")


# deadlock


def task(who: int) -> Facts:
    """Of who awaits this task."""
    return Facts(waits_for=(who,))


def lock(number: int, who: int) -> Facts:
    """Of who waits for a lock that this task has."""
    return Facts(number, (who,), (who,))


def stopped(*pairs: tuple[str, str, Facts], outcome: str = "raised TimeoutError") -> Trace:
    """A cell that was stopped while tasks (name, reason, facts) waited."""
    drawn = "\n".join(
        f"{name}  .{'R' * (index + 1)}{'W' * (90 - index)}" for index, (name, _, _) in enumerate(pairs)
    )
    locks = (Resource("lock", "l1"), Resource("lock", "l2"))
    trace = replace(trace_from_text(drawn), outcome=outcome_of(outcome), resources=locks)
    for name, reason, facts in pairs:
        trace = waits(trace, name, (reason, facts))
        trace = changed(trace, **{name: {"outcome": Outcome("cancelled")}})
    return trace


def test_tasks_that_await_each_other_are_a_deadlock() -> None:
    (finding,) = found(stopped(("A", "task", task(1)), ("B", "task", task(0))), "deadlock")
    assert finding.message == "Deadlock: A waits for task B (line 2), B waits for task A (line 3)."
    assert set(finding.tracks) == {0, 1}


def test_two_locks_in_opposite_order_are_a_deadlock() -> None:
    trace = stopped(("one", "Lock", lock(1, 1)), ("two", "Lock", lock(0, 0)), outcome="interrupted")
    (finding,) = found(trace, "deadlock")
    assert "one waits for Lock l2 (held by two) (line 2)" in finding.message


def test_a_chain_that_ends_is_told_and_is_no_deadlock() -> None:
    trace = stopped(("A", "Lock", lock(0, 1)), ("B", "task", task(2)), ("C", "Event", NO_FACTS))
    assert not found(trace, "deadlock")
    assert said_of(trace) == [
        "A waits for Lock l1 (held by B) (line 2), B waits for task C (line 3), C waits for Event (line 4)."
    ]


def test_a_group_waits_for_its_task() -> None:
    trace = stopped(("cell", "TaskGroup", NO_FACTS), ("child", "Event", NO_FACTS))
    trace = replace(trace, flows=(Flow("spawn", 0, 0, 1, MS),))
    assert "cell waits for TaskGroup (task child)" in said_of(trace)[0]


def test_tasks_of_one_name_are_told_apart() -> None:
    pairs = ("A", "task", task(1)), ("w-1", "task", task(0)), ("w-2", "Event", NO_FACTS)
    named = changed(stopped(*pairs), **{"w-1": {"name": "w"}, "w-2": {"name": "w"}})
    assert {chain.cycle for chain in chains(named)} == {(0, 1), (1, 0), ()}


def test_a_cell_that_ended_by_itself_has_no_deadlock() -> None:
    assert not found(stopped(("A", "task", task(1)), ("B", "task", task(0)), outcome="returned"), "deadlock")
