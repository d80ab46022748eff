"""Who made, woke, cancelled whom, whose job a thread did; and how each task ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from async_programs import RUNS, turns
from async_truth import flows, order, traced, traced_and_recorded, track, waits
from recorded_tasks import line_of
from tests.trace_text import end_of

from concmagic.analysis.metrics import compute
from concmagic.importing.clock_ids_places import Actors, TrackIds
from concmagic.importing.tasks.task_flows import cancelled_by
from concmagic.model.outcomes import outcome_of
from concmagic.model.trace import State, Trace
from concmagic.sentences import raised_in


def test_to_thread_is_one_story_of_task_and_thread() -> None:
    async def main() -> None:
        go_on = threading.Event()

        async def asks() -> None:
            await asyncio.to_thread(go_on.wait)

        task = asyncio.create_task(asks())
        asyncio.get_running_loop().call_later(0, go_on.set)  # not before the task waits for the job
        await task

    trace = traced(main)
    worker = next(one for one in trace.tracks if one.kind == "thread" and one.group)
    assert [flow for flow in flows(trace) if worker.name in flow and flow[0] != "spawn"] == [
        ("submit", "asks", worker.name),
        ("result", worker.name, "asks"),
    ]
    assert waits(trace, "asks") == [f"executor job in {worker.group}"]


def test_the_result_of_a_task_goes_to_who_awaited_it() -> None:
    async def main() -> None:
        event = asyncio.Event()

        async def child() -> None:
            await event.wait()

        async def awaiter() -> None:
            await task

        task = asyncio.create_task(child())
        other = asyncio.create_task(awaiter())
        await turns(2)
        event.set()
        await other

    told = flows(traced(main))
    assert told.count(("wake", "main", "child")) == 1
    assert told.count(("result", "child", "awaiter")) == 1
    assert told.count(("result", "awaiter", "main")) == 1
    assert [flow for flow in told if flow[0] == "spawn"] == [
        ("spawn", "main", "child"),
        ("spawn", "main", "awaiter"),
    ]


def results(trace: Trace) -> list[tuple[str, str]]:
    """Source and target of each result, in their order."""
    return [(source, target) for kind, source, target in flows(trace) if kind == "result"]


async def after(event: asyncio.Event, then: asyncio.Event | None = None) -> None:
    """Wait for one event, then set another."""
    await event.wait()
    if then is not None:
        then.set()


def test_each_result_of_a_gather_goes_to_who_awaited_it() -> None:
    async def main() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        over = asyncio.create_task(turns(1), name="over")
        await turns(3)
        asyncio.get_running_loop().call_soon(first.set)
        await asyncio.gather(
            over,
            asyncio.create_task(after(second), name="late"),
            asyncio.create_task(after(first, second), name="early"),
        )

    trace = traced(main)
    assert results(trace) == [("over", "main"), ("early", "main"), ("late", "main")]
    (wait,) = [one for one in track(trace, "main").states if one.reason == "gather"]
    arrived = [flow.target_ns for flow in trace.flows if flow.kind == "result"]
    assert min(arrived) == wait.start_ns  # that one had its result already
    assert max(arrived) == wait.end_ns
    assert wait.start_ns < sorted(arrived)[1] < wait.end_ns
    ended = {one.name: one.end_ns for one in trace.tracks}
    names = {one.id: one.name for one in trace.tracks}
    for flow in trace.flows:
        if flow.kind == "result" and names[flow.source] in ("over", "early"):
            assert flow.source_ns == ended[names[flow.source]]


def test_each_result_of_a_group_goes_to_the_task_whose_group_it_is() -> None:
    """Also where another task made the one whose result it is; and of one group after the other."""

    async def main() -> None:
        gate = asyncio.Event()

        async def makes(group: asyncio.TaskGroup) -> None:
            group.create_task(after(gate), name="made by a sibling")
            beside.append(asyncio.create_task(turns(1), name="in no group"))
            await turns(3)
            gate.set()

        beside: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            group.create_task(makes(group), name="makes")
        await beside[0]
        async with asyncio.TaskGroup() as group:
            group.create_task(turns(1), name="first of two")
            group.create_task(turns(2), name="second of two")

    trace = traced(main)
    sources = [source for source, target in results(trace) if target == "main"]
    assert sorted(sources[:2]) == ["made by a sibling", "makes"]
    assert sources[2:] == ["first of two", "second of two"]
    assert {target for _, target in results(trace)} == {"main"}


def test_results_of_wait_and_as_completed_go_to_who_asked_for_them() -> None:
    async def main() -> None:
        events = [asyncio.Event() for _ in range(3)]
        tasks = {
            asyncio.create_task(after(event), name=f"job-{number}") for number, event in enumerate(events)
        }
        for event in events[:2]:
            asyncio.get_running_loop().call_soon(event.set)
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert len(pending) <= 2
        asyncio.get_running_loop().call_soon(events[2].set)
        await asyncio.wait(tasks)
        for each in asyncio.as_completed([asyncio.create_task(turns(2), name="completed")]):
            await each

    told = results(traced(main))
    assert {*told} == {(f"job-{number}", "main") for number in range(3)} | {("completed", "main")}
    assert told.index(("job-0", "main")) < told.index(("job-2", "main")) < told.index(("completed", "main"))


def test_the_path_follows_the_last_of_several_results() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def last() -> None:
            await asyncio.get_running_loop().run_in_executor(None, go_on.wait)

        go_on = threading.Event()
        tasks = [asyncio.create_task(last(), name="last"), asyncio.create_task(after(gate), name="early")]
        gate.set()
        asyncio.get_running_loop().call_later(0.01, go_on.set)
        await asyncio.gather(*tasks)

    trace = traced(main)
    names = {one.id: one.name for one in trace.tracks}
    whose = [names[part.track] for part in compute(trace).path if part.track is not None]
    assert "last" in whose
    assert "early" not in whose
    assert sum(part.length_ns for part in compute(trace).path) == trace.wall_ns


def test_callbacks_timers_and_other_threads_that_woke_a_task() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()

        async def waiter() -> None:
            for _ in range(3):
                await event.wait()
                event.clear()

        task = asyncio.create_task(waiter())
        await turns(2)
        loop.call_soon(event.set)
        await turns(5)
        loop.call_later(0, event.set)
        while event.is_set() or len(loop._scheduled) > 0:  # type: ignore[attr-defined]
            await turns(1)
        await turns(5)
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(event.set,), name="outside")
        thread.start()
        await task
        thread.join()

    trace = traced(main)
    names = {one.id: one.name for one in trace.tracks}
    waiter = track(trace, "waiter").id
    wakes = [
        (names[flow.source], flow.detail)
        for flow in sorted(trace.flows, key=lambda flow: flow.target_ns)
        if flow.kind == "wake" and flow.target == waiter
    ]
    assert wakes == [("event loop", "Event.set"), ("event loop", "Event.set"), ("outside", "")]


def test_a_coroutine_sent_by_a_thread_was_started_by_it() -> None:
    async def sent() -> int:
        await turns(1)
        return 1

    async def main() -> None:
        loop = asyncio.get_running_loop()
        answers: list[int] = []

        def sends() -> None:
            answers.append(asyncio.run_coroutine_threadsafe(sent(), loop).result())

        thread = threading.Thread(target=sends, name="outside")
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0)
        loop.call_soon(lambda: tasks.append(loop.create_task(turns(1), name="by a callback")))
        tasks: list[asyncio.Task[None]] = []
        await turns(2)
        await tasks[0]
        assert answers == [1]

    trace = traced(main)
    told = [flow for flow in flows(trace) if flow[0] == "spawn"]
    assert ("spawn", "outside", "sent") in told
    assert [target for _, _, target in told].count("by a callback") == 0  # nobody's but the loop's


def test_a_timeout_is_who_woke_what_it_cancelled() -> None:
    async def main() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()

    trace = traced(main)
    assert ("wake", "event loop", "main") in flows(trace)
    assert [flow.detail for flow in trace.flows if flow.kind == "wake"] == ["timeout"]
    parts = compute(trace).path
    assert sum(part.length_ns for part in parts) == trace.wall_ns
    assert "Event" in {part.reason for part in parts}


def test_tasks_nest_under_who_made_them_however_they_did() -> None:
    async def leaf() -> None:
        await turns(1)

    async def branch() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(leaf(), name="in group")
        await asyncio.gather(leaf())

    async def main() -> None:
        await asyncio.create_task(branch())

    trace = traced(main)
    main_track, branch_track = track(trace, "main"), track(trace, "branch")
    assert branch_track.parent == main_track.id
    assert track(trace, "in group").parent == track(trace, "leaf").parent == branch_track.id
    assert main_track.parent == next(one.id for one in trace.tracks if one.kind == "loop")


def test_outcomes_and_who_cancelled() -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    async def fails() -> None:
        raise ValueError("too small")

    async def passes_on() -> None:
        await asyncio.create_task(forever(), name="inner")

    async def slow() -> None:
        async with asyncio.timeout(0):
            await forever()

    async def group() -> None:
        async with asyncio.TaskGroup() as made:
            made.create_task(forever(), name="sibling")
            await turns(2)
            made.create_task(fails())

    async def main() -> None:
        direct = asyncio.create_task(forever(), name="direct")
        outer = asyncio.create_task(passes_on(), name="outer")
        await turns(3)
        direct.cancel()
        outer.cancel()
        await asyncio.gather(direct, outer, asyncio.create_task(slow()), group(), return_exceptions=True)

    trace = traced(main)
    ends = {one.name: (one.outcome, end_of(trace, one)) for one in trace.tracks if one.kind == "task"}
    assert ends["direct"] == ("cancelled", "by main")
    assert ends["inner"] == ("cancelled", "by main")
    assert ends["outer"] == ("cancelled", "by main")
    assert ends["sibling"] == ("cancelled", "by fails")
    assert ends["slow"][0] == "timed out"
    assert ends["fails"] == ("raised ValueError", "ValueError: too small")
    assert ends["main"] == ("returned", "")


def test_a_task_that_raised_has_its_traceback_at_hand() -> None:
    def parses(text: str) -> int:
        return int(text)

    async def fails() -> None:
        await turns(1)
        parses("no number")

    async def fails_in_a_library() -> None:
        json.loads("no object")

    async def main() -> None:
        await asyncio.gather(
            asyncio.create_task(fails()), asyncio.create_task(fails_in_a_library()), return_exceptions=True
        )

    trace = traced(main)
    here = Path(__file__).name
    inner, outer = line_of(parses, "int(text)"), line_of(fails, "parses(")
    assert (
        raised_in(track(trace, "fails").traceback)
        == f"{here}:{inner} in parses, called at {here}:{outer} in fails"
    )
    assert track(trace, "fails").outcome_detail.startswith("ValueError: invalid literal")
    *inside, outermost = raised_in(track(trace, "fails_in_a_library").traceback).split(", called at ")
    assert [each.rpartition(" in ")[2] for each in inside] == ["JSONDecoder.raw_decode"]
    assert outermost == f"{here}:{line_of(fails_in_a_library, 'json.loads')} in fails_in_a_library"
    assert track(trace, "main").traceback == ()


def test_a_traceback_without_end_is_cut_in_its_middle() -> None:
    def digs(depth: int) -> None:
        if not depth:
            raise ValueError("deep enough")
        digs(depth - 1)

    async def fails() -> None:
        digs(100)

    async def main() -> None:
        await asyncio.gather(asyncio.create_task(fails()), return_exceptions=True)

    frames = raised_in(track(traced(main), "fails").traceback).split(", called at ")
    assert len(frames) == 20
    assert frames[0].endswith(f":{line_of(digs, 'raise')} in digs")
    assert frames[-1].endswith(" in fails")


def test_threads_timers_and_callbacks_that_cancelled() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    async def within(limit: float) -> None:
        async with asyncio.timeout(limit):
            await asyncio.create_task(forever(), name="under a timeout")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        names = ("by thread", "by timer", "by callback", "by a function", "before it began")
        tasks = [asyncio.create_task(forever(), name=name) for name in names]
        tasks[-1].cancel()
        await turns(1)
        stop = threading.Thread(target=loop.call_soon_threadsafe, args=(tasks[0].cancel,), name="stopper")
        stop.start()
        loop.call_later(0, tasks[1].cancel)
        loop.call_soon(tasks[2].cancel)

        def ends_it() -> None:
            tasks[3].cancel()

        loop.call_soon(ends_it)
        limited = asyncio.create_task(within(0.001))
        await asyncio.wait([*tasks, limited])
        assert isinstance(limited.exception(), TimeoutError)  # nobody else asks for it
        stop.join()

    trace = traced(main)
    ends = {one.name: (one.outcome, end_of(trace, one)) for one in trace.tracks if one.kind == "task"}
    assert ends["by thread"] == ("cancelled", "by stopper")
    assert ends["by timer"] == ("cancelled", "by a timer")
    assert ends["by callback"] == ("cancelled", "by a callback")
    assert ends["by a function"] == ("cancelled", "by ends_it")
    assert ends["under a timeout"] == ("cancelled", "by timeout")
    # It never waited, so nobody woke it, and others ran before its turn: any of them may have done it.
    assert ends["before it began"] == ("cancelled", "")
    assert ends["within"][0] == "timed out"


def test_who_cancelled_a_task_that_never_began() -> None:
    """Told where nobody else ran in between."""

    async def never() -> None:
        raise AssertionError("it has begun")

    async def cancels_and_awaits() -> None:
        awaited = asyncio.create_task(never(), name="awaited")
        awaited.cancel()
        await awaited

    async def gives_up() -> None:
        raise asyncio.CancelledError  # of its own, asked for by nobody

    async def main() -> None:
        await asyncio.wait([asyncio.create_task(gives_up())])
        tasks = [asyncio.create_task(never(), name=f"never-{number}") for number in range(3)]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        with contextlib.suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(never(), name="of a group")
                raise ValueError
        await asyncio.wait([asyncio.create_task(cancels_and_awaits())])

    trace = traced(main)
    ends = {one.name: (one.outcome, end_of(trace, one)) for one in trace.tracks if one.kind == "task"}
    assert {name: ends[name] for name in ends if name.startswith("never-")} == dict.fromkeys(
        ("never-0", "never-1", "never-2"), ("cancelled", "by main")
    )
    assert ends["of a group"] == ("cancelled", "by main")
    assert ends["awaited"] == ("cancelled", "by cancels_and_awaits")
    assert ends["cancels_and_awaits"] == ("cancelled", "by cancels_and_awaits")
    assert ends["gives_up"] == ("cancelled", "")


@pytest.mark.parametrize("run", RUNS)
def test_the_end_of_the_run_is_who_cancelled_what_was_left(run: Callable[[Any], Any]) -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        for wait in (forever(), asyncio.sleep(60)):
            tasks.append(asyncio.create_task(wait, name=f"left-{len(tasks)}"))
        await turns(2)

    tasks: list[asyncio.Task[None]] = []
    trace = traced(main, run)
    ends = {one.name: (one.outcome, end_of(trace, one)) for one in trace.tracks if one.kind == "task"}
    assert ends["left-0"] == ends["left-1"] == ("cancelled", "by the end of the run")
    assert waits(trace, "left-0") == ["Event"]


@pytest.mark.parametrize("leave", ["stops", "raises"])
def test_who_cancelled_a_task_outside_of_the_loop_is_not_known(leave: str) -> None:
    """It never began because the loop was left: not the step that made it has cancelled it."""

    async def main() -> None:
        tasks.append(asyncio.create_task(turns(1), name="unbegun"))
        if leave == "raises":
            raise SystemExit
        asyncio.get_running_loop().stop()

    def run(coroutine: Coroutine[Any, Any, None]) -> None:
        loop = asyncio.new_event_loop()
        tasks.append(loop.create_task(coroutine))
        with contextlib.suppress(SystemExit):
            loop.run_forever()
        tasks[1].cancel()
        loop.run_until_complete(asyncio.wait(tasks[1:]))
        loop.close()
        if leave == "raises":
            assert isinstance(tasks[0].exception(), SystemExit)  # nobody else asks for it

    tasks: list[asyncio.Task[None]] = []
    unbegun = track(traced(main, run), "unbegun")
    assert (unbegun.outcome, unbegun.cancelled_by, unbegun.stopped_by) == ("cancelled", None, "")


def test_in_a_stopped_cell_nobody_is_blamed_for_a_task_that_never_began() -> None:
    """An interrupt strikes in the middle of whatever step is being taken."""

    async def main() -> None:
        task = asyncio.create_task(turns(1), name="never begun")
        task.cancel()
        await asyncio.wait([task])

    _, log, _ = traced_and_recorded(main)
    tasks = {task.number: task for task in log.tasks}
    (unbegun,) = [task for task in log.tasks if task.name == "never begun"]
    names = {number: task.coroutine.rpartition(".")[2] for number, task in tasks.items()}
    main_task = next(number for number, name in names.items() if name == "main")
    actors = Actors(1, TrackIds(), names, names)
    assert cancelled_by(unbegun, tasks, actors) == (actors.task(main_task), "")
    assert cancelled_by(unbegun, tasks, actors, outcome_of("interrupted")) == (None, "")


def test_the_states_of_a_task_in_their_order() -> None:
    async def main() -> None:
        event = asyncio.Event()

        async def waiter() -> None:
            await event.wait()

        task = asyncio.create_task(waiter())
        await turns(2)
        event.set()
        await task

    assert order(traced(main), "waiter") == [
        State.STARTING,
        State.RUNNING,
        State.WAITING,
        State.READY,
        State.RUNNING,
    ]
