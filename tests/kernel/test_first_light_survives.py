"""What goes wrong in the recording costs evidence or the picture, never the cell or the kernel."""

from __future__ import annotations

import sys

import pytest

from concmagic import sentences
from concmagic.problems import Problem
from conftest import Kernel, Run

BREAK = """
def break_it(owner, name, message):
    global mend
    original = owner.__dict__[name]
    def broken(*args, **kwargs):
        raise RuntimeError(message)
    def mend():
        setattr(owner, name, original)
    setattr(owner, name, broken)
"""
ASYNC_CELL = "%%asyncio_trace\nimport asyncio\nawait asyncio.sleep(0)\n41 + 1"
CELLS = ["%%threads\n41 + 1", ASYNC_CELL]

HOOKS = """
def hooks():
    import asyncio, os, sys, threading, time
    owners = [(asyncio.BaseEventLoop, 'call_soon'), (asyncio.Handle, '_run')]
    owners += [(threading.Thread, 'start'), (time, 'sleep'), (os, 'fork')]
    found = {name: id(owner.__dict__[name]) for owner, name in owners}
    found['profile'] = (sys.getprofile(), threading.getprofile())
    if sys.version_info >= (3, 12):
        found['tools'] = [sys.monitoring.get_tool(number) for number in range(6)]
    return repr(found)
"""


def _pictures(run: Run) -> str:
    """The text pictures, each on one line: a sentence may be folded anywhere."""
    return " ".join(" ".join(bundle.get("text/plain", "") for bundle in run.displays).split())


@pytest.mark.parametrize("cell", CELLS, ids=["sync", "awaiting"])
@pytest.mark.parametrize(
    ("module", "recorder", "method", "name"),
    [
        ("marks", "MarkRecorder", "start", "marks"),
        ("marks", "MarkRecorder", "stop", "marks"),
        ("tasks.task_recorder", "TaskRecorder", "start", "tasks"),
        ("threads.thread_recorder", "ThreadRecorder", "start", "threads"),
        ("calls.call_recorder", "CallRecorder", "start", "calls"),
        ("children.children_recorder", "ChildRecorder", "start", "children"),
    ],
)
def test_a_recorder_that_fails_costs_its_evidence_only(
    kernel: Kernel, cell: str, module: str, recorder: str, method: str, name: str
) -> None:
    kernel.check(HOOKS + BREAK + f"from concmagic.recording.{module} import {recorder} as broken_class")
    before = kernel.value("hooks()")
    kernel.check(f"break_it(broken_class, {method!r}, 'nothing today')")
    run = kernel.check(cell)
    kernel.check("mend()")
    assert run.result_text == "42"
    assert "nothing today" in _pictures(run)
    assert f"The {name} recorder failed" in _pictures(run)
    assert kernel.value("hooks()") == before


@pytest.mark.parametrize("cell", CELLS, ids=["sync", "awaiting"])
@pytest.mark.parametrize(
    ("owner", "method"),
    [
        ("concmagic.recording.session.RecordingSession", "_own_process"),
        ("concmagic.importing.importer", "import_recording"),
        ("concmagic.api.Trace", "report"),
    ],
)
def test_a_picture_that_cannot_be_made_is_one_line(
    kernel: Kernel, cell: str, owner: str, method: str
) -> None:
    module, _, last = owner.rpartition(".")
    broken = f"from {module} import {last} as owner"
    kernel.check(HOOKS + BREAK + broken)
    before = kernel.value("hooks()")
    kernel.check(f"break_it(owner, {method!r}, 'nothing today')")
    run = kernel.check(cell)
    kernel.check("mend()")
    assert run.result_text == "42"
    assert run.displays == []
    assert [line for line in run.stderr.splitlines() if "nothing today" in line] == run.stderr.splitlines()
    assert len(run.stderr.splitlines()) == 1
    assert kernel.value("hooks()") == before


@pytest.mark.parametrize(
    "cell",
    ["\nran.append(1)", "\nawait asyncio.sleep(0)\nran.append(1)", " for n in range(1)\nran.append(1)"],
    ids=["sync", "awaiting", "loop"],
)
def test_a_timeout_that_no_thread_can_keep_is_refused_and_nothing_runs(kernel: Kernel, cell: str) -> None:
    kernel.check("import asyncio, threading\nran = []\nsize = threading.stack_size(1 << 46)")
    try:  # no thread can have so much
        run = kernel.run(f"%%asyncio_trace --timeout 300{cell}")
    finally:
        kernel.value("threading.stack_size(size)")
    assert run.ename == "UsageError"
    assert sentences.NO_TIMEOUT in " ".join(run.stderr.split())
    kernel.check("for _ in range(9): await asyncio.sleep(0)")  # what was left on the loop would run now
    assert kernel.value("ran") == []
    kernel.check(f"%%asyncio_trace --timeout 300{cell}")
    assert kernel.value("ran") == [1]


SLOW_DRAWING = """
import time
from concmagic.renderers.text import TextRenderer
real_render = TextRenderer.render
def render(self, report):
    print("drawing", flush=True)
    time.sleep(60)
TextRenderer.render = render
"""


def test_a_click_while_the_picture_is_drawn_costs_the_picture_only(kernel: Kernel) -> None:
    """Of a cell that does not await: after an awaiting one ipykernel itself ignores it."""
    kernel.check(SLOW_DRAWING)
    run = kernel.interrupted("%%threads\n41 + 1", "drawing")
    kernel.check("TextRenderer.render = real_render")
    assert (run.status, run.result_text, run.stdout) == ("ok", "42", "drawing\n")
    assert run.stderr == sentences.DRAWING_INTERRUPTED + "\n"
    assert kernel.check("%timeline").displays


BORROWED = """
import gc, threading
def work():
    for number in range(300):
        L = type("L", (list,), {})
        some = L()
        some.append(1)
        some.extend([2])
        del L, some
    gc.collect()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
L = type("L", (list,), {}); L().append(1); del L
gc.collect()
"""


@pytest.mark.parametrize("magic", ["threads", "timeline", "procs", "asyncio_trace"])
def test_names_of_collected_classes_are_neither_garbage_nor_a_crash(kernel: Kernel, magic: str) -> None:
    for _ in range(3):
        kernel.check(f"%%{magic} -o traced\n{BORROWED}")
        kernel.check("gc.collect()")
        names = kernel.value("sorted({function.name for function in traced.slices.functions})")
        assert {"cell", "work"} <= set(names)
        assert all(name.isprintable() and name.isascii() and 0 < len(name) < 80 for name in names), names
    assert kernel.is_alive


def test_a_loop_of_nones_binds_its_list(kernel: Kernel) -> None:
    for magic in ("threads", "asyncio_trace", "procs"):
        run = kernel.check(f"%%{magic} -q -w 2 -r values for n in range(3)\nm = n")
        assert run.result_text is None
        assert kernel.value("list(values)") == [None, None, None]


def test_a_call_that_cannot_be_noted_is_told_and_goes_on(kernel: Kernel) -> None:
    kernel.check(
        "from multiprocessing import connection\nreal = connection.Pipe\n"
        "def Pipe(): return *real(), 'and more'\n"
        "connection.Pipe = Pipe"  # somebody's own, with another answer
    )
    run = kernel.check("%%procs\nlen(connection.Pipe())")
    assert run.result_text == "3"
    assert Problem.of("call_not_noted", "Pipe", "AttributeError").message in _pictures(run)
    run = kernel.check("%%procs\nconnection.Pipe = real")
    assert "could be noted" not in _pictures(run)


def test_a_failed_awaiting_cell_is_no_thread_that_failed_unseen(kernel: Kernel) -> None:
    run = kernel.run("%%asyncio_trace\nimport asyncio\nawait asyncio.sleep(0.01)\n1/0")
    assert run.ename == "ZeroDivisionError"
    assert "Raised ZeroDivisionError" in _pictures(run)
    assert "Thread MainThread" not in _pictures(run)


def test_a_thread_that_fails_beside_a_good_cell_is_said(kernel: Kernel) -> None:
    run = kernel.check(
        "%%threads\nimport threading\nthreading.excepthook = lambda args: None\n"
        "t = threading.Thread(target=lambda: 1/0, name='breaks'); t.start(); t.join()\n"
        "threading.excepthook = threading.__excepthook__"
    )
    assert "Thread breaks ended with ZeroDivisionError" in _pictures(run)


def test_a_short_awaiting_cell_has_no_gap(kernel: Kernel) -> None:
    kernel.check("%%asyncio_trace -q -o traced\nimport asyncio\nawait asyncio.sleep(0)")
    kernel.check(
        "from concmagic.model.trace import State\n"
        "from concmagic.analysis.critical_path import path_of\n"
        "gap = sum(part.length_ns for part in path_of(traced) if part.state is State.UNKNOWN)\n"
        "starting = [one for track in traced.tracks if track.host for one in track.states "
        "if one.state is State.STARTING]"
    )
    assert kernel.value("gap") == 0
    assert kernel.value("starting") == []


INNER_LOOP = """
import asyncio
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0.05), name="a")
        group.create_task(asyncio.sleep(0.1), name="b")
"""


@pytest.mark.parametrize("magic", ["asyncio_trace", "timeline", "threads", "procs"])
def test_all_shows_the_kernels_own_and_keeps_the_cells_path(kernel: Kernel, magic: str) -> None:
    run = kernel.check(f"%%{magic} --all -o traced\n{INNER_LOOP}asyncio.run(main())")
    most = _pictures(run).partition("where it went: ")[2].partition(" · ")[0]
    assert most.endswith("sleeping"), most
    assert "hidden (--all)" not in _pictures(run)
    assert kernel.value("any(track.name == 'IOPub' for track in traced.tracks)")
    kernel.check(f"%%{magic} -o traced\n{INNER_LOOP}asyncio.run(main())")
    assert not kernel.value("any(track.name == 'IOPub' for track in traced.tracks)")
    assert kernel.value("traced.hidden.threads > 0")


CALLS = """
import time
def first(): return 1
def leaf(n): return n + 1
first()
for number in range(20_000):
    leaf(number)
time.sleep(0.05)
"""


def test_the_first_calls_are_kept_when_the_budget_is_used(kernel: Kernel) -> None:
    kernel.check("%config ConcMagic.budget = 2000")
    run = kernel.check(f"%%threads -o traced\n{CALLS}")
    kernel.check("%config ConcMagic.budget = 300_000")
    names = kernel.value("[function.name for function in traced.slices.functions]")
    assert {"first", "leaf"} <= set(names)
    assert kernel.value("traced.cost.events") < 40_000
    assert "Calls were recorded for the first" in _pictures(run)
    assert kernel.value(
        "all(a.end_ns == b.start_ns for track in traced.tracks"
        " for a, b in zip(track.states, track.states[1:]))"
    )
    assert kernel.value("any(one.reason == 'sleep' for track in traced.tracks for one in track.states)")
    assert kernel.value(
        "all(track.states[0].start_ns == track.start_ns"
        " and track.states[-1].end_ns == (traced.wall_ns if track.end_ns is None else track.end_ns)"
        " for track in traced.tracks if track.states)"
    )
    assert kernel.value("traced.cost.calls_until_ns < traced.wall_ns")


if sys.version_info >= (3, 12):  # sys.monitoring is new there

    def test_a_tool_in_the_monitoring_slot_is_left_alone(kernel: Kernel) -> None:
        kernel.check("import sys; ran = False; sys.monitoring.use_tool_id(2, 'somebody')")
        kernel.check("%%threads\nran = True")
        assert kernel.value("ran")
        assert kernel.value("sys.monitoring.get_tool(2)") == "somebody"
        kernel.check("sys.monitoring.free_tool_id(2)")


def test_a_running_viztracer_is_left_alone(kernel: Kernel) -> None:
    kernel.check("import viztracer; ran = False; other = viztracer.VizTracer(verbose=0); other.start()")
    run = kernel.check("%%timeline\nran = True")
    assert kernel.value("ran")
    assert kernel.value("other.enable")  # and it goes on
    kernel.check("other.stop(); other.clear(); del other")
    assert "VizTracer was recording calls" in " ".join(run.displays[-1]["text/plain"].split())


@pytest.mark.parametrize("outer", ["", "--detail states"])
@pytest.mark.parametrize("inner", ["", "--detail states"])
def test_a_traced_cell_inside_a_traced_cell_has_not_run(kernel: Kernel, outer: str, inner: str) -> None:
    kernel.check("ran = False")
    run = kernel.run(
        f"%%threads {outer} -o traced\nimport time\ntime.sleep(0.05)\n"
        f"get_ipython().run_cell_magic('timeline', '{inner}', 'ran = True')"
    )
    assert run.ename == "UsageError"
    assert "A traced cell is running" in run.evalue
    assert not kernel.value("ran")
    assert kernel.value("traced.cost.problems") == ()
    assert kernel.check("%%threads\n'next'").result_text == "'next'"
