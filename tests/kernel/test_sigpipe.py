"""SIGPIPE at its default, as many scripts set it: a reader that is gone ends nobody of the notebook's."""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel

PRELUDE = """
%load_ext concmagic
import os, select, signal, time
from concmagic.recording.sampler import recorder as sampler
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
def lose_the_sampler():
    end = os.pidfd_open(sampler.helper_pid())
    os.kill(sampler.helper_pid(), signal.SIGKILL)
    select.select([end], [], [])
    os.close(end)
"""
ASKED = "(trace.build.sampling_ns > 0, [one for one in trace.cost.problems if 'sampler' in one])"


@pytest.fixture
def notebook(fresh_kernel: Kernel) -> Kernel:
    fresh_kernel.check(PRELUDE)
    fresh_kernel.check("%%threads -o trace\n1")
    return fresh_kernel


@pytest.mark.parametrize("magic", ["threads", "timeline", "procs", "asyncio_trace"])
def test_a_sampler_that_died_between_cells_is_started_anew(notebook: Kernel, magic: str) -> None:
    for _ in range(2):
        before = notebook.value("sampler.helper_pid()")
        notebook.check("lose_the_sampler()")
        assert notebook.check(f"%%{magic} -o trace\ntime.sleep(0.05)\n6 * 7").result_text == "42"
        assert notebook.value(ASKED) == (True, [])
        assert notebook.value("sampler.helper_pid()") != before
    assert notebook.is_alive


def test_one_that_dies_in_the_cell_costs_its_evidence_and_a_sentence(notebook: Kernel) -> None:
    run = notebook.check("%%threads -o trace\nlose_the_sampler()\ntime.sleep(0.05)\n6 * 7")
    assert run.result_text == "42"
    sampled, problems = notebook.value(ASKED)
    assert not sampled
    assert len(problems) == 1
    notebook.check("%%threads -o trace\ntime.sleep(0.05)")
    assert notebook.value(ASKED) == (True, [])


def test_one_that_is_stopped_in_the_cell_costs_its_evidence_and_a_sentence(notebook: Kernel) -> None:
    cell = "%%threads -o trace\nos.kill(sampler.helper_pid(), signal.SIGSTOP)\ntime.sleep(0.05)\n6 * 7"
    assert notebook.check(cell).result_text == "42"
    sampled, problems = notebook.value(ASKED)
    assert not sampled
    assert len(problems) == 1
    assert "stopped" in problems[0]
    notebook.check("%%threads -o trace\ntime.sleep(0.05)")
    assert notebook.value(ASKED) == (True, [])
