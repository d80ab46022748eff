"""Runs a program with and without the recorder, and finds things in what was recorded."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

from concmagic.recording.tasks.task_recorder import TaskRecorder
from concmagic.records.recording import TaskLog, TaskRecord, Wait


def record(
    main: Callable[[], Coroutine[Any, Any, Any]], debug: bool = False, kept: int = 2_000_000
) -> TaskLog:
    """Record `asyncio.run(main())`."""
    recorder = TaskRecorder(kept=kept)
    recorder.start()
    try:
        asyncio.run(main(), debug=debug)
    finally:
        log = recorder.stop()
    assert log.problems == ()
    check(log)
    return log


def check(log: TaskLog) -> None:
    """What must be true of every recording."""
    for task in log.tasks:
        moments = [moment for step in task.steps for moment in step]
        assert moments == sorted(moments), task
        assert [wake.at_ns for wake in task.wakes] == sorted(wake.at_ns for wake in task.wakes), task
        if task.created_ns is not None and task.steps:
            assert task.created_ns <= task.steps[0][0]
        if task.created_ns is not None and not task.merged:
            _check_wakes(task)
    for loop in log.loops:
        _check_one_at_a_time(log, loop.number)


def _check_wakes(task: TaskRecord) -> None:
    """Between two steps stands exactly one wake-up; after the last one at most one."""
    gaps = list(pairwise(task.steps))
    assert len(gaps) <= len(task.wakes) <= len(gaps) + 1, task
    for (before, after), wake in zip(gaps, task.wakes, strict=False):
        assert before[1] <= wake.at_ns <= after[0], task


def _check_one_at_a_time(log: TaskLog, loop: int) -> None:
    steps = sorted(step for task in log.tasks if task.loop == loop for step in task.steps)
    for (_, end), (begin, _) in pairwise(steps):
        assert end <= begin


def named(log: TaskLog, name: str) -> TaskRecord:
    """The only task of this name, the user's or its coroutine's (its last part)."""
    found = [task for task in log.tasks if name in (task.name, task.coroutine.rpartition(".")[2])]
    assert len(found) == 1, (name, [(task.name, task.coroutine) for task in log.tasks])
    return found[0]


def causes(task: TaskRecord) -> list[str]:
    """What each wake-up of a task came from."""
    return [wake.cause for wake in task.wakes]


def reasons(task: TaskRecord) -> list[tuple[str, str]]:
    """What the task had waited for at each wake-up."""
    return [("", "") if wake.wait is None else (wake.wait.reason, more(wake.wait)) for wake in task.wakes]


def more(wait: Wait) -> str:
    """What is recorded of a wait beside its reason."""
    length = "" if wait.delay_ns is None else f"{wait.delay_ns / 1e9:g} s"
    return wait.detail or length or wait.phase or (f"of {wait.count}" if wait.count else "")


def line_of(function: Any, text: str) -> int:
    """The line on which this text stands in a function's source."""
    lines, first = inspect.getsourcelines(function)
    found = [first + index for index, line in enumerate(lines) if text in line]
    assert len(found) == 1, (text, found)
    return found[0]
