"""Tasks as they were: number, name, parent, steps, outcome."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator
from functools import partial

import pytest
from recorded_tasks import causes, check, line_of, named, reasons, record

from concmagic.recording.tasks import task_recorder as tasks
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import TaskLog


def test_a_task_group_gives_a_tree_with_names_and_places() -> None:
    async def leaf() -> None:
        await asyncio.sleep(0)

    async def branch() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(leaf(), name="left")
            group.create_task(leaf())

    async def main() -> None:
        await asyncio.create_task(branch())

    log = record(main)
    main_task, branch_task, left, right = log.tasks[:4]
    assert [task.number for task in log.tasks] == [1, 2, 3, 4, *range(5, len(log.tasks) + 1)]
    assert [task.parent for task in log.tasks[:4]] == [None, 1, 2, 2]
    assert [task.name for task in log.tasks[:4]] == ["", "", "left", ""]
    assert [task.coroutine.rpartition(".")[2] for task in log.tasks[:4]] == ["main", "branch", "leaf", "leaf"]
    assert {task.origin for task in log.tasks[:4]} == {"user"}
    assert {task.origin for task in log.tasks[4:]} == {"machinery"}  # what asyncio.run itself starts
    assert (left.file, left.line) == (__file__, leaf.__code__.co_firstlineno)
    assert left.file == right.file
    assert len(left.steps) == len(right.steps) == 2
    assert len(branch_task.steps) == 2
    assert len(main_task.steps) == 2
    assert {task.outcome for task in log.tasks} == {"returned"}


def test_outcomes() -> None:
    async def fails() -> None:
        raise ValueError("too\nsmall")

    async def waits() -> None:
        await asyncio.Future()

    async def main() -> None:
        left.append(asyncio.create_task(waits(), name="left"))
        cancelled = asyncio.create_task(waits(), name="cancelled")
        never = asyncio.create_task(waits(), name="never begun")
        never.cancel()
        failing = asyncio.create_task(fails())
        await asyncio.wait([failing])
        cancelled.cancel()
        await asyncio.wait([cancelled, never])
        assert isinstance(failing.exception(), ValueError)
        seen.append(recorder.stop())

    seen: list[TaskLog] = []
    left: list[asyncio.Task[None]] = []
    recorder = TaskRecorder()
    recorder.start()
    asyncio.run(main())
    log = seen[0]
    check(log)
    assert (named(log, "fails").outcome, named(log, "fails").exception) == (
        "raised ValueError",
        "ValueError: too small",
    )
    assert named(log, "cancelled").outcome == "cancelled"
    assert causes(named(log, "cancelled")) == ["task"]
    assert named(log, "cancelled").wakes[0].task == named(log, "main").number
    assert named(log, "cancelled").wakes[0].detail == "cancelled"
    assert named(log, "never begun").outcome == "cancelled"
    waiting = named(log, "left")
    assert (waiting.outcome, waiting.ended_ns) == ("left running", None)
    assert waiting.last_wait is not None
    assert (waiting.last_wait.reason, waiting.last_wait.line) == ("future", line_of(waits, "await"))
    running = named(log, "main")
    assert (running.outcome, running.last_wait) == ("left running", None)
    assert len(running.steps) == 3  # the one that is under way counts


def test_an_exception_that_ends_the_loop_is_a_step_too() -> None:
    async def main() -> None:
        raise KeyboardInterrupt

    recorder = TaskRecorder()
    recorder.start()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    task = named(recorder.stop(), "main")
    assert (task.outcome, len(task.steps)) == ("raised KeyboardInterrupt", 1)


def test_a_task_destroyed_while_pending_has_ended() -> None:
    async def waits() -> None:
        await loop.create_future()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    recorder = TaskRecorder()
    recorder.start()
    task = loop.create_task(waits())
    loop.call_soon(loop.stop)
    loop.run_forever()
    del task
    gc.collect()  # it and the future it awaits refer to each other, and nothing else to them
    log = recorder.stop()
    loop.close()
    assert named(log, "waits").outcome == "destroyed"
    assert named(log, "waits").ended_ns is not None


def test_a_name_given_later_and_one_given_by_asyncio() -> None:
    async def nothing() -> None:
        pass

    async def main() -> None:
        first = asyncio.create_task(nothing())
        first.set_name("renamed")
        await asyncio.create_task(nothing(), name="Task-12")
        await first

    log = record(main)
    assert [task.name for task in log.tasks[:3]] == ["", "renamed", ""]


def test_a_dot_in_a_users_name_is_the_users() -> None:
    """A library that calls a task by what it runs writes the module before it; nobody else does."""

    async def child() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.create_task(child(), name=f"batch 1.{child.__qualname__}")
        await asyncio.create_task(child(), name=f"{__name__}.{child.__qualname__}")

    own = child.__qualname__
    names = [task.name for task in record(main).tasks if task.coroutine == own]
    assert names == [f"batch 1.{own}", ""]


def test_a_task_made_without_a_loop_method_is_seen() -> None:
    async def child() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.Task(child(), name="by hand")

    task = named(record(main), "by hand")
    assert (task.parent, task.outcome, len(task.steps)) == (1, "returned", 2)
    assert task.created_ns is not None


def test_tasks_written_in_python_are_tasks_too() -> None:
    async def child(lock: asyncio.Lock) -> None:
        await asyncio.sleep(0)
        async with lock:
            pass

    async def main() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coro, **options: asyncio.tasks._PyTask(coro, loop=loop, **options))
        task = loop.create_task(child(lock))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        lock.release()
        await task

    log = record(main)
    assert causes(named(log, "child")) == ["self", "task"]
    assert reasons(named(log, "child"))[1] == ("Lock", "")
    assert len(named(log, "child").steps) == 3


def test_the_users_task_factory_still_makes_the_tasks() -> None:
    class OwnTask(asyncio.Task):  # type: ignore[type-arg]
        pass

    made = []

    def factory(loop, coro, **options):  # type: ignore[no-untyped-def]
        made.append(OwnTask(coro, loop=loop, **options))
        return made[-1]

    async def child() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        task = asyncio.create_task(child(), name="own")
        assert type(task) is OwnTask
        await task
        assert loop.get_task_factory() is factory

    log = record(main)
    assert made[0].get_name() == "own"
    task = named(log, "own")
    assert (task.parent, len(task.steps), task.outcome) == (1, 2, "returned")


def test_debug_mode_records_the_same_and_keeps_its_tracebacks() -> None:
    async def child() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(child())
        handle = asyncio.get_running_loop().call_soon(int)
        sources.append(task._source_traceback[-1].filename)  # type: ignore[attr-defined]
        sources.append(handle._source_traceback[-1].name)  # type: ignore[attr-defined]
        await task

    sources: list[str] = []
    log = record(main, debug=True)
    assert sources == [asyncio.tasks.__file__, "main"]
    assert causes(named(log, "child")) == ["self"]
    assert causes(named(log, "main")) == ["task"]
    assert named(log, "child").parent == 1


def test_two_runs_are_two_loops() -> None:
    async def main() -> None:
        await asyncio.sleep(0)

    recorder = TaskRecorder()
    recorder.start()
    asyncio.run(main())
    asyncio.run(main())
    log = recorder.stop()
    check(log)
    assert [loop.number for loop in log.loops] == [1, 2]
    assert [task.loop for task in log.tasks if task.origin == "user"] == [1, 2]
    assert {loop.native_id for loop in log.loops} == {threading.get_native_id()}


def test_a_loop_in_a_thread_while_one_runs_here() -> None:
    natives = []

    async def inner() -> None:
        natives.append(threading.get_native_id())
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.to_thread(asyncio.run, inner())

    log = record(main)
    task = named(log, "inner")
    outer, other = (
        next(loop for loop in log.loops if loop.number == n) for n in (named(log, "main").loop, task.loop)
    )
    assert outer is not other
    assert other.native_id == natives[0]
    assert outer.native_id == threading.get_native_id()
    assert (task.parent, task.origin, len(task.steps)) == (None, "user", 2)


def test_steps_under_way_in_another_thread_are_told() -> None:
    began, go_on = threading.Event(), threading.Event()

    async def blocks() -> None:
        began.set()
        go_on.wait()

    recorder = TaskRecorder()
    recorder.start()
    thread = threading.Thread(target=asyncio.run, args=(blocks(),))
    thread.start()
    began.wait()
    log = recorder.stop()
    go_on.set()
    thread.join()
    task = named(log, "blocks")
    assert (task.outcome, len(task.steps)) == ("left running", 1)


def test_loops_tell_their_other_callbacks() -> None:
    def tick() -> None:
        pass

    async def main() -> None:
        done = asyncio.Event()
        asyncio.get_running_loop().call_soon(tick)
        asyncio.get_running_loop().call_later(0, done.set)
        await done.wait()

    (loop,) = record(main).loops
    names = [name.rpartition(".")[2] for _, _, name in loop.callbacks]
    assert names[:2] == ["tick", "set"]
    assert all(begin <= end for begin, end, _ in loop.callbacks)


def test_tasks_there_before_the_cell() -> None:
    async def early(event: asyncio.Event) -> None:
        await event.wait()

    async def main() -> TaskLog:
        event = asyncio.Event()
        task = asyncio.create_task(early(event))
        await asyncio.sleep(0)
        recorder = TaskRecorder(asyncio.get_running_loop())
        recorder.start()
        event.set()
        await task
        return recorder.stop()

    log = asyncio.run(main())
    task = named(log, "early")
    assert (task.created_ns, task.parent, task.origin, task.outcome) == (None, None, "earlier", "returned")
    assert reasons(task) == [("Event", "")]
    assert len(task.steps) == 1
    assert log.loops[0].kernel


def test_the_cells_own_task_is_told_apart() -> None:
    async def cell() -> None:
        await asyncio.create_task(asyncio.sleep(0), name="child")

    async def main() -> TaskLog:
        recorder = TaskRecorder(asyncio.get_running_loop())
        recorder.start()
        task = asyncio.create_task(cell())
        recorder.adopt_cell_task(task)
        numbers.append(tasks.number_of(task))
        await task
        return recorder.stop()

    numbers: list[int | None] = []
    log = asyncio.run(main())
    task = named(log, "cell")
    assert (task.name, task.origin, task.parent) == ("cell", "user", None)
    assert log.cell_task == task.number == numbers[0]
    assert named(log, "child").parent == task.number
    assert tasks.number_of() is None  # nothing is recorded any more


def test_a_generator_that_its_loop_closes() -> None:
    async def items() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)

    async def main() -> None:
        async for _ in items():
            break
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    task = named(record(main), "aclose")
    assert task.coroutine.endswith("items.aclose")
    assert (task.file, task.line) == (__file__, items.__code__.co_firstlineno)
    assert (task.outcome, len(task.steps)) == ("returned", 2)


EAGER = [pytest.param(id="eager")] if sys.version_info >= (3, 12) else []


@pytest.mark.parametrize((), EAGER or [pytest.param(id="no eager tasks before 3.12")])
def test_a_first_step_taken_while_the_task_is_created() -> None:
    async def child() -> None:
        grandchild = asyncio.create_task(quick(), name="grandchild")
        await asyncio.sleep(0)
        await grandchild

    async def quick() -> int:
        return 1

    async def main() -> None:
        if EAGER:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        task = asyncio.create_task(child(), name="child")
        await task

    log = record(main)
    parent, first, second = named(log, "main"), named(log, "child"), named(log, "grandchild")
    assert (first.parent, second.parent) == (parent.number, first.number)
    assert {task.outcome for task in log.tasks} == {"returned"}
    if not EAGER:
        assert [len(task.steps) for task in (parent, first, second)] == [2, 2, 1]
        return
    assert [len(task.steps) for task in (parent, first, second)] == [3, 3, 1]
    assert reasons(parent)[0] == ("eager start", "child")
    assert parent.wakes[0].wait is not None
    assert parent.wakes[0].wait.line == line_of(main, 'name="child"')
    assert reasons(first)[0] == ("eager start", "grandchild")
    assert causes(first) == ["task", "self"]
    assert second.created_ns == second.steps[0][0]
    assert first.created_ns == first.steps[0][0]


def test_a_task_of_to_thread_is_called_by_the_function() -> None:
    def hits(n: int) -> int:
        return n

    async def to_thread(n: int) -> int:  # the user's own of that name is what it is
        return n

    async def main() -> None:
        await asyncio.gather(asyncio.to_thread(hits, 1), asyncio.to_thread(partial(len, "x")), to_thread(3))

    found = {task.coroutine.rpartition(".")[2]: (task.file, task.origin) for task in record(main).tasks}
    assert found["hits"] == (__file__, "user")
    assert found["to_thread"][1] == "user"
    assert found["len"] == ("", "user")
