"""Names, labels and messages of a million characters: cut where they are noted, and it is said."""

from __future__ import annotations

import ast
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

SETUP = """
%load_ext concmagic
import asyncio, dataclasses, multiprocessing, threading, concmagic
from concurrent.futures import ThreadPoolExecutor
long = "ab c.d " * 150_000

class Long:
    def __repr__(self):
        return long

async def failing():
    raise ValueError(long)

def longest(thing):
    if isinstance(thing, str):
        return len(thing)
    if dataclasses.is_dataclass(thing):
        thing = [getattr(thing, one.name) for one in dataclasses.fields(thing) if one.name != "source"]
    elif isinstance(thing, dict):
        thing = [*thing.keys(), *thing.values()]
    return max(map(longest, thing), default=0) if isinstance(thing, (tuple, list)) else 0
"""

CELLS = {
    "a task's name": """
%%asyncio_trace
await asyncio.create_task(asyncio.sleep(0.001), name=long)
""",
    "a coroutine's name": """
%%asyncio_trace
async def step(): await asyncio.sleep(0.001)
step.__qualname__ = long
await asyncio.create_task(step())
""",
    "a thread's name": """
%%threads
thread = threading.Thread(target=int, name=long)
thread.start()
thread.join()
""",
    "a pool's name": """
%%threads
with ThreadPoolExecutor(1, long) as pool:
    pool.submit(len, long)
""",
    "a process's name": """
%%procs
child = multiprocessing.get_context("fork").Process(target=int, name=long)
child.start()
child.join()
""",
    "an exception's message": """
%%asyncio_trace
await asyncio.gather(asyncio.create_task(failing()), return_exceptions=True);
""",
    "an exception's name": """
%%asyncio_trace
async def raising(): raise type("E" * 1_000_000, (Exception,), {})
await asyncio.gather(asyncio.create_task(raising()), return_exceptions=True);
""",
    "a mark's label": """
%%threads
with concmagic.mark(long):
    pass
""",
    "an item's repr": """
%%threads for one in [Long(), Long()]
None
""",
}


@pytest.fixture(scope="module")
def prepared(kernel: Any) -> Any:
    assert kernel.run(SETUP).status == "ok"
    return kernel


@pytest.mark.parametrize("what", CELLS)
def test_a_long_text_is_cut_where_it_is_noted(prepared: Any, what: str):
    run = prepared.run(CELLS[what].strip())
    assert run.status == "ok", run.traceback_text
    told = prepared.run("longest(concmagic.last().tracks + concmagic.last().marks + concmagic.last().jobs)")
    assert int(told.result_text) < 1_200  # a type's name and a message at most
    said = ast.literal_eval(prepared.run("concmagic.last().report().footer").result_text)
    assert any("longer than 512 characters and shown cut" in sentence for sentence in said)


def test_a_short_text_is_left_as_it_is_and_nothing_is_said(prepared: Any):
    prepared.run("%%asyncio_trace\nawait asyncio.create_task(asyncio.sleep(0.001), name='n' * 512)")
    assert (
        prepared.run("'n' * 512 in {track.name for track in concmagic.last().tracks}").result_text == "True"
    )
    assert "shown cut" not in prepared.run("concmagic.last().report().footer").result_text


def test_a_text_cut_says_how_long_it_was():
    from concmagic.recording import labels

    assert labels.cut("x" * 600) == "x" * 512 + "… (600 characters)"
    assert labels.cut("x" * 512) == "x" * 512


def test_nothing_of_a_subclass_is_asked():
    from concmagic.recording import labels

    class Hostile(str):
        def __len__(self) -> int:
            raise RuntimeError

        def __str__(self) -> str:
            raise RuntimeError

    assert labels.cut(Hostile("name")) == "name"
    assert type(labels.cut(Hostile("name"))) is str
