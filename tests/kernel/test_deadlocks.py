"""Who waits for whom is told by track, whatever tasks and threads are called."""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel

pytestmark = pytest.mark.kernel

NAMES = [
    ("north", "south"),
    ("worker", "worker"),
    ("held by x", "south"),
    ("load(1)", "load(2)"),
    ("a, x", "b, y"),
]
THREADS = """%%threads -q -o trace --timeout 1
import threading
first, second, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
def work(one, other):
    with one:
        both.wait()
        with other: pass
made = [threading.Thread(target=work, args=locks, name=name, daemon=True)
        for locks, name in zip(((first, second), (second, first)), {names})]
for one in made: one.start()
for one in made: one.join()
"""
TASKS = """%%asyncio_trace -q -o trace --timeout 1
import asyncio
first, second = asyncio.Lock(), asyncio.Lock()
async def work(one, other):
    async with one:
        await asyncio.sleep(0.05)
        async with other: pass
pairs = zip(((first, second), (second, first)), {names})
await asyncio.gather(*(asyncio.create_task(work(*locks), name=name) for locks, name in pairs))
"""


@pytest.mark.parametrize("names", NAMES, ids=" ".join)
@pytest.mark.parametrize(("cell", "line"), [(THREADS, 7), (TASKS, 7)], ids=["threads", "tasks"])
def test_two_that_take_two_locks_crosswise_are_named(
    kernel: Kernel, cell: str, line: int, names: tuple[str, str]
) -> None:
    run = kernel.run(cell.format(names=names))
    assert run.ename == "TimeoutError"
    (message,) = kernel.value("[one.message for one in trace.findings if one.lint == 'deadlock']")
    for name in names:
        assert f"{name} waits for Lock" in message
    assert message.count(f"(line {line})") == 2
    found = kernel.value(
        "[[(one.name, one.kind) for one in trace.tracks if one.id in finding.tracks]"
        " for finding in trace.findings if finding.lint == 'deadlock']"
    )
    kind = "thread" if cell is THREADS else "task"
    assert [sorted(pair) for pair in found] == [sorted((name, kind) for name in names)]
