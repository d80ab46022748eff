"""A build without the GIL records no calls, anywhere: to end such a recording can end the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kernel.conftest import Kernel, running_kernel

from concmagic import sentences
from concmagic.interpreter import borrowing
from concmagic.problems import Problem

# On other builds the kernel takes itself for such a one: what is decided from there is the same everywhere.
AS_IF = "from concmagic.interpreter import borrowing; borrowing.FREE_THREADED = True\n"
# Who records calls in this process, and whether VizTracer is here at all.
TRACERS = """
import multiprocessing, sys, threading
def tracers(*_):
    here = ['loaded'] * ('snaptrace' in open('/proc/self/maps').read())
    if sys.version_info >= (3, 12):
        return here + [sys.monitoring.get_tool(2)] * (sys.monitoring.get_tool(2) is not None)
    return here + ['profile'] * (sys.getprofile() is not None or threading.getprofile() is not None)
def in_pool(method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.map(tracers, range(2))
"""
TOLD = "[one.message for one in trace.cost.problems]"
ASKED = f"(trace.cost.events, len(trace.slices), {TOLD}, trace.report().footer)"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("kernel")) as running:
        running.check(AS_IF)
        running.check(f"%load_ext concmagic\n{TRACERS}")
        yield running


def children() -> list[str]:
    """Ways to start some; a spawned one asks its own build."""
    return ["fork", "spawn"] if borrowing.FREE_THREADED else ["fork"]


@pytest.mark.parametrize("magic", ["threads", "timeline", "procs", "asyncio_trace"])
@pytest.mark.parametrize("detail", ["auto", "calls", "states"])
def test_no_recording_of_calls_is_begun(kernel: Kernel, magic: str, detail: str) -> None:
    assert kernel.check(f"%%{magic} --detail {detail} -o trace\ntracers()").result_text == "[]"
    events, slices, _, _ = kernel.value(ASKED)
    assert (events, slices) == (0, 0)


@pytest.mark.parametrize("method", children())
@pytest.mark.parametrize("detail", ["auto", "calls"])
def test_nor_in_a_child(kernel: Kernel, method: str, detail: str) -> None:
    run = kernel.check(f"%%procs --detail {detail} -o trace\nin_pool({method!r})")
    assert run.result_text == "[[], []]"
    assert kernel.value("trace.cost.events") == 0


def test_by_default_the_footer_says_so_and_nothing_is_called_lost(kernel: Kernel) -> None:
    kernel.check("%%threads -o trace\nsum(map(abs, range(100)))")
    _, _, problems, footer = kernel.value(ASKED)
    assert sentences.CALLS_NOT_RECORDED in footer
    assert not [problem for problem in problems if "calls" in problem]


def test_who_asks_for_calls_is_told_once(kernel: Kernel) -> None:
    run = kernel.check("%%threads --detail calls -o trace\nin_pool('fork') and 5")
    _, _, problems, footer = kernel.value(ASKED)
    assert [one for one in problems if "recorded no calls" in one] == [
        Problem.of("calls_asked_for_in_vain").message
    ]
    assert footer.count(Problem.of("calls_asked_for_in_vain").message) == 1
    assert sentences.CALLS_NOT_RECORDED not in footer
    assert run.result_text == "5"


def test_with_states_only_there_is_nothing_to_say(kernel: Kernel) -> None:
    kernel.check("%%threads --detail states -o trace\n1")
    *_, footer = kernel.value(ASKED)
    assert not {sentences.CALLS_NOT_RECORDED, Problem.of("calls_asked_for_in_vain").message}.intersection(
        footer
    )


@pytest.mark.skipif(borrowing.FREE_THREADED, reason="nothing is recorded there that could be ended")
def test_threads_that_compute_past_the_budget_are_recorded_until_then(tmp_path: Path) -> None:
    """The near miss: on a build with the GIL all stays as it was."""
    with running_kernel(tmp_path) as other:
        other.check("%load_ext concmagic\ndef leaf(n): return n")
        other.check("%%threads -o trace\nfor n in range(400_000): leaf(n)")
        events, slices, _, footer = other.value(ASKED)
        assert events >= 300_000
        assert slices > 0
        assert sentences.CALLS_NOT_RECORDED not in footer
        assert "snaptrace" in other.value("open('/proc/self/maps').read()")


def test_a_watch_that_fails_costs_calls_and_prints_nothing(tmp_path: Path) -> None:
    if borrowing.FREE_THREADED:
        pytest.skip("there is no such watch")
    with running_kernel(tmp_path) as other:
        other.check(
            "%load_ext concmagic\n"
            "from concmagic.recording.calls import call_events as budget\n"
            "def broken(head): raise RuntimeError('nothing today')\n"
            "budget.used = broken"
        )
        run = other.check("%%threads -o trace\nimport time\ntime.sleep(0.05)\n6 * 7")
        assert run.result_text == "42"
        assert run.stderr == ""
        problems = other.value(TOLD)
        assert [one for one in problems if "nothing today" in one] == [
            Problem.of("calls_no_longer_watched", RuntimeError("nothing today")).message
        ]
