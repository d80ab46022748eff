"""Other tools that observe, inside a traced cell: they give what they give in a plain one."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from concmagic.problems import Problem
from conftest import Kernel, Run

MONITORING = sys.version_info >= (3, 12)

SETUP = """
import cProfile, gc, pstats, sys, threading

# A tracer of the user's, of another test, takes its hook away when it is collected: at any moment.
tracer = None
gc.collect()
threading.setprofile(None)

def leaf(n):
    return n + 1

def work(n):
    return sum(leaf(i) for i in range(n))

def own(stats):
    # How often each function of the notebook was called, and whether anything of ours is told.
    calls = {name: row[1] for (file, _, name), row in stats.stats.items() if name in ("leaf", "work")}
    return calls, any("src/concmagic/" in file for file, _, _ in stats.stats)

def in_threads():
    threads = [threading.Thread(target=work, args=(20,)) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    print("done")
"""

PROFILE = """
profile = cProfile.Profile()
profile.enable()
work(100)
in_threads()
profile.disable()
own(pstats.Stats(profile))
"""
WITH = """
with cProfile.Profile() as profile:
    work(30)
own(pstats.Stats(profile))
"""
TWICE = """
first, second = cProfile.Profile(), cProfile.Profile()
first.runcall(work, 10)
second.runcall(work, 20)
own(pstats.Stats(first)), own(pstats.Stats(second))
"""
MAGIC = """
found = get_ipython().run_line_magic("prun", "-q -r work(50)")
own(found)
"""
HOOKS = """
told = []
def hook(frame, event, argument):
    if event == "call" and frame.f_code.co_name in ("leaf", "work"):
        told.append(frame.f_code.co_name)
before = sys.getprofile(), threading.getprofile()
sys.setprofile(hook)
threading.setprofile(hook)
work(5)
thread = threading.Thread(target=work, args=(3,))
thread.start()
thread.join()
sys.setprofile(None)
threading.setprofile(None)
told
"""
TRACE = """
told = []
def trace(frame, event, argument):
    if frame.f_code.co_name in ("leaf", "work"):
        told.append((frame.f_code.co_name, event))
        return trace
sys.settrace(trace)
work(3)
sys.settrace(None)
told
"""
BY_NUMBER = """
told = []
monitoring = sys.monitoring
for number in range(6):
    monitoring.use_tool_id(number, f"mine {number}")
monitoring.register_callback(2, monitoring.events.PY_START, lambda code, _: told.append(code.co_name))
monitoring.set_events(2, monitoring.events.PY_START)
work(3)
monitoring.set_events(2, 0)
names = [monitoring.get_tool(number) for number in range(6)]
for number in range(6):
    monitoring.free_tool_id(number)
[name for name in told if name in ("leaf", "work")], names
"""
LINES = """
import line_profiler
profiler = line_profiler.LineProfiler(work)
profiler.runcall(work, 7)
timings = profiler.get_stats().timings
[[hits for _, hits, _ in rows] for (_, _, name), rows in timings.items() if name.endswith("work")]
"""
VIZTRACER = """
import viztracer
tracer = viztracer.VizTracer(verbose=0, output_file="theirs.json")
tracer.start()
work(6)
tracer.stop()
tracer.save()
import json
with open("theirs.json") as file:
    events = json.load(file)["traceEvents"]
threads = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
sum(event["name"].startswith("leaf ") for event in events), threads[:1]
"""

AFTER = "[type(get()).__name__ for tool in (sys, threading) for get in (tool.getprofile, tool.gettrace)]"
if MONITORING:
    AFTER = f"{AFTER}, [sys.monitoring.get_tool(number) for number in range(6)]"


def picture(run: Run) -> str:
    return " ".join(run.displays[-1]["text/plain"].split())


def compared(kernel: Kernel, cell: str) -> Run:
    """Run a cell plain and traced, the same each time, and what comes after it; answers the traced one."""
    kernel.check(SETUP)
    plain = kernel.check(cell)
    left = kernel.value(f"repr(({AFTER}))")
    traced = kernel.check("%%timeline\n" + cell.lstrip("\n"))
    assert (traced.result_text, traced.stdout) == (plain.result_text, plain.stdout)
    assert traced.stderr == plain.stderr
    assert kernel.value(f"repr(({AFTER}))") == left
    assert "MainThread" in picture(traced)
    again = kernel.check("%%timeline\nwork(10)")
    assert (again.result_text, kernel.check("6 * 7").result_text) == ("55", "42")
    assert "another profiler" not in picture(again)
    return traced


@pytest.mark.parametrize("cell", [PROFILE, WITH, TWICE, MAGIC], ids=["enable", "with", "two", "prun"])
def test_cprofile(kernel: Kernel, cell: str) -> None:
    traced = compared(kernel, cell)
    assert "True" not in (traced.result_text or "")  # nothing of ours in it
    if not MONITORING:  # else calls were recorded meanwhile, too
        assert Problem.of("tracer_evicted", "cProfile", False).message in picture(traced)
        assert "Calls were recorded for the first" in picture(traced)


def test_profiling_tracing(kernel: Kernel) -> None:
    if importlib.util.find_spec("profiling") is None:
        pytest.skip("profiling.tracing is new in 3.15")
    compared(
        kernel,
        WITH.replace("cProfile.", "profiling.tracing.").replace("\n", "\nimport profiling.tracing\n", 1),
    )


def test_a_profile_that_is_read_in_a_later_cell_has_nothing_of_ours(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("%%threads\nprofile = cProfile.Profile()\nprofile.enable()\nin_threads()\nprofile.disable()")
    calls, has_ours = kernel.value("own(pstats.Stats(profile))")
    assert has_ours is False
    assert calls.get("work") == (2 if MONITORING else None)  # up to 3.11 it sees its own thread only


def test_hooks_by_hand(kernel: Kernel) -> None:
    compared(kernel, HOOKS)
    compared(kernel, TRACE)


def test_a_viztracer_of_the_users_own(kernel: Kernel) -> None:
    traced = compared(kernel, VIZTRACER)
    assert "Warning" not in traced.stdout + traced.stderr
    assert traced.result_text is not None and traced.result_text.startswith("(6, ")


def test_line_profiler(kernel: Kernel) -> None:
    if importlib.util.find_spec("line_profiler") is None:
        pytest.skip("line_profiler is not installed")
    compared(kernel, LINES)


if MONITORING:

    def test_every_number_of_sys_monitoring_is_to_be_had(kernel: Kernel) -> None:
        traced = compared(kernel, BY_NUMBER)
        assert Problem.of("calls_step_back", "mine 5").message in picture(traced)

    def test_calls_are_recorded_beside_a_profile(kernel: Kernel) -> None:
        kernel.check(SETUP)
        kernel.check("%%threads\n" + PROFILE.lstrip("\n"))
        kernel.check("import concmagic; trace = concmagic.last()")
        assert kernel.value("trace.cost.calls_until_ns") is None
        assert kernel.value("not any('profiler' in problem.message for problem in trace.cost.problems)")


def test_a_profile_that_goes_on_into_the_next_cell(kernel: Kernel) -> None:
    kernel.check(SETUP)
    counted = []
    for magic in ("", "%%timeline\n"):
        kernel.check(f"{magic}profile = cProfile.Profile()\nprofile.enable()\nleaf(1)")
        kernel.check("leaf(2)\nprofile.disable()")
        counted.append(kernel.value("own(pstats.Stats(profile))[0]"))
    assert counted[0] == counted[1] == {"leaf": 2}


@pytest.mark.parametrize("kind", ["profile", "VizTracer"])
def test_a_cell_under_a_profiler_of_an_earlier_cell_runs(kernel: Kernel, kind: str) -> None:
    kernel.check(SETUP)
    made = {
        "profile": ("profile = cProfile.Profile()", "profile.enable()", "profile.disable()"),
        "VizTracer": (
            "from viztracer import VizTracer\nprofile = VizTracer(verbose=0, tracer_entries=10_000)",
            "profile.start()",
            "profile.stop()",
        ),
    }[kind]
    counted = []
    for magic in ("", "%%timeline\n"):
        kernel.check(f"{made[0]}\n{made[1]}")
        traced = kernel.check(f"{magic}in_threads()\nleaf(3)\nwork(10)")
        kernel.check(made[2])
        if kind == "profile":
            counted.append(kernel.value("own(pstats.Stats(profile))[0].get('leaf')"))
        assert (traced.result_text, traced.stderr) == ("55", "")
    assert len(set(counted)) < 2
    told = "was recording calls when the cell began" in picture(traced)
    assert told == (kind == "VizTracer" or not MONITORING)
    assert "MainThread" in picture(traced)
    again = kernel.check("%%timeline\nwork(10)")
    assert "was recording calls" not in picture(again)
