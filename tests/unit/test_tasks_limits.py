"""What is kept of very long cells: every sum, and only so much memory."""

from __future__ import annotations

import asyncio
from array import array
from itertools import pairwise

import pytest
from recorded_tasks import check, named, record

from concmagic.recording.tasks import folding as folding_module
from concmagic.recording.tasks.folding import Folding
from concmagic.recording.tasks.step_records import StepClock, Stream
from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import TaskLog, TaskRecord


def steps_of(task: TaskRecord) -> int:
    return len(task.steps) + sum(part.steps for part in task.merged)


def test_beyond_the_limit_steps_are_counted_and_summed() -> None:
    async def worker(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(worker(5_000), name=f"w{number}")

    recorder = TaskRecorder(kept=1_000)
    recorder.start()
    asyncio.run(main())
    log = recorder.stop()
    workers = [task for task in log.tasks if task.name.startswith("w")]
    assert [steps_of(task) for task in workers] == [5_001] * 3
    assert all(task.merged and task.steps for task in workers)
    assert log.merged == sum(part.steps for task in log.tasks for part in task.merged)
    for task in workers:
        for part in task.merged:
            assert part.running_ns + part.ready_ns + part.waiting_ns == part.end_ns - part.start_ns
            assert part.waiting_ns == 0  # it only ever yields
        ends = [*(step[1] for step in task.steps), *(part.end_ns for part in task.merged)]
        assert max(ends) <= (task.ended_ns or 0)
        stretches = sorted([*task.steps, *((part.start_ns, part.end_ns) for part in task.merged)])
        assert all(end <= begin for (_, end), (begin, _) in pairwise(stretches))
    assert steps_of(named(log, "main")) == 2
    assert sum(len(task.steps) for task in log.tasks) <= 2_000


def test_callbacks_beyond_the_limit_are_summed_for_their_loop() -> None:
    async def main() -> None:
        loop, left = asyncio.get_running_loop(), [5_000]
        done = asyncio.Event()

        def again() -> None:
            left[0] -= 1
            if left[0]:
                loop.call_soon(again)
            else:
                done.set()

        again()
        await done.wait()

    recorder = TaskRecorder(kept=100)
    recorder.start()
    asyncio.run(main())
    (loop,) = recorder.stop().loops
    names = [name for _, _, name in loop.callbacks if name.endswith("again")]
    assert len(names) + sum(part.steps for part in loop.merged) >= 4_999
    assert loop.merged


def test_nothing_is_merged_below_the_limit() -> None:
    async def main() -> None:
        for _ in range(20_000):  # several times what is buffered
            await asyncio.sleep(0)

    log = record(main)
    assert log.merged == 0
    assert len(named(log, "main").steps) == 20_001


def folded(*records: tuple[int, int, int], window: int = 1_000, room: int = 0) -> Folding:
    folding = Folding(room, window=window)
    for one in records:
        folding.fold(array("q", one))
    folding.finish()
    return folding


def kept(folding: Folding) -> list[int]:
    return [field for part in folding.kept for field in part]


def test_a_gap_is_split_at_its_wake_up() -> None:
    folding = folded((5, -1, 1), (10, 20, 1), (50, -1, 1), (60, 65, 1), (70, -1, 1))
    assert kept(folding) == [5, -1, 1, 70, -1, 1]
    (part,) = folding.merged[1]
    assert (part.start_ns, part.end_ns, part.steps) == (10, 65, 2)
    assert (part.running_ns, part.waiting_ns, part.ready_ns) == (15, 30, 10)


def test_a_wake_up_within_ones_own_step_counts_from_its_end() -> None:
    # Woken at 12 while it runs from 10 to 20: that record comes before the step's own.
    folding = folded((1, 5, 1), (7, -1, 1), (12, -1, 1), (10, 20, 1), (30, 40, 1))
    (part,) = folding.merged[1]
    assert (part.running_ns, part.waiting_ns, part.ready_ns) == (24, 2, 13)


def test_no_time_is_lost_between_what_was_kept_and_what_was_summed() -> None:
    folding = folded((0, 4, 1), (6, -1, 1), (10, 20, 1), (30, 40, 1), room=1, window=1)
    assert kept(folding) == [0, 4, 1]
    first, second = folding.merged[1]
    assert (first.start_ns, first.end_ns, second.start_ns, second.end_ns) == (4, 20, 20, 40)
    assert (first.waiting_ns, first.ready_ns, first.running_ns) == (2, 4, 10)
    assert (second.waiting_ns, second.ready_ns, second.running_ns) == (0, 10, 10)


def test_a_long_step_stays_where_others_are_summed() -> None:
    folding = folded((0, 1_000, 1), (2_000, -1, 1), (3_000, 2_003_000, 1), (2_004_000, 2_005_000, 1))
    assert kept(folding) == [2_000, -1, 1, 3_000, 2_003_000, 1]
    stretches = [(part.start_ns, part.end_ns) for part in folding.merged[1]]
    assert stretches == [(0, 1_000), (2_003_000, 2_005_000)]
    assert [part.running_ns for part in folding.of_loops[1]] == [1_000, 1_000]


def test_what_lies_within_a_step_of_a_loop_is_not_counted_twice() -> None:
    folding = folded((10, 20, 1), (30, 40, 2), (5, 50, 3), (60, 65, 1))
    (part,) = folding.of_loops[1]
    assert (part.running_ns, part.waiting_ns) == (50, 10)


def test_windows_bound_the_number_of_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding_module, "_MOST_STRETCHES", 16)
    folding = folded(*((start, start + 5, 1) for start in range(0, 8_000, 10)), window=4)
    assert len(folding.merged[1]) + len(folding.of_loops[1]) <= 20
    assert sum(part.steps for part in folding.merged[1]) == folding.steps == 800
    assert sum(part.running_ns for part in folding.merged[1]) == 4_000
    assert sum(part.ready_ns for part in folding.merged[1]) == 799 * 5


def test_kept_records_take_three_words_each() -> None:
    stream = Stream(Folding(100_000))
    for start in range(50_000):
        stream.buffer.extend((start, start + 1, 1))
        if start % 1_000 == 0:
            stream.flush()
    stream.close()
    assert sum(len(part) * part.itemsize for part in stream.folding.kept) == 50_000 * 24
    assert list(stream.records())[-1] == (49_999, 50_000, 1)


@pytest.mark.parametrize("tasks", [1, 50])
def test_many_threads_record_into_one_stream(tasks: int) -> None:
    async def worker() -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    async def loop_of_its_own() -> None:
        await asyncio.gather(*[worker() for _ in range(tasks)])

    async def main() -> None:
        await asyncio.gather(*[asyncio.to_thread(asyncio.run, loop_of_its_own()) for _ in range(4)])

    log: TaskLog = record(main)
    check(log)
    workers = [task for task in log.tasks if task.coroutine.endswith("worker")]
    assert [len(task.steps) for task in workers] == [201] * tasks * 4
    assert len({task.loop for task in workers}) == 4


def test_a_loop_of_another_thread_does_not_have_the_clock_read_at_every_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reading takes as long as a step: with it at each, every step took twice as long."""
    readings = []
    read = StepClock.read

    def counted(clock: StepClock) -> int:
        readings.append(1)
        return read(clock)

    async def main() -> None:
        await asyncio.to_thread(asyncio.run, asyncio.sleep(0))
        readings.clear()
        for _ in range(5_000):
            await asyncio.sleep(0)

    monkeypatch.setattr(StepClock, "read", counted)
    recorder = TaskRecorder()
    recorder.start()
    asyncio.run(main())
    recorder.stop()
    assert 0 < len(readings) < 2_500  # one each half millisecond
