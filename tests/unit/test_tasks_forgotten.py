"""What was forgotten is told, and Python's own warnings stay what they are."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

from tests.unit.recorded_tasks import named, record

from concmagic.recording.tasks.task_recorder import TaskRecorder


async def fetch() -> None:
    pass


async def bad() -> None:
    raise ValueError("no")


def forget() -> list[tuple[str, str, int]]:
    """Make a coroutine and forget it; what Python warns of: words, file, line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fetch()
        gc.collect()
    return [(str(each.message), each.filename, each.lineno) for each in caught]


def test_a_forgotten_coroutine_is_told_and_warned_of_as_ever() -> None:
    plain = forget()
    recorder = TaskRecorder()
    recorder.start()
    recorded = forget()
    log = recorder.stop()
    assert recorded == plain == forget() != []
    assert [(code.name, code.line) for code in log.unawaited] == [("fetch", fetch.__code__.co_firstlineno)]


def test_an_awaited_or_closed_coroutine_is_not_forgotten() -> None:
    async def main() -> None:
        await fetch()
        fetch().close()

    assert record(main).unawaited == ()


def test_who_asked_for_an_exception() -> None:
    told: list[str] = []
    alive: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: told.append(context["future"].get_name()))
        names = ("collected", "alive", "awaited", "asked")
        tasks = {name: asyncio.create_task(bad(), name=name) for name in names}
        await asyncio.wait(tasks.values())
        try:
            await tasks["awaited"]
        except ValueError:
            tasks["asked"].exception()
        alive.append(tasks["alive"])
        tasks.clear()
        gc.collect()

    log = record(main)
    unretrieved = {
        name for name in ("collected", "alive", "awaited", "asked") if named(log, name).unretrieved
    }
    assert unretrieved == {"collected", "alive"}
    assert told == ["collected"]
    assert alive[0]._log_traceback is True  # looking at it did not count as asking
    alive[0].exception()
