"""A signal whose handler raises as a function begins: VizTracer is told of its return only."""

from __future__ import annotations

import pytest

from conftest import Kernel

pytestmark = pytest.mark.kernel

# To subscribe notes a signal, and Python does not look for signals then: it looks next as a function begins,
# before it tells that the function was called.
SENDS = """
import _thread, concmagic, multiprocessing as mp, signal, sys, time, warnings

class Sends:
    __getitem__ = staticmethod(_thread.interrupt_main)

def begins():
    pass

def interrupted():
    Sends()[signal.SIGINT]; begins()

def fails(number, frame):
    raise ValueError("handled")

def goes_on(times):
    before = signal.signal(signal.SIGALRM, fails)
    handled = 0
    for _ in range(times):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.001)  # more often than not it comes as a function begins
            while True:
                begins()
        except ValueError:
            handled += 1
    signal.signal(signal.SIGALRM, before)
    return handled
"""


def problems(kernel: Kernel) -> list[str]:
    return list(kernel.value("[one.message for one in concmagic.last().cost.problems]"))


def test_an_interrupt_then_is_no_fault_of_the_recording_and_prints_nothing(kernel: Kernel) -> None:
    kernel.check(SENDS)
    shows = kernel.value("id(warnings._showwarnmsg)")
    run = kernel.run("%%threads\ninterrupted()")
    assert run.ename == "KeyboardInterrupt" and run.displays
    assert run.stderr == ""
    assert problems(kernel) == []
    assert kernel.value("id(warnings._showwarnmsg)") == shows


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_nor_is_one_of_a_child(kernel: Kernel, method: str) -> None:
    kernel.check(SENDS)
    run = kernel.check(f"""%%procs
process = mp.get_context("{method}").Process(target=interrupted, name="child")
process.start()
process.join()
""")
    assert run.stderr.split() == ["Process", "child:", "KeyboardInterrupt"]
    assert problems(kernel) == []


def test_where_the_cell_goes_on_it_is_told_from_when_on_calls_are_missing(kernel: Kernel) -> None:
    kernel.check(SENDS)
    run = kernel.check("%%threads --detail calls\ntold = goes_on(40)\ntime.sleep(0.1)")
    assert kernel.value("told") == 40
    assert run.stderr == ""
    if kernel.value("sys.version_info[:2]") == (3, 12):  # it looks for signals only after it has told
        assert problems(kernel) == []
        return
    (problem,) = problems(kernel)
    assert "lost track of the call stack" in problem
    assert kernel.value("concmagic.last().cost.calls_until_ns < concmagic.last().wall_ns - 100_000_000")
    # What samples saw is there: the sleep is, and no call is drawn on to the end.
    seen = (
        "{s.reason for t in concmagic.last().tracks if t.host for s in t.states if s.length_ns > 50_000_000}"
    )
    assert "sleep" in kernel.value(seen)


def test_other_warnings_are_shown_as_ever(kernel: Kernel) -> None:
    cell = "import warnings\nwarnings.warn('mine', RuntimeWarning)"
    plain = kernel.check(cell).stderr
    traced = kernel.check(f"%%threads -q\n{cell}").stderr
    assert "RuntimeWarning: mine" in plain
    assert traced.partition(":")[2].partition(":")[2] == plain.partition(":")[2].partition(":")[2]
