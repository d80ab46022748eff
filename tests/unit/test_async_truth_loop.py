"""What the event loop's own lane tells: busy and idle, its callbacks, its longest step, its delays."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from dataclasses import replace

from async_programs import turns
from async_truth import traced
from tests.trace_text import end_of, said

from concmagic.analysis.metrics import compute
from concmagic.importing.tasks.step_states import MOST_TOLD
from concmagic.model.trace import State
from concmagic.renderers.text import TextRenderer
from concmagic.report.builder import build_report
from concmagic.sentences import duration


def test_the_longest_step_has_its_task_and_place_and_kept_others_waiting() -> None:
    async def blocker() -> None:
        time.sleep(0.05)

    async def victim() -> None:
        await turns(3)

    async def main() -> None:
        await asyncio.gather(victim(), blocker())

    trace = traced(main)
    metrics = compute(trace)
    task = next(one for one in trace.tracks if one.name == "blocker")
    loop = next(one for one in trace.tracks if one.kind == "loop")
    assert metrics.loop_longest_step_track == task.id
    assert metrics.loop_longest_step_place == (task.file, task.line)
    assert metrics.loop_longest_step_s >= 0.05
    assert metrics.loop_delay_max_s >= 0.05
    assert metrics.loop_delay_p50_s <= metrics.loop_delay_p99_s <= metrics.loop_delay_max_s
    assert metrics.loop_blocked > metrics.loop_computing
    assert end_of(trace, loop).startswith("longest step ")
    assert "(blocker)" in end_of(trace, loop)
    assert "ready before a step: p50 " in end_of(trace, loop)


def test_the_numbers_of_the_loop_are_in_the_picture() -> None:
    async def blocker() -> None:
        time.sleep(0.02)

    async def main() -> None:
        await asyncio.gather(turns(3), blocker())

    trace = traced(main)
    metrics = compute(trace)
    footer = build_report(trace, metrics, ()).footer
    (said,) = [sentence for sentence in footer if sentence.startswith("Event loop: ")]
    assert f"longest step {duration(metrics.loop_longest_step_s * 1e9)}" in said
    assert f"{duration(metrics.loop_delay_p99_s * 1e9)} (p99)" in said
    assert f"{duration(metrics.loop_delay_max_s * 1e9)} at most" in said
    loop = next(one for one in trace.tracks if one.kind == "loop")
    assert f"p99 {duration(metrics.loop_delay_p99_s * 1e9)}," in end_of(trace, loop)  # one number, told twice
    assert said in TextRenderer().render(build_report(trace, metrics, ())).replace("\n  ", " ")
    threads = build_report(replace(trace, model="threads"), metrics, ()).footer
    assert not [sentence for sentence in threads if sentence.startswith("Event loop: ")]


def test_a_callback_that_is_no_task_is_on_the_loops_lane() -> None:
    def tick() -> None:
        time.sleep(0.03)

    async def main() -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.call_soon(tick)
        loop.call_later(0.001, done.set)
        await done.wait()

    trace = traced(main)
    loop = next(one for one in trace.tracks if one.kind == "loop")
    blocked = [one for one in loop.states if one.state is State.BLOCKING]
    assert [said(trace, one).rpartition(".")[2] for one in blocked] == ["tick"]
    assert "tick" in end_of(trace, loop)
    metrics = compute(trace)
    assert metrics.loop_longest_step_s >= 0.03
    assert metrics.loop_longest_step_track is None
    assert metrics.loop_longest_step_name.endswith("tick")


def test_a_protocol_and_a_timer_that_block_are_on_the_loops_lane() -> None:
    def late() -> None:
        time.sleep(0.02)

    class Slow(asyncio.Protocol):
        def data_received(self, _data: bytes) -> None:
            time.sleep(0.02)
            came.set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(Slow, sock=ours)
        with theirs:
            theirs.send(b"x")
            await came.wait()
            loop.call_later(0.001, late)
            loop.call_later(0.001, over.set)  # runs after it
            await over.wait()
            transport.close()

    came, over = asyncio.Event(), asyncio.Event()
    trace = traced(main)
    loop = next(one for one in trace.tracks if one.kind == "loop")
    blocked = [said(trace, one) for one in loop.states if one.state is State.BLOCKING]
    assert [name.rpartition(".")[2] for name in blocked] == ["_read_ready", "late"]


def test_each_step_of_the_loop_tells_whose_it_was() -> None:
    def tick() -> None:
        pass

    async def child() -> None:
        asyncio.get_running_loop().call_soon(tick)
        await turns(1)

    async def main() -> None:
        await asyncio.create_task(child())
        until = time.thread_time_ns() + 2_000_000  # so long that its thread's clock is asked
        while time.thread_time_ns() < until:
            pass

    trace = traced(main)
    loop = next(one for one in trace.tracks if one.kind == "loop")
    steps = [(said(trace, one), one) for one in loop.states if one.holders]
    mine = [name.rpartition(".")[2] for name, _ in steps if not name.startswith("BaseEventLoop")]
    told = [name for name, before in zip(mine, ["", *mine], strict=False) if name != before]
    assert told[:5] == ["main", "child", "tick", "child", "main"]
    assert sum(one.length_ns for name, one in steps if name == "main") >= 1_500_000
    thread = next(one for one in trace.tracks if one.kind == "thread")
    assert not [one for one in thread.states if one.state is State.RUNNING and one.holders]


def test_of_very_many_steps_only_the_longer_ones_are_told() -> None:
    async def yields() -> None:
        await turns(MOST_TOLD)
        until = time.thread_time_ns() + 2_000_000
        while time.thread_time_ns() < until:
            pass

    async def main() -> None:
        await asyncio.create_task(yields())

    trace = traced(main)
    loop = next(one for one in trace.tracks if one.kind == "loop")
    told = [one for one in loop.states if one.holders]
    assert "yields" in {said(trace, one) for one in told}
    assert len(told) < MOST_TOLD


def test_an_idle_loop_waits_for_events() -> None:
    async def main() -> None:
        await asyncio.sleep(0.02)

    trace = traced(main)
    loop = next(one for one in trace.tracks if one.kind == "loop")
    assert any(one.reason == "events" and one.length_ns > 10_000_000 for one in loop.states)
    assert compute(trace).loop_blocked == 0


def test_loops_of_several_threads_have_a_lane_each() -> None:
    together = threading.Barrier(3)

    async def leaf() -> None:
        await turns(2)

    async def inner() -> None:
        together.wait()  # each holds its own loop here until all do
        await asyncio.create_task(leaf())

    async def main() -> None:
        threads = [threading.Thread(target=asyncio.run, args=(inner(),), name=f"t{n}") for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    trace = traced(main)
    tracks = {one.id: one for one in trace.tracks}
    loops = [one for one in trace.tracks if one.kind == "loop"]
    under = {tracks[one.parent].name for one in loops if one.parent is not None}
    assert (len(loops), under) == (4, {"MainThread", "t0", "t1", "t2"})
    for loop in loops:
        own = [one for one in trace.tracks if one.kind == "task" and one.parent == loop.id]
        assert len(own) == 1
        assert {one.native_id for one in own} == {loop.native_id}
    inner_tasks = {one.id for one in trace.tracks if one.name.startswith("inner")}
    assert {one.parent for one in trace.tracks if one.name.startswith("leaf")} == inner_tasks
