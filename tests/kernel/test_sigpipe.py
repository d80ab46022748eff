"""SIGPIPE at its default, as many scripts set it: a reader that is gone ends nobody of the notebook's."""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel

PRELUDE = """
%load_ext concmagic
import os, select, signal, time
from concmagic.recording.sampler import sampler_recorder as sampler
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
def lose_the_sampler():
    end = os.pidfd_open(sampler.helper_pid())
    os.kill(sampler.helper_pid(), signal.SIGKILL)
    select.select([end], [], [])
    os.close(end)
"""
ASKED = "(trace.build.sampling_ns > 0, [one.message for one in trace.cost.problems if 'sampler' in one.kind])"


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


CHILDREN = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
def deadly(both=None):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if both:
        both.wait()  # until then no job is done: one that starts late would not be seen by the first cell
def work(n):
    return n + 1
def is_deadly(_):
    return signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_that_outlive_their_cell_are_asked_and_ended(notebook: Kernel, method: str) -> None:
    notebook.check(CHILDREN)
    notebook.check(f"context = multiprocessing.get_context({method!r})")
    made = "ProcessPoolExecutor(2, context, deadly, (context.Barrier(2),))"
    jobs = "[kept.submit(is_deadly, n) for n in range(4)]"
    notebook.check(f"%%procs -o trace\nkept = {made}\nassert all(job.result() for job in {jobs})")
    for _ in range(2):  # they sleep, are woken by the next cell's jobs, and asked to hand over again
        assert (
            notebook.check("%%procs -o trace\nlist(kept.map(work, range(4)))").result_text == "[1, 2, 3, 4]"
        )
        problems = notebook.value("[one.message for one in trace.cost.problems]")
        assert [one for one in problems if "frames cannot be read" not in one] == []  # on a build without GIL
    notebook.check("kept.shutdown()")
    pool = f"with multiprocessing.get_context({method!r}).Pool(2, deadly) as pool:"
    cell = f"%%procs\n{pool}\n    found = pool.map(work, [1, 2])\nfound"
    assert notebook.check(cell).result_text == "[2, 3]"  # ended by SIGTERM
    assert notebook.is_alive


def test_a_worker_of_a_loop_that_dies_is_told_as_ever(notebook: Kernel) -> None:
    notebook.check("import os, signal")
    run = notebook.run("%%procs -w 2 --keep-going for n in range(6)\nif n == 1: os.kill(os.getpid(), 9)\nn")
    assert (run.ename, run.evalue) == ("ExceptionGroup", "1 of 6 items failed (1 sub-exception)")
    assert notebook.check("%%procs -w 2 for n in range(4)\nn").result_text == "[0, 1, 2, 3]"
