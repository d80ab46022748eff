"""A cell in a subshell runs in a thread of its own: that is the cell's thread, not the kernel's main one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kernel.conftest import Kernel, running_kernel

ASKED = """
import multiprocessing, os, threading, time
from concmagic.analysis.metrics import compute

def names(trace): return {track.id: track.name for track in trace.tracks}
def hosts(trace): return [track.name for track in trace.tracks if track.host]
def threads(trace): return sorted(track.name for track in trace.tracks if track.kind == "thread")
def path(trace):
    metrics = compute(trace)
    return {(names(trace).get(part.track), part.reason) for part in metrics.path if part.length_ns > 5e7}
"""


@pytest.fixture(scope="module")
def subshell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, str]]:
    """A kernel, and a subshell of it."""
    pytest.importorskip("ipykernel", minversion="7")
    with running_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        kernel.check("%load_ext concmagic")
        kernel.check(ASKED)
        yield kernel, kernel.new_subshell()


@pytest.mark.parametrize("magic", ["%%threads", "%%timeline", "%%threads --detail states"])
def test_its_own_thread_is_the_cells(subshell: tuple[Kernel, str], magic: str) -> None:
    kernel, where = subshell
    run = kernel.start_in(where, f"{magic} -o trace\ntime.sleep(0.2)\nthreading.current_thread().name").wait()
    assert run.status == "ok"
    own = (run.result_text or "").strip("'")
    assert kernel.value("hosts(trace)") == [own]
    assert kernel.value("threads(trace)") == [own]
    assert kernel.value("path(trace)") == {(own, "sleep")}
    assert "sleeping" in run.displays[-1]["text/plain"].split("\n\n")[0]


def test_what_it_starts_is_drawn_under_it(subshell: tuple[Kernel, str]) -> None:
    kernel, where = subshell
    run = kernel.start_in(
        where,
        "%%threads -q -o trace\ndef work(): time.sleep(0.05)\n"
        "one = threading.Thread(target=work, name='work')\none.start(); one.join()",
    ).wait()
    assert run.status == "ok"
    assert kernel.value("threads(trace)")[-1] == "work"
    assert kernel.value("compute(trace).unit_peak") == 1


def test_a_fork_in_it_names_no_thread(subshell: tuple[Kernel, str]) -> None:
    kernel, where = subshell
    run = kernel.start_in(
        where,
        "%%procs -q -o trace\none = multiprocessing.get_context('fork').Process(target=int)\n"
        "one.start(); one.join()\none.exitcode",
    ).wait()
    assert (run.status, run.result_text) == ("ok", "0")
    assert "fork-with-threads" not in kernel.value("[one.lint for one in trace.findings]")


def test_an_awaiting_cell_in_it(subshell: tuple[Kernel, str]) -> None:
    kernel, where = subshell
    run = kernel.start_in(
        where, "%%asyncio_trace -q -o trace\nimport asyncio\nawait asyncio.sleep(0.1)\n7"
    ).wait()
    assert (run.status, run.result_text) == ("ok", "7")
    assert kernel.value("hosts(trace)") == ["cell"]
    assert kernel.value("path(trace)") == {("cell", "sleep")}
