"""Where no thread can be started a cell does what the plain cell does, and nothing of ours is waited for.

The limit is real: each new thread asks for more address space than the process may have.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from test_run_plain import is_picture

from conftest import Kernel, Run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit is read from /proc")

LIMITS = """
import asyncio, multiprocessing, resource, subprocess, threading
from concurrent.futures import ThreadPoolExecutor
# Each fork ends the thread that writes IPython's history, and the next cell starts it again: there it cannot.
get_ipython().history_manager.using_thread = False
before = resource.getrlimit(resource.RLIMIT_AS)
def no_threads():
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    threading.stack_size(1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (size + (700 << 20), before[1]))
def threads_again():
    resource.setrlimit(resource.RLIMIT_AS, before)
    threading.stack_size(0)
def double(n):
    return 2 * n
fork = multiprocessing.get_context("fork")
"""

CELLS = {
    "computes": "print(sum(range(10)))\n7",
    "its own thread": "t = threading.Thread(target=print)\nt.start()",
    "thread pool": "with ThreadPoolExecutor(2) as pool:\n    print(list(pool.map(double, range(3))))",
    "fork": "p = fork.Process(target=print, args=('child',), daemon=True)\np.start()\np.join()\np.exitcode",
    "command": "subprocess.run(['true']).returncode",
    "awaits": "await asyncio.sleep(0.01, 5)",
}


@pytest.fixture(scope="module")
def limited(kernel: Kernel) -> Iterator[Kernel]:
    kernel.check(LIMITS)
    kernel.check("%%procs -q\np = fork.Process(target=double, args=(1,))\np.start()\np.join()")
    kernel.check("no_threads()")
    yield kernel
    kernel.check("threads_again()")


def story(run: Run) -> tuple[str, str, str, str, str | None]:
    return run.status, run.ename, run.evalue, run.stdout, run.result_text


@pytest.mark.parametrize("magic", ["%%threads", "%%procs", "%%timeline --detail states"])
@pytest.mark.parametrize("body", CELLS.values(), ids=CELLS)
def test_the_cell_does_what_the_plain_cell_does(limited: Kernel, magic: str, body: str) -> None:
    plain = limited.run(body)
    traced = limited.run(f"{magic}\n{body}")
    assert story(traced) == story(plain)
    assert "src/concmagic/" not in traced.stderr + traced.traceback_text
    assert any(is_picture(output) for output in traced.outputs)
    assert limited.check("6 * 7").result_text == "42"


def test_a_loop_in_threads_says_that_none_can_be_started(limited: Kernel) -> None:
    run = limited.run("%%threads for n in range(3)\ndouble(n)")
    assert (run.status, run.ename, run.evalue) == ("error", "RuntimeError", "can't start new thread")
    assert limited.check("6 * 7").result_text == "42"


def test_what_is_lost_is_said(limited: Kernel) -> None:
    picture = limited.check(f"%%procs\n{CELLS['fork']}").displays[-1]["text/plain"]
    assert "ends of child processes" in " ".join(picture.split())


def test_nothing_is_kept_for_a_child_that_was_reaped_unseen(limited: Kernel) -> None:
    kept = "'reducer_override' in vars(__import__('multiprocessing.reduction').reduction.ForkingPickler)"
    limited.check("import os")
    run = limited.check("%%procs\npid = os.fork()\nif not pid:\n    os._exit(0)\nos.waitpid(pid, 0)[1]")
    assert run.result_text == "0"
    assert limited.value(kept) is False


def test_a_timeout_that_cannot_be_kept_is_said_before_the_cell_runs(limited: Kernel) -> None:
    run = limited.run("%%threads --timeout 60\nprint('ran')")
    assert (run.status, run.stdout) == ("error", "")
    assert "--timeout" in run.evalue + run.stderr
    assert limited.check("6 * 7").result_text == "42"
