"""What calls tell: waits with reason and line, proven running, slices of your code."""

from __future__ import annotations

import asyncio.threads
import concurrent.futures.thread
import queue
import threading

import pytest
from tests.unit.recordings import CELL, MAIN, MS, PID, START, calls

from concmagic.importing.call_columns import Calls, slices_of, together
from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds
from concmagic.importing.import_calls import ImportedCalls, import_calls
from concmagic.importing.threads.turns import without_turns
from concmagic.interpreter import recorded_calls
from concmagic.model.trace import NO_FACTS, Facts, State, StateInterval
from concmagic.source_lookup import CallLines, call_text

THREADING = threading.__file__
SOURCE = """\
import time, asyncio
def work(lock):
    time.sleep(0.3)
async def both():
    await asyncio.sleep(1)
    time.sleep(2)
def twice():
    time.sleep(1); time.sleep(2)
"""


def imported(drawn: Calls, source: str = SOURCE) -> ImportedCalls:
    """Read drawn calls in a cell of 100 ms."""
    clock, places = CellClock(START, 100 * MS), Places(CELL, {CELL: 7})
    return import_calls(drawn, clock, places, CallLines(source, CELL), TrackIds(), PID)


def test_a_blocking_call_is_a_wait_with_its_line() -> None:
    (call,) = (
        imported(calls((0, 0, 50, "work", CELL, 3), (1, 1, 40, "time.sleep", "", 0))).threads[MAIN].blocked
    )
    assert (call.reason, call.called, call.file, call.line) == ("sleep", "time.sleep", "", 4)
    assert (call.start_ns, call.end_ns) == (MS, 40 * MS)


def test_the_dotted_name_tells_two_sleeps_apart() -> None:
    (call,) = (
        imported(calls((0, 0, 50, "both", CELL, 5), (1, 1, 40, "time.sleep", "", 0))).threads[MAIN].blocked
    )
    assert call.line == 7


def test_a_line_that_is_not_certain_is_not_claimed() -> None:
    (call,) = (
        imported(calls((0, 0, 50, "twice", CELL, 8), (1, 1, 9, "time.sleep", "", 0))).threads[MAIN].blocked
    )
    assert call.line == 0


def test_the_library_function_you_called_names_the_wait() -> None:
    source = "def work(t):\n    t.join()\n"
    drawn = calls(
        (0, 0, 50, "work", CELL, 2),
        (1, 1, 49, "Thread.join", THREADING, 1080),
        (2, 2, 48, "_thread.lock.acquire", "", 0),
    )
    (call,) = imported(drawn, source).threads[MAIN].blocked
    assert (call.reason, call.line) == ("join", 3)


POOL = concurrent.futures.thread.__file__


def test_a_worker_waits_for_work_where_it_asks_for_it() -> None:
    drawn = calls((0, 0, 50, "_worker", POOL, 69), (1, 1, 49, "_queue.SimpleQueue.get", "", 0))
    (call,) = imported(drawn).threads[MAIN].blocked
    assert call.reason == "for work"


def test_a_job_that_is_a_function_of_a_library_is_no_wait_for_work() -> None:
    drawn = calls(
        (0, 0, 50, "_worker", POOL, 69),
        (1, 1, 49, "_WorkItem.run", POOL, 53),
        (2, 2, 48, "time.sleep", "", 0),
    )
    (call,) = imported(drawn).threads[MAIN].blocked
    assert call.reason == "sleep"


@pytest.mark.parametrize(
    ("line", "called", "named"),
    [
        ("jobs.get(timeout=1)", "Queue.get", "jobs.get"),
        ("make(1).get()", "Queue.get", "get"),
        ("self.jobs.get()", "Queue.get", "self.jobs.get"),
        ("x = [jobs.get(), jobs.get()]", "Queue.get", "Queue.get"),  # which of the two is not known
        ("run(jobs)", "run", "run"),
        ("run(jobs) or run(jobs)", "run", "queue.run"),
    ],
)
def test_what_blocks_a_step_is_named_as_the_user_calls_it(line: str, called: str, named: str) -> None:
    drawn = calls(
        (0, 0, 50, "work", CELL, 2),
        (1, 1, 49, called, queue.__file__, 9),
        (2, 2, 48, "_thread.lock.acquire", "", 0),
    )
    (call,) = imported(drawn, f"def work(jobs):\n    {line}\n").threads[MAIN].blocked
    assert call.step == named
    assert call.as_blocking(0, 9).reason == named
    assert call.as_blocking(0, 9).facts is NO_FACTS  # a lock tells nothing more
    assert call.as_blocking(0, 9, Facts(holders=(3,))).holders == (3,)


def test_the_innermost_call_is_told_beside_the_users_own() -> None:
    source = "def work(cursor):\n    cursor.execute('select 1')\n"
    drawn = calls(
        (0, 0, 50, "work", CELL, 2),
        (1, 1, 49, "Cursor.execute", "/lib/site-packages/driver.py", 9),
        (2, 2, 48, "socket.recv_into", "", 0),
    )
    (call,) = imported(drawn, source).threads[MAIN].blocked
    blocking = call.as_blocking(0, 9)
    assert (blocking.reason, blocking.facts.call) == ("cursor.execute", "socket.recv_into")


@pytest.mark.parametrize(
    ("line", "called", "told"), [("to_thread(f)", "to_thread", "Thread.start"), ("t.start()", "start", "")]
)
def test_a_pool_that_starts_a_thread_for_a_job_is_told_beside_the_job(
    line: str, called: str, told: str
) -> None:
    drawn = calls(
        (0, 0, 50, "work", CELL, 2),
        (1, 1, 49, called, asyncio.threads.__file__, 9),
        (2, 2, 48, "Thread.start", THREADING, 9),
        (3, 3, 47, "_thread.lock.acquire", "", 0),
    )
    (call,) = imported(drawn, f"def work(t):\n    {line}\n").threads[MAIN].blocked
    assert call.as_blocking(0, 9).facts.call == told


def test_a_short_blocking_call_is_part_of_the_running() -> None:
    drawn = calls((0, 0, 0.5, "work", CELL, 3), (1, 0.1, 0.11, "_thread.lock.acquire", "", 0))
    found = imported(drawn).threads[MAIN]
    assert found.blocked == ()
    assert [(one.start_ns, one.end_ns) for one in found.running] == [(0, MS // 2)]


def test_only_events_close_to_each_other_prove_running() -> None:
    rows = [(0, ms, ms + 0.1, "work", CELL, 3) for ms in (0, 0.5, 1.0, 9.0, 9.5)]
    running = imported(calls(*rows)).threads[MAIN].running
    assert [(one.start_ns / MS, one.end_ns / MS) for one in running] == [(0, 1.1), (9, 9.6)]


def test_slices_are_your_code_and_its_first_step_into_a_library() -> None:
    drawn = calls(
        (0, 0, 50, "outside", THREADING, 1),
        (1, 1, 49, "main.<locals>.work", CELL, 3),
        (2, 2, 48, "Thread.join", THREADING, 9),
        (3, 3, 47, "_thread.lock.acquire", "", 0),
        (3, 3, 47, "callback", CELL, 5),
    )
    ids = TrackIds()
    ids.get("thread", PID, MAIN)
    slices = together([slices_of(imported(drawn).shown, PID, ids, {}, Places(CELL, {CELL: 7}))])
    named = [slices.functions[index].name for index in slices.function]
    assert list(zip(named, slices.depth.tolist(), strict=True)) == [
        ("work", 0),
        ("Thread.join", 1),
        ("callback", 2),
    ]


def test_a_call_in_a_step_is_the_tasks_with_its_depth_from_there() -> None:
    drawn = calls((0, 0, 50, "<module>", CELL, 1), (1, 10, 20, "work", CELL, 3), (2, 11, 12, "f", CELL, 5))
    ids = TrackIds()
    main, task = ids.get("thread", PID, MAIN), ids.get("task", PID, 1)
    steps = {MAIN: [(9 * MS, 21 * MS, task)]}
    slices = slices_of(imported(drawn).shown, PID, ids, steps, Places(CELL, {CELL: 7}))
    assert slices.track.tolist() == [main, task, task]
    assert slices.depth.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("time.sleep", "sleep"),
        ("_thread.lock.acquire", "Lock"),
        ("_queue.SimpleQueue.get", "Queue.get"),
        ("socket.recv", "socket"),
        ("select.epoll.poll", "select"),
        ("posix.waitpid", "subprocess"),
        ("_thread._ThreadHandle.join", "join"),
        ("socket.close", ""),
        ("list.append", ""),
        ("", ""),
    ],
)
def test_which_functions_block(name: str, reason: str) -> None:
    assert recorded_calls.blocking_reason(name) == reason


def test_system_calls_have_reasons_on_both_machines() -> None:
    assert (
        recorded_calls.syscall_reason(230, "x86_64")
        == recorded_calls.syscall_reason(115, "aarch64")
        == "sleep"
    )
    assert recorded_calls.syscall_reason(99_999, "x86_64") == "system call"


def test_magics_in_the_source_do_not_hide_its_lines() -> None:
    assert CallLines("!ls\n%time x\ndef f():\n    g(1)\n", CELL).find(CELL, "f", 4, "g") == (5, "g(1)")


def test_source_that_is_no_python_tells_no_line() -> None:
    assert CallLines("def f(:\n", CELL).find(CELL, "f", 2, "g") == (0, "")
    assert call_text("def f(:\n", 2, "g") == ""


def test_files_are_shown_by_short_names() -> None:
    places = Places(CELL, {CELL: 7, "<other>": 12})
    assert [places.short(file) for file in (CELL, "<other>", "/home/me/db.py")] == ["", "In[12]", "db.py"]
    assert [places.is_own(file) for file in (CELL, "/home/me/db.py", THREADING, "<frozen os>", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_sleep_of_nothing_within_a_wait_for_the_gil_is_that_wait() -> None:
    turn = StateInterval(0, 10 * MS, State.READY, "GIL")
    short, long = (
        StateInterval(2 * MS, 3 * MS, State.WAITING, "sleep"),
        StateInterval(8 * MS, 30 * MS, State.WAITING),
    )
    assert without_turns([short, long], [turn]) == [long]
    assert without_turns([short, long], []) == [short, long]
