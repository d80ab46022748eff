"""A clock that the notebook has frozen: the cell sees it, and nothing of ours does."""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel

LONG_S, TOO_LONG_S = 0.2, 60.0
FREEZERS = {
    "freezegun": (
        "import freezegun; frozen = freezegun.freeze_time('2020-01-01', real_asyncio=True)",
        "frozen.start()",
        "frozen.stop()",
    ),
    "time-machine": (
        "import time_machine; frozen = time_machine.travel('2020-01-01', tick=False)",
        "frozen.start()",
        "frozen.stop()",
    ),
    "by hand": (
        "import time; real = time.time, time.monotonic, time.monotonic_ns, time.perf_counter",
        "time.time = lambda: 1577836800.0\n"
        "time.monotonic = time.monotonic_ns = time.perf_counter = lambda: 5",
        "time.time, time.monotonic, time.monotonic_ns, time.perf_counter = real",
    ),
}
SETUP = """
import asyncio, datetime, multiprocessing, threading, time
def sleeping():
    time.sleep(0.2)
def child():
    sleeping()
    raise SystemExit(time.time() == 1577836800.0)
def told(trace):
    # Seconds in each state of every track.
    told = {}
    for track in trace.tracks:
        for state in track.states:
            key = track.kind, track.name, state.state.value, state.reason
            told[key] = told.get(key, 0.0) + state.length_ns / 1e9
    return told
"""
THREADS = "worker = threading.Thread(target=sleeping, name='worker'); worker.start(); worker.join()"
CHILD = """job = multiprocessing.get_context('fork').Process(target=child, name='child')
job.start(); job.join()"""
TASKS = """
async def napping():
    await asyncio.sleep(0.2)
await asyncio.gather(asyncio.create_task(napping(), name='one'), napping())
"""


@pytest.fixture(scope="module")
def prepared(kernel: Kernel) -> Kernel:
    kernel.check(SETUP)
    return kernel


@pytest.mark.parametrize("freezer", FREEZERS)
def test_threads_and_children_last_as_long_as_they_did(prepared: Kernel, freezer: str) -> None:
    make, start, stop = FREEZERS[freezer]
    prepared.check(make)
    prepared.check(start)
    try:
        prepared.check(CHILD)
        seen_plain = prepared.value("job.exitcode")
        run = prepared.check(f"%%timeline -o trace\n{THREADS}\n{CHILD}\ntime.time()")
        seen = prepared.value("job.exitcode")
        seconds = prepared.value("told(trace)")
        wall_s = prepared.value("trace.metrics.wall_s")
    finally:
        prepared.check(stop)
    assert (run.result_text, seen) == ("1577836800.0", seen_plain)
    assert 2 * LONG_S < wall_s < TOO_LONG_S
    assert LONG_S / 2 < seconds["thread", "worker", "waiting", "sleep"] < TOO_LONG_S
    assert LONG_S / 2 < seconds["process", "child", "waiting", "sleep"] < TOO_LONG_S
    assert prepared.value("trace.cost.problems") == ()  # all evidence is there: also the native calls


@pytest.mark.parametrize("freezer", ["freezegun", "time-machine"])
def test_tasks_last_as_long_as_they_did(prepared: Kernel, freezer: str) -> None:
    make, start, stop = FREEZERS[freezer]
    prepared.check(f"{make}; {start}")
    try:
        run = prepared.check(f"%%asyncio_trace -o trace\n{TASKS}\ntime.time()")
        seconds = prepared.value("told(trace)")
    finally:
        prepared.check(stop)
    assert run.result_text == "1577836800.0"
    assert LONG_S / 2 < seconds["task", "one", "waiting", "sleep"] < TOO_LONG_S


@pytest.mark.parametrize("freezer", FREEZERS)
def test_frozen_inside_the_cell(prepared: Kernel, freezer: str) -> None:
    make, start, stop = FREEZERS[freezer]
    prepared.check(make)
    body = f"{THREADS}\n{start}\ntry:\n    {THREADS}; seen = time.time()\nfinally:\n    {stop}\nseen"
    run = prepared.check(f"%%threads -o trace\n{body}")
    assert run.result_text == "1577836800.0"
    assert 2 * LONG_S < prepared.value("trace.metrics.wall_s") < TOO_LONG_S
    lengths = "[sum(s.length_ns for s in t.states) / 1e9 for t in trace.tracks if t.name == 'worker']"
    assert all(LONG_S / 2 < length < TOO_LONG_S for length in prepared.value(lengths))


def test_frozen_before_the_extension_is_loaded(fresh_kernel: Kernel) -> None:
    make, start, _ = FREEZERS["freezegun"]
    fresh_kernel.check(f"{make}; {start}")
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check(SETUP)
    run = fresh_kernel.check(f"%%threads -o trace\n{THREADS}\ntime.time()")
    assert run.result_text == "1577836800.0"
    seconds = fresh_kernel.value("told(trace)")
    assert LONG_S / 2 < seconds["thread", "worker", "waiting", "sleep"] < TOO_LONG_S
    assert fresh_kernel.value("trace.cost.problems") == ()


def test_a_timer_of_the_loop_goes_by_the_loops_own_time(prepared: Kernel) -> None:
    """Where freezegun leaves asyncio alone, a sleep ends, and it does not end at once."""
    make, start, stop = FREEZERS["freezegun"]
    prepared.check(f"{make}; {start}")
    try:
        run = prepared.check(
            "%%asyncio_trace -q\nloop = asyncio.get_running_loop(); begun = loop.time()\n"
            "await asyncio.sleep(0.2)\nloop.time() - begun >= 0.19"
        )
    finally:
        prepared.check(stop)
    assert run.result_text == "True"
