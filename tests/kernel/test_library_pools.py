"""Pools that are not the standard library's: who is at work in them, what they are called, how they end.

Two libraries are made for it: one with a pool of its own, and a copy of multiprocessing under another name,
as pathos and mpire use one.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.kernel.conftest import Kernel

HANDMADE = '''
"""A pool: two workers, a thread that collects what they send, one that looks after them."""
import multiprocessing, os, signal, threading

def end(number, _):
    os._exit(number)

def work(function, todo, done):
    signal.signal(signal.SIGTERM, end)
    while True:
        number, item = todo.get()
        done.put((number, function(item)))

class Pool:
    def __init__(self, function):
        context = multiprocessing.get_context("fork")
        self.todo, self.done = context.SimpleQueue(), context.SimpleQueue()
        self.workers = [
            context.Process(
                target=work, args=(function, self.todo, self.done), name=f"handmade-{k}", daemon=True
            )
            for k in range(2)
        ]
        for one in self.workers:
            one.start()
        self.results, self.over = {}, threading.Event()
        self.helpers = [threading.Thread(target=one, daemon=True) for one in (self.collect, self.look_after)]
        for one in self.helpers:
            one.start()

    def collect(self):
        while (one := self.done.get()) is not None:
            self.results[one[0]] = one[1]
            if len(self.results) == self.expected:
                self.all_there.set()

    def look_after(self):
        while not self.over.wait(0.01):
            pass

    def map(self, items):
        self.expected, self.all_there = len(items), threading.Event()
        for one in enumerate(items):
            self.todo.put(one)
        self.all_there.wait()
        return [self.results.pop(number) for number in range(len(items))]

    def end(self):
        self.over.set()
        self.done.put(None)
        for one in self.workers:
            one.terminate()
            one.join()
        for one in self.helpers:
            one.join()

def with_callback(callback):
    """Calls what it is given in a thread of its own."""
    one = threading.Thread(target=_call, args=(callback,), name="calls back")
    one.start()
    one.join()

def _call(callback):
    callback()
'''
SETUP = """
import sys, time
sys.path.insert(0, {folder!r})
def slow(x):
    time.sleep(0.05)
    return x + 1
"""
UNITS = "sorted((one.kind, one.name) for one in trace.tracks if one.role == 'work' and one.unit)"


@pytest.fixture
def libraries(tmp_path: Path) -> str:
    """A folder of installed packages with both."""
    import multiprocessing

    folder = tmp_path / "site-packages"
    copy = folder / "multiprocess"
    shutil.copytree(Path(multiprocessing.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for file in copy.rglob("*.py"):
        file.write_text(re.sub(r"(?<!_)multiprocessing", "multiprocess", file.read_text()))
    (folder / "handmade.py").write_text(HANDMADE)
    return str(folder)


@pytest.fixture
def ready(fresh_kernel: Kernel, libraries: str) -> Kernel:
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check(SETUP.format(folder=libraries))
    return fresh_kernel


LAZY = """
import asyncio
async def _each(function, items):
    for item in items:
        yield await function(item)
async def fetch_all(function, *rows):
    streams = [_each(function, row) for row in rows]
    return await asyncio.gather(*(asyncio.ensure_future(_first(one)) for one in streams))
async def _first(stream):
    return [item async for item in stream]
"""


def test_a_librarys_task_has_the_name_of_the_users_function_that_it_runs(
    fresh_kernel: Kernel, tmp_path: Path
) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "lazy.py").write_text(LAZY)
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check(f"import sys\nsys.path.insert(0, {str(folder)!r})")
    fresh_kernel.check(
        "%%asyncio_trace -q -o trace\nimport asyncio, lazy\nasync def heavy(k):\n"
        "    await asyncio.sleep(0.02)\n    return k\nvalue = await lazy.fetch_all(heavy, [1, 2], [3, 4])"
    )
    assert fresh_kernel.value("value") == [[1, 2], [3, 4]]
    named = "sorted(one.name for one in trace.tracks if one.kind == 'task' and one.unit)"
    assert fresh_kernel.value(named) == ["heavy-1", "heavy-2"]


def findings(kernel: Kernel) -> Any:
    return kernel.value("[(one.lint, one.message) for one in trace.findings if 'exit' in one.message "
                        "or 'killed' in one.message or 'running' in one.message]")  # fmt: skip


def test_the_workers_of_a_librarys_pool_are_the_work_and_its_threads_are_not(ready: Kernel) -> None:
    ready.check(
        "%%procs -q -o trace\nimport handmade\npool = handmade.Pool(slow)\n"
        "value = pool.map([*range(6)])\npool.end()"
    )
    assert ready.value("value") == [1, 2, 3, 4, 5, 6]
    assert ready.value(UNITS) == [("process", "handmade-0"), ("process", "handmade-1")]
    assert findings(ready) == []  # to end its workers is the pool's own act
    outcomes = "{str(one.outcome) for one in trace.tracks if one.kind == 'process' and one.unit}"
    assert ready.value(outcomes) == {"ended by its pool"}


def test_idle_workers_that_a_library_keeps_are_not_left_running(ready: Kernel) -> None:
    ready.check(
        "%%procs -q -o trace\nimport handmade\npool = handmade.Pool(slow)\nvalue = pool.map([*range(6)])"
    )
    assert findings(ready) == []
    ready.check("pool.end()")


def test_a_librarys_thread_that_ran_the_users_code_is_the_users_work(ready: Kernel) -> None:
    ready.check("import handmade\ndef called_back():\n    time.sleep(0.05)")
    ready.check("%%threads -q -o trace\nhandmade.with_callback(called_back)")
    assert ready.value(UNITS) == [("thread", "calls back")]


def test_a_thread_that_the_user_starts_is_the_users_whatever_it_runs(ready: Kernel) -> None:
    ready.check("import handmade, threading\ndone = []")
    ready.check(
        "%%threads -q -o trace\n"
        "one = threading.Thread(target=handmade._call, args=(done.clear,), name='mine')\n"
        "one.start()\none.join()"
    )
    assert ready.value(UNITS) == [("thread", "mine")]


def test_a_copy_of_multiprocessing_is_told_as_multiprocessing_is(ready: Kernel) -> None:
    ready.check(
        "%%procs -q -o trace\nimport multiprocess\nwith multiprocess.get_context('fork').Pool(2) as pool:\n"
        "    value = pool.map(slow, range(6))"
    )
    assert ready.value("value") == [1, 2, 3, 4, 5, 6]
    assert ready.value(UNITS) == [("process", "ForkPoolWorker-1"), ("process", "ForkPoolWorker-2")]
    assert findings(ready) == []
    ready.check(
        "%%procs -q -o trace\npool = multiprocess.get_context('fork').Pool(2)\n"
        "value = pool.map(slow, range(6))"
    )
    assert findings(ready) == []
    ready.check("pool.terminate(); pool.join()")


def test_the_server_of_such_a_manager_is_none_of_the_work(ready: Kernel) -> None:
    ready.check(
        "%%procs -q -o trace\nimport multiprocess\nfrom multiprocess.managers import SyncManager\n"
        "manager = SyncManager(ctx=multiprocess.get_context('fork'))\nmanager.start()\n"
        "shared = manager.dict()\nshared['a'] = 1\nvalue = dict(shared)\nmanager.shutdown()"
    )
    assert ready.value("value") == {"a": 1}
    assert ready.value(UNITS) == []
    assert findings(ready) == []
