"""An interrupt that comes while a process forks is raised when that is over, in the parent and in the child.

The callbacks of a fork send it themselves: then it comes exactly there.
"""

from __future__ import annotations

import signal
import time
from types import MappingProxyType

import pytest
from leftovers import STATE

from conftest import Kernel

WAIT_S = 10.0  # only ever reached by a test that fails

SETUP = """
import multiprocessing, os, signal, threading, time
from concurrent.futures import ProcessPoolExecutor
fork = multiprocessing.get_context("fork")
armed = ""
def strike(where):
    global armed
    if armed == where:
        armed = ""
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(1000))  # Python looks for signals here at the latest
os.register_at_fork(before=lambda: strike("before"), after_in_parent=lambda: strike("after in the parent"),
                    after_in_child=lambda: strike("after in the child"))
def arm(where):
    global armed
    armed = where
"""


@pytest.fixture(scope="module")
def forking(kernel: Kernel) -> Kernel:
    kernel.check(SETUP)
    kernel.check("%%procs -q\np = fork.Process(target=int)\np.start()\np.join()")
    return kernel


def left_of(kernel: Kernel, before: object = MappingProxyType({})) -> object:
    """Its children, once those that are about to end have ended."""
    limit = time.monotonic() + WAIT_S
    while (left := kernel.value("dict(children())")) != before and time.monotonic() < limit:
        time.sleep(0.05)
    return left


PROCESSES = {
    "process": "p = fork.Process(target=time.sleep, args=(60,))\np.start()\np.join()",
    "executor": "with ProcessPoolExecutor(2, fork) as pool:\n    list(pool.map(time.sleep, [0.5] * 200))",
    "pool": "with fork.Pool(2) as pool:\n    pool.map(time.sleep, [0.5] * 200)",
    "os.fork": "pid = os.fork()\nif not pid:\n    time.sleep(60)\n    os._exit(0)\nos.waitpid(pid, 0)",
}


@pytest.mark.parametrize("where", ["before", "after in the parent"])
@pytest.mark.parametrize("body", PROCESSES.values(), ids=PROCESSES)
def test_it_ends_the_cell(forking: Kernel, body: str, where: str) -> None:
    forking.check(STATE)
    run = forking.run(f"%%procs\narm({where!r})\n{body}")
    assert run.ename == "KeyboardInterrupt", (run.ename, run.evalue, run.traceback_text)
    assert left_of(forking) == {}
    assert "Exception ignored" not in run.stderr
    assert "src/concmagic/" not in run.stderr + run.traceback_text
    assert forking.value("multiprocessing.active_children()") == []
    assert forking.check("6 * 7").result_text == "42"


@pytest.mark.parametrize("where", ["before", "after in the parent"])
def test_it_ends_a_loop_of_processes(forking: Kernel, where: str) -> None:
    left = "(sum(children().values()), sum(n for f, n in open_files().items() if f.startswith('pipe')))"
    forking.check(STATE)
    forking.check("%%procs -q -w 2 --start-method fork for n in range(2)\nn")
    before = forking.value(left)
    forking.check(f"arm({where!r})")
    run = forking.run("%%procs -w 2 --start-method fork for n in range(4)\ntime.sleep(60)")
    assert run.ename == "KeyboardInterrupt", (run.ename, run.evalue, run.traceback_text)
    assert "Exception ignored" not in run.stderr
    assert forking.value(left) == before


@pytest.mark.parametrize("magic", ["%%procs", "%%threads", "%%timeline"])
@pytest.mark.parametrize("where", ["before", "after in the parent"])
def test_another_thread_may_take_it(forking: Kernel, magic: str, where: str) -> None:
    """Then Python's handler runs in the main thread, although the signal is kept from that."""
    body = (
        "ask, told = threading.Event(), threading.Event()\n"
        "def take():\n    ask.wait()\n    signal.pthread_kill(threading.get_ident(), 2)\n    told.set()\n"
        "taker = threading.Thread(target=take)\ntaker.start()\n"
        "def strike(where):\n    global armed\n    if armed == where:\n        armed = ''\n"
        "        ask.set()\n        told.wait()\n        sum(range(1000))\n"
    )
    run = forking.run(f"{magic}\nbefore = strike\n{body}arm({where!r})\n{PROCESSES['process']}")
    forking.check("strike = before")
    assert run.ename == "KeyboardInterrupt", (run.ename, run.evalue, run.traceback_text)
    assert "Exception ignored" not in run.stderr
    assert forking.check("6 * 7").result_text == "42"


def test_an_awaiting_cell_is_ended_too(forking: Kernel) -> None:
    body = "import asyncio\nawait asyncio.sleep(0)\narm('before')\n" + PROCESSES["process"]
    run = forking.run(f"%%asyncio_trace\n{body}\nawait asyncio.sleep(60)")
    assert run.ename == "KeyboardInterrupt", (run.ename, run.evalue, run.traceback_text)
    assert "Exception ignored" not in run.stderr
    assert forking.check("await asyncio.sleep(0, 'woken')").result_text == "'woken'"


def test_a_child_of_multiprocessing_is_ended_before_its_target(forking: Kernel) -> None:
    body = "p = fork.Process(target=print, args=('ran',))\np.start()\np.join()\np.exitcode"
    run = forking.check(f"%%procs\narm('after in the child')\n{body}")
    forking.check("arm('')")  # the child has disarmed its own copy only
    assert (run.result_text, run.stdout) == ("1", "")
    assert "Exception ignored" not in run.stderr


def test_the_child_of_a_bare_fork_gets_it_as_its_fork_returns(forking: Kernel) -> None:
    body = (
        "try:\n    pid = os.fork()\nexcept KeyboardInterrupt:\n    os._exit(3)\n"
        "os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    )
    run = forking.check(f"%%procs\narm('after in the child')\n{body}")
    forking.check("arm('')")
    assert run.result_text == "3"
    assert "Exception ignored" not in run.stderr


def test_children_can_be_interrupted_afterwards(forking: Kernel) -> None:
    body = (
        "here = fork.Event()\ndef work():\n    try:\n        here.set()\n        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n        os._exit(7)\n"
        "p = fork.Process(target=work)\np.start()\nhere.wait()\n"
        "os.kill(p.pid, signal.SIGINT)\np.join()\np.exitcode"
    )
    assert forking.check(f"%%procs\n{body}").result_text == "7"
    blocked = "signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())"
    assert forking.value(blocked) is False


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_that_its_starter_never_got_is_reaped(kernel: Kernel, method: str) -> None:
    """The interrupt comes when the child is there, and multiprocessing has not noted whose it is."""
    kernel.check(STATE)
    kernel.check(
        "import multiprocessing, os, signal, time\n"
        f"context = multiprocessing.get_context({method!r})\n"
        "class Unlucky(context.Process):\n"
        "    @staticmethod\n    def _Popen(one):\n        popen = context.Process._Popen(one)\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n        sum(range(1000))\n        return popen"
    )
    kernel.check(f"%%procs -q --start-method {method}\np = context.Process(target=int)\np.start()\np.join()")
    before = kernel.value("dict(children())")
    run = kernel.run("%%procs\nUnlucky(target=time.sleep, args=(60,)).start()")
    assert run.ename == "KeyboardInterrupt"
    assert "src/concmagic/" not in run.traceback_text
    assert kernel.value("multiprocessing.active_children()") == []
    assert left_of(kernel, before) == before


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_that_is_ended_with_the_cell_is_reaped(kernel: Kernel, method: str) -> None:
    """Nobody in the cell waits for it any more; its own object still tells how it ended."""
    kernel.check(STATE + f"\ncontext = multiprocessing.get_context({method!r})\nimport signal")
    kernel.check("%%procs -q\np = context.Process(target=int)\np.start()\np.join()")
    before = kernel.value("dict(children())")
    body = "p = context.Process(target=time.sleep, args=(60,))\np.start()\nsignal.raise_signal(2)"
    run = kernel.run(f"%%procs\n{body}")
    assert run.ename == "KeyboardInterrupt"
    assert left_of(kernel, before) == before
    assert kernel.value("(p.exitcode, p.is_alive())") == (-signal.SIGTERM, False)
