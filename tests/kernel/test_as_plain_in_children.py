"""What a cell prints around its children, and what is left of them, is as after a plain cell."""

from __future__ import annotations

import sys

import pytest

from conftest import Kernel, Run

SETUP = """
import gc, io, multiprocessing, os, sys, time, traceback
from concurrent.futures import ProcessPoolExecutor
fork = multiprocessing.get_context("fork")
def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))
"""
# Printed and not yet sent as the process forks: what the child sends is its own alone.
BEFORE_A_FORK = {
    "os.fork": "import os\nprint('before')\nchild = os.fork()\nif not child: os._exit(0)\n"
    "os.waitpid(child, 0)[1]",
    "shell": "print('before')\n!true",
    "shell, awaiting": "import asyncio\nprint('before')\n!true\nawait asyncio.sleep(0, 'value')",
    "stderr": "import os, sys\nprint('before', file=sys.stderr)\nchild = os.fork()\n"
    "if not child: os._exit(0)\nos.waitpid(child, 0)[1]",
}
TOLD = """
try:
    raise KeyboardInterrupt("mine")
except KeyboardInterrupt:
    said = io.StringIO()
    traceback.print_exc(file=said)
    print("to a file:", said.getvalue().splitlines()[-1], flush=True)
    traceback.print_exc(file=None)
    sys.stderr.flush()
"""
AWAITING = "import asyncio\nawait asyncio.sleep(0)\nassert (1, 'x')\nmore = 2\nmore"


def printed(run: Run) -> tuple[object, ...]:
    return run.status, run.ename, run.result_text, run.stdout, run.stderr


@pytest.mark.parametrize("body", BEFORE_A_FORK.values(), ids=BEFORE_A_FORK)
@pytest.mark.parametrize("magic", ["%%timeline", "%%asyncio_trace"])
def test_what_is_printed_before_a_fork_comes_once(kernel: Kernel, magic: str, body: str) -> None:
    kernel.check("import warnings; warnings.simplefilter('ignore', DeprecationWarning)")
    plain = kernel.check(body)
    for _ in range(3):
        assert printed(kernel.check(f"{magic}\n{body}")) == printed(plain)


def test_a_child_prints_its_own_tracebacks(kernel: Kernel) -> None:
    kernel.check(SETUP)
    body = f"def told():{TOLD.replace(chr(10), chr(10) + '    ')}\n"
    body += "child = fork.Process(target=told)\nchild.start()\nchild.join()\nchild.exitcode"
    plain, traced = kernel.check(body), kernel.check(f"%%procs\n{body}")
    assert (traced.result_text, traced.stdout) == (plain.result_text, plain.stdout)
    assert "to a file: KeyboardInterrupt: mine" in traced.stdout
    assert (
        traced.stderr.count("KeyboardInterrupt: mine") == plain.stderr.count("KeyboardInterrupt: mine") == 1
    )


def test_an_item_prints_its_own_tracebacks(kernel: Kernel) -> None:
    kernel.check(SETUP)
    run = kernel.check(f"%%procs -w 1 for n in range(1){TOLD}")
    assert "to a file: KeyboardInterrupt: mine" in run.stdout
    assert run.stderr.count("KeyboardInterrupt: mine") == 1


def test_an_executor_that_was_interrupted_leaves_no_descriptors(kernel: Kernel) -> None:
    kernel.check(SETUP)
    body = (
        "with ProcessPoolExecutor(2, fork) as pool:\n    found = pool.map(time.sleep, [0.3] * 8)\n"
        "    next(found)\n    print('here', flush=True)\n    list(found)"
    )
    seen = []
    for _ in range(6):
        assert kernel.interrupted(f"%%timeline\n{body}").ename == "KeyboardInterrupt"
        seen.append(kernel.value("descriptors()"))
    # The first ones may load and keep something, the notebook keeps the last traceback, and threads end
    # when they do; each click that is kept for good adds six.
    assert seen[-1] <= seen[1] + 12, seen


def test_a_click_reaches_an_item_with_a_handler_of_its_own_once(kernel: Kernel) -> None:
    body = (
        "import signal, time\nsignal.signal(signal.SIGINT, lambda *_: print('handled', n, flush=True))\n"
        "print('here', n, flush=True)\nend = time.monotonic() + 0.6\n"
        "while time.monotonic() < end: time.sleep(0.01)\nprint('end', n, flush=True)"
    )
    run = kernel.interrupted(f"%%procs -w 1 for n in range(1)\n{body}", "here 0")
    assert run.stdout.count("handled 0") == 1


def test_warnings_of_an_awaiting_cell_come_once(kernel: Kernel) -> None:
    plain, traced = kernel.check(AWAITING), kernel.check(f"%%asyncio_trace\n{AWAITING}")
    assert traced.result_text == plain.result_text
    assert traced.stderr.count("SyntaxWarning") == plain.stderr.count("SyntaxWarning") > 0
    assert "<cell>" not in traced.stderr


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python warns of a fork beside threads from 3.12 on")
@pytest.mark.parametrize("call", ["os.fork()", "os.forkpty()[0]"])
def test_the_warning_of_a_fork_beside_threads_is_the_cells(fresh_kernel: Kernel, call: str) -> None:
    fresh_kernel.check("%load_ext concmagic")
    body = f"import os\nchild = {call}\nif not child: os._exit(0)\nos.waitpid(child, 0)[1]"
    plain = fresh_kernel.check(f"# as the line of the magic\n{body}")
    traced = fresh_kernel.check(f"%%timeline\n{body}")
    told = [line for line in plain.stderr.splitlines() if "multi-threaded" in line]
    assert len(told) == 1
    assert [line.partition(":")[2] for line in traced.stderr.splitlines() if "multi-threaded" in line] == [
        line.partition(":")[2] for line in told
    ]
    assert "child = " in traced.stderr
