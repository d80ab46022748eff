"""The task recorder on a real kernel's loop: whose tasks are whose."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

SETUP = """
import asyncio, json, threading
from concmagic.recording.tasks.task_recorder import TaskRecorder

async def leaf():
    await asyncio.sleep(0.001)

def tell(log):
    tasks = [[t.number, t.origin, t.name, t.coroutine, t.parent, t.loop, t.created_ns is not None, t.outcome,
              len(t.steps), [w.cause for w in t.wakes]] for t in log.tasks]
    loops = [[l.number, l.kernel] for l in log.loops]
    print(json.dumps([tasks, loops, list(log.problems), log.cell_task]))
"""

# One cell starts the recorder, a later one stops it: the kernel's own tasks and threads are at work between.
CELLS = {
    "awaits": """
async with asyncio.TaskGroup() as group:
    group.create_task(leaf(), name="one")
    group.create_task(leaf(), name="two")
""",
    "adopts": """
async def cell():
    await asyncio.gather(asyncio.create_task(leaf(), name="one"), asyncio.create_task(leaf(), name="two"))
task = asyncio.create_task(cell())
recorder.adopt_cell_task(task)
await task
""",
    "sync": """
one = asyncio.get_running_loop().create_task(leaf(), name="one")
two = asyncio.get_running_loop().create_task(leaf(), name="two")
""",
    "thread": """
async def main():
    await asyncio.gather(asyncio.create_task(leaf(), name="one"), asyncio.create_task(leaf(), name="two"))
thread = threading.Thread(target=asyncio.run, args=(main(),))
thread.start()
thread.join()
""",
}


def recorded(kernel: Any, cell: str) -> tuple[list[Any], list[Any], list[str], int | None]:
    for code in (SETUP, "recorder = TaskRecorder()\nrecorder.start()", cell):
        assert kernel.run(code).status == "ok"
    told = kernel.run("await asyncio.sleep(0.01)\ntell(recorder.stop())")
    assert told.status == "ok", told.traceback
    tasks, loops, problems, cell_task = json.loads(told.stdout)
    return tasks, loops, problems, cell_task


@pytest.mark.parametrize("kind", CELLS)
def test_the_cells_tasks_are_the_users_and_no_others(kernel: Any, kind: str) -> None:
    tasks, loops, problems, cell_task = recorded(kernel, CELLS[kind])
    assert problems == []
    users = {task[2] or task[3] for task in tasks if task[1] == "user"}
    extra = {"adopts": {"cell"}, "thread": {"main"}}.get(kind, set())
    assert users == {"one", "two"} | extra
    assert any(task[1] == "kernel" for task in tasks)
    kernel_loops = {number for number, is_kernel in loops if is_kernel}
    for task in tasks:
        if task[2] in ("one", "two"):
            assert (task[6], task[7], task[8], task[9]) == (True, "returned", 2, ["timer"])
            assert (task[5] in kernel_loops) == (kind != "thread")
            parent = next((each for each in tasks if each[0] == task[4]), None)
            assert (parent[2] or parent[3] if parent else None) == next(iter(extra), None)
    assert (cell_task is not None) == (kind == "adopts")
    assert {number for number, is_kernel in loops if not is_kernel} == {t[5] for t in tasks if t[3] == "main"}
    assert kernel.run("asyncio.base_events.BaseEventLoop.call_soon.__module__").result_text == (
        "'asyncio.base_events'"
    )
