"""What the event loop's own lane tells: busy and idle, its callbacks, its longest step, its delays."""

from __future__ import annotations

import asyncio
import time

from async_truth import traced

from concmagic.analysis.metrics import compute
from concmagic.trace.model import State


async def turns(how_many: int) -> None:
    """Let the other tasks run until they stand still."""
    for _ in range(how_many):
        await asyncio.sleep(0)


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
    assert loop.outcome_detail.startswith("longest step ")
    assert "(blocker)" in loop.outcome_detail
    assert "ready before a step: p50 " in loop.outcome_detail


def test_a_callback_that_is_no_task_is_on_the_loops_lane() -> None:
    def tick() -> None:
        time.sleep(0.03)

    async def main() -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.call_soon(tick)
        loop.call_later(0.001, done.set)
        await done.wait()

    loop = next(one for one in traced(main).tracks if one.kind == "loop")
    blocked = [one for one in loop.states if one.state is State.BLOCKING]
    assert [one.detail.rpartition(".")[2] for one in blocked] == ["tick"]
    assert "tick" in loop.outcome_detail


def test_an_idle_loop_waits_for_events() -> None:
    async def main() -> None:
        await asyncio.sleep(0.02)

    trace = traced(main)
    loop = next(one for one in trace.tracks if one.kind == "loop")
    assert any(one.reason == "events" and one.length_ns > 10_000_000 for one in loop.states)
    assert compute(trace).loop_blocked == 0
