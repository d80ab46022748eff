"""Event loops on which only callbacks run: by timers, by descriptors, and sent by other threads."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from conftest import Kernel

SETUP = """
%load_ext concmagic
import asyncio, concmagic, socket, threading, time
from concmagic.analysis.critical_path import path_of
from concmagic.analysis import metrics

def told():
    trace = concmagic.last()
    tracks = {track.id: track for track in trace.tracks}
    loops = [track for track in trace.tracks if track.kind == "loop" and track.role == "work"]
    runs = {tracks[loop.parent].name for loop in loops}
    named = {trace.name_of(holder) for loop in loops for one in loop.states for holder in one.holders}
    path = {}
    for part in path_of(trace):
        key = part.reason or part.state.value
        length, line = path.get(key, (0, 0))
        path[key] = length + part.length_ns / 1e6, part.line or line
    return {"loops": len(loops), "of": sorted(runs), "named": sorted(named), "path": path,
            "concurrency": metrics.compute(trace).concurrency}
"""
NEW = {"asyncio": "asyncio.new_event_loop()", "uvloop": "__import__('uvloop').new_event_loop()"}
ENDS = "loop.close()"

TIMERS = """
loop = LOOP
def tick(left):
    loop.call_later(0.05, tick, left - 1) if left else loop.stop()
loop.call_later(0.1, tick, 4)
loop.run_forever()
loop.close()
"""
FUTURE = """
loop = LOOP
ready = loop.create_future()
loop.call_later(0.3, ready.set_result, 7)
assert loop.run_until_complete(ready) == 7
loop.close()
"""
DESCRIPTORS = """
here, there = socket.socketpair()
here.setblocking(False)
loop = LOOP
def read():
    if here.recv(10) == b"stop":
        loop.stop()
def send():
    time.sleep(0.15); there.send(b"go")
    time.sleep(0.15); there.send(b"stop")
loop.add_reader(here, read)
thread = threading.Thread(target=send)
thread.start()
loop.run_forever()
thread.join()
loop.remove_reader(here), loop.close(), here.close(), there.close()
"""
SENT = """
loop = LOOP
thread = threading.Thread(target=loop.run_forever, name="loops")
thread.start()
def note(): pass
loop.call_soon_threadsafe(note)
time.sleep(0.3)
loop.call_soon_threadsafe(loop.stop)
thread.join()
loop.close()
"""
PAUSE = """
loop = LOOP
for _ in range(2):
    ready = loop.create_future()
    loop.call_later(0.1, ready.set_result, 7)
    loop.run_until_complete(ready)
    time.sleep(0.2)
loop.close()
"""


def _told(kernel: Kernel, cell: str, kind: str, detail: str) -> dict[str, Any]:
    if kind == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    kernel.check(SETUP)
    kernel.check(f"%%timeline -q {detail}\n" + cell.replace("LOOP", NEW[kind]))
    found: dict[str, Any] = kernel.value("told()")
    return found


both_details = pytest.mark.parametrize("detail", ["", "--detail states"])
both_loops = pytest.mark.parametrize("kind", NEW)


@pytest.mark.sampled
@both_details
@both_loops
@pytest.mark.parametrize(("cell", "line"), [(TIMERS, 7), (FUTURE, 6)])
def test_a_loop_on_the_main_thread_waits_for_its_timers_at_the_line_that_runs_it(
    kernel: Kernel, cell: str, line: int, kind: str, detail: str
) -> None:
    told = _told(kernel, cell, kind, detail)
    assert (told["loops"], told["of"]) == (1, ["MainThread"])
    # Where the machine is busy, it wants a core at the end of a wait.
    assert told["path"]["timer"][0] > 200 and told["path"]["timer"][1] == line
    assert all(told["path"].get(other, (0, 0))[0] < 20 for other in ("select", "events", "for work"))
    assert (cell is TIMERS) == ("tick" in told["named"])


@pytest.mark.sampled
@both_details
@both_loops
def test_a_loop_that_reads_waits_for_events(kernel: Kernel, kind: str, detail: str) -> None:
    told = _told(kernel, DESCRIPTORS, kind, detail)
    assert (told["loops"], told["of"]) == (1, ["MainThread"])
    assert told["path"]["events"][0] > 200 and told["path"]["events"][1] == 15
    assert all(told["path"].get(other, (0, 0))[0] < 20 for other in ("select", "timer", "for work"))


@pytest.mark.sampled
@both_details
@both_loops
def test_who_stops_a_loop_in_a_thread_is_what_the_cell_waited_for(
    kernel: Kernel, kind: str, detail: str
) -> None:
    told = _told(kernel, SENT, kind, detail)
    assert (told["loops"], told["of"]) == (1, ["loops"])
    assert told["path"]["sleep"][0] > 200
    assert "note" in told["named"]
    assert told["concurrency"] < 0.5  # a loop without anything to do is not at work


@pytest.mark.sampled
@both_loops
def test_between_two_runs_of_a_loop_its_thread_did_something_else(kernel: Kernel, kind: str) -> None:
    told = _told(kernel, PAUSE, kind, "")
    assert told["loops"] == 1
    assert told["path"]["sleep"][0] > 300 and told["path"]["timer"][0] > 120
    assert told["path"].get("for work", (0, 0))[0] < 20


def test_an_exception_in_a_loop_without_tasks_has_no_frame_of_ours(kernel: Kernel) -> None:
    kernel.check(SETUP + "\ndef leave():\n    raise KeyboardInterrupt('now')")
    run = kernel.run(
        "%%timeline -q\nloop = asyncio.new_event_loop()\nloop.call_soon(leave)\nloop.run_forever()"
    )
    assert (run.ename, run.evalue) == ("KeyboardInterrupt", "now")
    assert "leave" in "".join(run.traceback) and "concmagic" not in "".join(run.traceback)


BLOCKED = """
loop = LOOP
def slow():
    time.sleep(0.2)
def tick(): pass
loop.call_later(0.05, slow)
loop.call_later(0.1, tick)
loop.call_later(0.4, loop.stop)
loop.run_forever()
loop.close()
"""
BLOCKED_IN_A_THREAD = """
loop = LOOP
thread = threading.Thread(target=loop.run_forever)
thread.start()
def slow():
    time.sleep(0.2)
def tick(): pass
loop.call_soon_threadsafe(slow)
time.sleep(0.05)
loop.call_soon_threadsafe(tick)
time.sleep(0.3)
loop.call_soon_threadsafe(loop.stop)
thread.join()
loop.close()
"""
FINDINGS = "[(one.lint, one.message, one.hint, one.line) for one in concmagic.last().findings]"


@pytest.mark.sampled
@both_details
@pytest.mark.parametrize(("cell", "line"), [(BLOCKED, 5), (BLOCKED_IN_A_THREAD, 7)])
def test_a_callback_that_blocks_while_another_is_due_is_found(
    kernel: Kernel, cell: str, line: int, detail: str
) -> None:
    _told(kernel, cell, "asyncio", detail)
    (found,) = [one for one in kernel.value(FINDINGS) if one[0] == "blocked-event-loop"]
    assert "blocked the loop while 1 callback was ready (tick)." in found[1]
    assert "run_in_executor" in found[2]
    assert detail or found[3] == line


@pytest.mark.sampled
def test_a_callback_that_blocks_and_keeps_only_the_end_of_its_loop_waiting_is_not(kernel: Kernel) -> None:
    _told(kernel, BLOCKED.replace("loop.call_later(0.1, tick)", "").replace("0.4", "0.1"), "asyncio", "")
    assert not [one for one in kernel.value(FINDINGS) if one[0] == "blocked-event-loop"]
