"""Tasks that are not asyncio's: trio's, curio's, and greenlets have lanes, as many at once as there were."""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel

SLEEPERS = {
    "trio": """
import trio
async def sleeper(seconds):
    await trio.sleep(seconds)
async def start():
    async with trio.open_nursery() as nursery:
        for _ in range(5): nursery.start_soon(sleeper, 0.3)
trio.run(start)
""",
    "curio": """
import curio
async def sleeper(seconds):
    await curio.sleep(seconds)
async def start():
    async with curio.TaskGroup() as group:
        for _ in range(5): await group.spawn(sleeper, 0.3)
curio.run(start)
""",
}
# What gevent does, in a few lines: a hub sleeps until the next of them is due.
SLEEPERS["greenlet"] = """
import greenlet, time
class Hub(greenlet.greenlet):
    waiting = []
    def run(self):
        while self.waiting:
            when, one = min(self.waiting, key=lambda pair: pair[0])
            self.waiting.remove((when, one))
            time.sleep(max(0, when - time.monotonic()))
            one.switch()
hub = Hub()
def sleeper(seconds):
    hub.waiting.append((time.monotonic() + seconds, greenlet.getcurrent()))
    hub.switch()
def begin():
    sleeper(0.3)
for _ in range(5):
    hub.waiting.append((0, greenlet.greenlet(begin, parent=hub)))
hub.switch()
"""
TASKS = (
    "[one for one in trace.tracks if one.kind == 'task' and one.unit"
    " and one.name.startswith(('sleeper', 'begin'))]"
)


@pytest.mark.parametrize("library", SLEEPERS)
def test_five_that_sleep_at_once_are_five_at_once(fresh_kernel: Kernel, library: str) -> None:
    fresh_kernel.check(
        f"try:\n    import {library}\n    can = True\nexcept (ImportError, AttributeError):\n    can = False"
    )
    if not fresh_kernel.value("can"):  # curio 1.6 needs what multiprocessing has no more from 3.12 on
        pytest.skip(f"{library} cannot be imported")
    fresh_kernel.check("%load_ext concmagic")
    ran = fresh_kernel.check("%%timeline -o trace" + SLEEPERS[library])
    told = ran.displays[-1]["text/plain"]
    assert "one thing at a time" not in told
    assert fresh_kernel.value("trace.metrics.concurrency_peak") >= 5
    names = fresh_kernel.value("sorted({one.name.partition('-')[0] for one in " + TASKS + "})")
    assert names == ["begin" if library == "greenlet" else "sleeper"]
    slept = (
        f"[sum(state.length_ns for state in one.states if state.state.value == 'waiting') for one in {TASKS}]"
    )
    assert all(each > 200_000_000 for each in fresh_kernel.value(slept))
    assert fresh_kernel.value(f"len({TASKS})") == 5


def test_the_users_own_hooks_stay_in_place(fresh_kernel: Kernel) -> None:
    pytest.importorskip("greenlet")
    fresh_kernel.check(
        "import greenlet\nseen = []\ndef mine(*switch): seen.append(switch[0])\n"
        "greenlet.settrace(mine)\n%load_ext concmagic"
    )
    fresh_kernel.check("%%timeline -q\ngreenlet.greenlet(lambda: 1).switch()")
    assert fresh_kernel.value("greenlet.gettrace() is mine, 'switch' in seen") == (True, True)
    fresh_kernel.check("%%timeline -q\ngreenlet.settrace(None)")
    assert fresh_kernel.value("greenlet.gettrace()") is None


def test_greenlets_that_ran_no_line_of_the_users_are_no_tasks(fresh_kernel: Kernel) -> None:
    pytest.importorskip("greenlet")
    fresh_kernel.check("%load_ext concmagic\nimport greenlet, json")
    fresh_kernel.check("%%timeline -q -o trace\ngreenlet.greenlet(json.dumps).switch([1])")
    assert fresh_kernel.value("[one.name for one in trace.tracks if one.kind == 'task']") == []
