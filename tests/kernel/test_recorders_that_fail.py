"""A recorder that fails, wherever it does, costs its own evidence and one sentence: never the cell."""

from __future__ import annotations

import sys

import pytest

from conftest import Kernel, Run

pytestmark = pytest.mark.kernel

RECORDERS = {
    "sampler": ("sampler.sampler_recorder", "Sampler"),
    "children": ("children.children_recorder", "ChildRecorder"),
    "messages": ("children.messages", "MessageRecorder"),
    "marks": ("marks", "MarkRecorder"),
    "hosts": ("hosts", "HostRecorder"),
    "prints": ("prints", "PrintRecorder"),
    "jobs": ("threads.thread_jobs", "PoolJobRecorder"),
    "threads": ("threads.thread_recorder", "ThreadRecorder"),
    "tasks": ("tasks.task_recorder", "TaskRecorder"),
    "locks": ("locks.lock_recorder", "LockRecorder"),
    "calls": ("calls.call_recorder", "CallRecorder"),
}
# Errors, and what `except Exception` does not catch.
FAILURES = {
    "__init__": "RuntimeError('planted')",
    "start": "SystemExit('planted')",
    "stop": "GeneratorExit('planted')",
}
CELL = """
import threading
found = []
thread = threading.Thread(target=found.append, args=(1,), name="worker")
thread.start(); thread.join()
print("seen", found)
len(found) + 41"""
AWAITING = "import asyncio\nawait asyncio.sleep(0.01)\nprint('slept')\n42"


def fails_in(module: str, kind: str, method: str, error: str) -> str:
    """Code that makes a method of a recorder raise; what it does is done first where it puts things back."""
    first = "original(*arguments, **options)\n    " if method == "stop" else ""
    return f"""
import importlib
owner = importlib.import_module("concmagic.recording.{module}").{kind}
original = owner.{method}
def failing(*arguments, **options):
    {first}raise {error}
owner.{method} = failing"""


PUT_BACK = "owner.{} = original; del owner, original, failing"


def assert_as_plain(run: Run, printed: str, value: str) -> None:
    assert (run.status, run.stdout, run.result_text) == ("ok", printed, value), run


def problems(kernel: Kernel) -> list[str]:
    found = kernel.value("[one.message for one in t.cost.problems]")
    assert isinstance(found, list)
    return found


def assert_next_cell_is_whole(kernel: Kernel) -> None:
    assert_as_plain(kernel.run("%%threads -o t -q" + CELL), "seen [1]\n", "42")
    assert problems(kernel) == []
    assert kernel.value("'worker' in [track.name for track in t.tracks]") is True


@pytest.mark.parametrize("name", RECORDERS)
def test_one_that_fails_when_it_is_made_started_or_stopped(kernel: Kernel, name: str) -> None:
    module, kind = RECORDERS[name]
    for method, error in FAILURES.items():
        kernel.check(fails_in(module, kind, method, error))
        sync = kernel.run("%%timeline -o t -q" + CELL)
        told = problems(kernel)
        awaiting = kernel.run("%%asyncio_trace -o t -q\n" + AWAITING)
        told_awaiting = problems(kernel)
        kernel.check(PUT_BACK.format(method))
        assert_as_plain(sync, "seen [1]\n", "42")
        assert_as_plain(awaiting, "slept\n", "42")
        kind_of_error = error.partition("(")[0]
        sentence = f"The {name} recorder failed, its evidence is missing ({kind_of_error}: planted)."
        assert told == told_awaiting == [sentence]
    assert_next_cell_is_whole(kernel)


@pytest.mark.parametrize("name", RECORDERS)
def test_one_that_cannot_be_imported(kernel: Kernel, name: str) -> None:
    module = f"concmagic.recording.{RECORDERS[name][0]}"
    # What Python itself offers to forbid an import.
    kernel.check(f"import sys\nkept = sys.modules.pop({module!r}, None); sys.modules[{module!r}] = None")
    run = kernel.run("%%threads -o t -q" + CELL)
    told = problems(kernel)
    kernel.check(f"del sys.modules[{module!r}]\nif kept is not None: sys.modules[{module!r}] = kept")
    assert_as_plain(run, "seen [1]\n", "42")
    assert any(sentence.startswith(f"The {name} recorder failed") for sentence in told), told
    assert_next_cell_is_whole(kernel)


def test_the_runner_fails_after_the_cell(kernel: Kernel) -> None:
    """What stands around the cell fails as it is put back: the cell's value was there already."""
    kernel.check("""
import contextlib
from concmagic.runners import sync_cell
kept = sync_cell.loops_of_the_cell
@contextlib.contextmanager
def failing():
    with kept():
        yield
    raise RuntimeError("planted")
sync_cell.loops_of_the_cell = failing""")
    run = kernel.run("%%threads -o t -q" + CELL)
    told = problems(kernel)
    failed = kernel.run("%%threads -o t -q\nprint('first')\n1 / 0")
    kernel.check("sync_cell.loops_of_the_cell = kept")
    assert_as_plain(run, "seen [1]\n", "42")
    assert len(told) == 1 and "planted" in told[0]
    assert (failed.stdout, failed.ename) == ("first\n", "ZeroDivisionError")
    assert "src/concmagic/" not in failed.traceback_text
    assert_next_cell_is_whole(kernel)


def test_the_runner_fails_before_the_cell(kernel: Kernel) -> None:
    kernel.check("""
from concmagic.runners import sync_cell, async_cell
kept = sync_cell.PendingJobs, async_cell.CellTasks
def failing(*arguments):
    raise RuntimeError("planted")
sync_cell.PendingJobs = async_cell.CellTasks = failing""")
    run = kernel.run("%%threads -o t -q" + CELL)
    told = problems(kernel)
    awaiting = kernel.run("%%asyncio_trace -o t -q\n" + AWAITING)
    kernel.check("sync_cell.PendingJobs, async_cell.CellTasks = kept")
    assert_as_plain(run, "seen [1]\n", "42")
    assert_as_plain(awaiting, "slept\n", "42")
    assert len(told) == 1 and "planted" in told[0]
    assert_next_cell_is_whole(kernel)


def test_a_thread_whose_name_is_no_string(kernel: Kernel) -> None:
    code = """
import threading, time
class Odd(threading.Thread):
    name = property(lambda self: 1 / 0, lambda self, value: None)
go = threading.Event()
numbered = threading.Thread(target=go.wait)
odd = Odd(target=go.wait, daemon=True)
for each in (numbered, odd): each.start()
numbered._name = 7  # from 3.14 on a thread of such a name cannot be started
"""
    end = "\ngo.set()\nfor each in (numbered, odd): each.join()\nprint('joined')\n42"
    plain = kernel.run(code + end)
    assert_as_plain(plain, "joined\n", "42")
    for before, body in (("", code + end), (code, end)):  # born in the cell, and there before it
        if before:
            kernel.check(before)
        run = kernel.run("%%threads -o t -q\n" + body)
        assert_as_plain(run, "joined\n", "42")
        assert run.stderr == ""
        if not before:  # else it is a thread of the kernel's, which is hidden
            assert kernel.value("'7' in [track.name for track in t.tracks]") is True
        told = problems(kernel)
        assert len(told) == 1 and "could not be recorded (ZeroDivisionError" in told[0]
    assert_next_cell_is_whole(kernel)


TAKEN = """
import sys, threading
lock = threading.Lock()
def locks():
    with lock:
        return 1
locks()
if sys.monitoring.get_tool({0}) is not None: sys.monitoring.free_tool_id({0})
{1}
total = locks() + locks() + sum(map(len, "abc" * 5))
print(total)
total + 25"""
USERS_OWN = """
sys.monitoring.use_tool_id({0}, "mine")
def mine(*told): return None
sys.monitoring.register_callback({0}, sys.monitoring.events.CALL, mine)
sys.monitoring.set_events({0}, sys.monitoring.events.CALL)"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
@pytest.mark.parametrize("then", ["", USERS_OWN], ids=["freed", "taken"])
def test_a_tool_of_ours_that_the_cell_frees_or_takes(kernel: Kernel, then: str) -> None:
    tool = 4  # by which locks are watched
    code = TAKEN.format(tool, then.format(tool))
    run = kernel.run("%%threads -o t -q" + code)
    assert_as_plain(run, "17\n", "42")
    told = problems(kernel)
    whose = kernel.value(f"__import__('sys').monitoring.get_tool({tool})")
    registered = f"m.register_callback({tool}, m.events.CALL, None)"
    kernel.check("import sys; m = sys.monitoring")
    if then:
        assert whose == "mine"
        assert kernel.value(f"{registered} is mine") is True
        assert kernel.value(f"m.get_events({tool}) == m.events.CALL") is True
        kernel.check(f"m.free_tool_id({tool})")
    else:
        assert whose is None
    assert len(told) == 1, told
    assert_next_cell_is_whole(kernel)
