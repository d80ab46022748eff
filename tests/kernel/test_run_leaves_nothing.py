"""After a cell, however it ended, and after `%unload_ext`, nothing of ours is left installed."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from interrupts import STILL
from leftovers import STATE
from test_run_plain import is_picture

from conftest import Kernel

SETTLED_S = 30  # only ever reached by a test that fails

# pyzmq starts three threads of its own with the first message that is large (64 kB), as a picture can be.
LARGE_OUTPUT = "from IPython.display import HTML, display\ndisplay(HTML(' ' * 200_000))"
WARM_UP = "%%timeline -q\nimport asyncio\nasyncio.run(asyncio.sleep(0))"

CELLS = {
    "sync": "%%threads\n1",
    "awaiting": "%%asyncio_trace\nawait asyncio.sleep(0)",
    "asyncio.run": "%%asyncio_trace\nasyncio.run(asyncio.sleep(0))",
    "threads": "%%threads\nts = [threading.Thread(target=time.sleep, args=(0,)) for _ in range(3)]\n"
    "[t.start() for t in ts]; [t.join() for t in ts];",
    "locks": "%%threads\nts = [threading.Thread(target=watched_locks) for _ in range(3)]\n"
    "[t.start() for t in ts]; [t.join() for t in ts]; watched_locks()",
    "fork": "%%procs\np = mp.get_context('fork').Process(target=time.sleep, args=(0,))\np.start()\n"
    "p.join()\np.close()",
    "spawn": "%%procs\np = mp.get_context('spawn').Process(target=time.sleep, args=(0,))\n"
    "p.start()\np.join()\np.close()",
    "failed": "%%threads\n1 / 0",
    "failed awaiting": "%%asyncio_trace\nawait asyncio.sleep(0)\n1 / 0",
    "failed child": "%%procs\np = mp.get_context('fork').Process(target=int, args=('x',))\n"
    "p.start()\np.join()\np.close()",
    "syntax error": "%%threads\n1 +",
    "wrong option": "%%threads --nonsense\n1",
    "wrong option, awaiting": "%%asyncio_trace --nonsense\nawait asyncio.sleep(0)",
    "help": "%%threads -h",
    "timeout": "%%threads --timeout 0.1\nthreading.Event().wait()",
    "timeout, awaiting": "%%asyncio_trace --timeout 0.1\nawait asyncio.sleep(60)",
    "timeout not reached": "%%threads --timeout 3600\n1",
    "exit": "%%threads\nsys.exit(1)",
    "states": "%%threads --detail states\n1",
    "under time": "%%time\n%%threads\n1",
    "under capture": "%%capture out\n%%asyncio_trace\nawait asyncio.sleep(0)",
    "forkserver": "%%procs\np = mp.get_context('forkserver').Process(target=time.sleep, args=(0,))\n"
    "p.start()\np.join()\np.close()",
    "pool that cannot start": "%%procs\nclass Bomb:\n    def __reduce__(self): return eval, ('1 / 0',)\n"
    "try:\n    with mp.get_context('spawn').Pool(1, print, (Bomb(),)) as p: p.map(int, [1])\nfinally: del p",
    "loop of threads": "%%threads -w 2 for n in range(3)\nn",
    "loop of tasks": "%%asyncio_trace for n in range(3)\nawait asyncio.sleep(0)",
    "loop of processes": "%%procs -w 2 --start-method fork for n in range(3)\nn",
    "failed item": "%%threads -w 2 for n in range(3)\n1 / n",
    "failed item of processes": "%%procs -w 2 --start-method fork for n in range(3)\n1 / n",
    "no items": "%%threads for n in 5\nn",
    "wrong body": "%%threads for n in range(3)\nreturn n",
}

INTERRUPTED = {
    "sync": "%%threads\nsay_when_still()\nthreading.Event().wait()",
    "awaiting": "%%asyncio_trace\nsay_when_still()\nawait asyncio.sleep(60)",
    "asyncio.run": "%%asyncio_trace\nsay_when_still()\nasyncio.run(asyncio.sleep(60))",
    "pool of processes": "%%procs\nsay_when_still()\n"
    "try:\n    with mp.get_context('fork').Pool(2) as p: p.map(time.sleep, [60] * 4)\nfinally: del p",
    "loop of tasks": "%%asyncio_trace for n in counted(3)\nawait asyncio.sleep(60)",
    "loop of threads": "%%threads -w 2 for n in counted(3)\ntime.sleep(0.5)",
    "loop of processes": "%%procs -w 2 --start-method fork for n in counted(3)\nimport time\ntime.sleep(60)",
}
COUNTED = "def counted(n):\n    say_when_still()\n    return range(n)"


@pytest.fixture(scope="module")
def watched(kernel: Kernel) -> Kernel:
    """A kernel in which everything that loads on first use has been loaded."""
    kernel.check(STATE)
    kernel.check(STILL)
    kernel.check(COUNTED)
    kernel.check(LARGE_OUTPUT)
    for cell in (WARM_UP, *(CELLS[name] for name in ("awaiting", "threads", "fork", "spawn", "forkserver"))):
        kernel.check(cell)
    return kernel


# The user's own pool, which the last traceback keeps, as that of a plain cell does: until the next one.
IN_A_TRACEBACK = ("pool that cannot start", "pool of processes")
ANOTHER_TRACEBACK = "1 / 0"


def changes(kernel: Kernel) -> object:
    """What differs from `before`, once threads and children that are on their way out have had time to go."""
    limit = time.monotonic() + SETTLED_S
    while True:
        kernel.check("after = state()")
        found = kernel.value("changed(before, after)")
        if found == {} or time.monotonic() > limit:
            return found
        kernel.check("time.sleep(0.02)")


@pytest.mark.parametrize("name", CELLS)
def test_cell_leaves_nothing(watched: Kernel, name: str) -> None:
    watched.run(ANOTHER_TRACEBACK)
    watched.check("before = state()")
    watched.run(CELLS[name])
    if name in IN_A_TRACEBACK:
        watched.run(ANOTHER_TRACEBACK)
    assert changes(watched) == {}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_interrupted_cell_leaves_nothing(watched: Kernel, name: str) -> None:
    watched.run(ANOTHER_TRACEBACK)
    watched.check("before = state()")
    assert watched.interrupted(INTERRUPTED[name]).ename == "KeyboardInterrupt"
    if name in IN_A_TRACEBACK:
        watched.run(ANOTHER_TRACEBACK)
    assert changes(watched) == {}


MAGIC_TABLES = (
    "{k: sorted(v) for k, v in get_ipython().magics_manager.magics.items()},"
    " sorted(type(c).__name__ for c in get_ipython().configurables),"
    " [type(t).__name__ for t in get_ipython().input_transformers_post],"
    " {k: len(v) for k, v in get_ipython().events.callbacks.items()}"
)


def test_unloading_leaves_nothing_in_the_shell(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%unload_ext no_such_extension")  # loads what IPython loads on first use
    before = fresh_kernel.value(MAGIC_TABLES)
    fresh_kernel.check("%load_ext concmagic")
    assert fresh_kernel.value(MAGIC_TABLES) != before
    fresh_kernel.check("%%threads\n1")
    fresh_kernel.check("%unload_ext concmagic")
    assert fresh_kernel.value(MAGIC_TABLES) == before
    assert fresh_kernel.run("%%threads\n1").ename == "UsageError"
    assert fresh_kernel.check("1 + 1").result_text == "2"


def test_loading_twice_and_again_works(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%load_ext concmagic")
    once = fresh_kernel.value(MAGIC_TABLES)
    for line in ("%load_ext concmagic", "%reload_ext concmagic", "%reload_ext concmagic"):
        fresh_kernel.check(line)
        assert fresh_kernel.value(MAGIC_TABLES) == once
        run = fresh_kernel.check("%%asyncio_trace\nimport asyncio\nawait asyncio.sleep(0, 5)")
        assert run.result_text == "5"
        assert is_picture(run.outputs[-1])


def test_magic_of_the_same_name_comes_back(fresh_kernel: Kernel) -> None:
    fresh_kernel.check(
        "from IPython.core.magic import register_cell_magic\n@register_cell_magic\n"
        "def timeline(line, cell): print('mine')"
    )
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check("%unload_ext concmagic")
    assert fresh_kernel.check("%%timeline\n1").stdout == "mine\n"


def test_loading_is_lazy(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("import sys\nbefore = set(sys.modules)\n%load_ext concmagic")
    heavy = ("numpy", "viztracer", "cloudpickle", "pandas", "multiprocessing", "concmagic.pipeline")
    assert fresh_kernel.value(f"[m for m in {heavy!r} if m in set(sys.modules) - before]") == []


def test_settings_are_seen_and_set(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%load_ext concmagic")
    assert "ConcMagic.budget" in fresh_kernel.check("%config ConcMagic").stdout
    fresh_kernel.check("%config ConcMagic.budget = 1000")
    fresh_kernel.check("%config ConcMagic.lints = {'gil-bound': False}")
    settings = (
        "[(c.budget, c.lints_off) for c in get_ipython().configurables if type(c).__name__ == 'ConcMagic']"
    )
    assert fresh_kernel.value(settings) == [(1000, ("gil-bound",))]
    fresh_kernel.check("%%threads\n1")


def test_tasks_left_running_are_cancelled_if_wanted(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%load_ext concmagic\nimport asyncio")
    cell = "%%asyncio_trace -q\nleft = asyncio.create_task(asyncio.sleep(3600))\nawait asyncio.sleep(0)"
    fresh_kernel.check(cell)
    assert fresh_kernel.value("left.done()") is False
    fresh_kernel.check("left.cancel();")
    fresh_kernel.check("%config ConcMagic.cancel_left_running = True")
    fresh_kernel.check(cell)
    assert fresh_kernel.value("left.cancelled()") is True


@pytest.mark.parametrize(("module", "name"), [("IPython", "ipython"), ("ipykernel", "ipykernel")])
def test_old_versions_get_one_sentence(fresh_kernel: Kernel, module: str, name: str) -> None:
    fresh_kernel.check(f"import {module} as m\nkept = m.version_info\nm.version_info = (6, 20, 1)")
    run = fresh_kernel.run("%load_ext concmagic")
    assert run.ename == "UsageError"
    assert run.kinds == ["stderr"]
    assert f"needs {name}" in run.stderr
    fresh_kernel.check("m.version_info = kept")
    fresh_kernel.check("%load_ext concmagic")


def terminal(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in the terminal's IPython."""
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_terminal_shows_value_and_text_only() -> None:
    code = (
        "get_ipython().run_line_magic('load_ext', 'concmagic')\n"
        "get_ipython().run_cell('%%threads\\nprint(1)\\n6 * 7')"
    )
    done = terminal(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1\n")
    assert "42" in done.stdout
    assert "<" not in done.stdout.split("42", 1)[0]
    assert "<div" not in done.stdout
    assert len(done.stdout.splitlines()) > 4  # a chart, too


def test_terminal_awaits() -> None:
    code = (
        "get_ipython().run_line_magic('load_ext', 'concmagic')\n"
        "get_ipython().run_cell('%%asyncio_trace\\nimport asyncio\\nawait asyncio.sleep(0, 6 * 7)')\n"
        "get_ipython().run_cell('%%asyncio_trace -q\\nasyncio.run(asyncio.sleep(0, 7 * 7))')\n"
        "get_ipython().run_cell('%%asyncio_trace -q\\nawait asyncio.sleep(0)\\n1 / 0')"
    )
    done = terminal(code)
    assert "42" in done.stdout
    assert "49" in done.stdout
    assert "ZeroDivisionError" in done.stdout + done.stderr
    assert "src/concmagic/" not in done.stdout + done.stderr


FRAMES_LEFT = """
gc.set_debug(gc.DEBUG_SAVEALL)
try:
    gc.collect()
finally:
    gc.set_debug(0)
left = sorted({one.f_code.co_qualname for one in gc.garbage if isinstance(one, types.FrameType)})
gc.garbage.clear()
gc.enable()
"""


@pytest.mark.parametrize("magic", ["%%threads", "%%asyncio_trace", "%%procs --detail states"])
def test_frames_that_were_looked_at_do_not_wait_for_the_collector(kernel: Kernel, magic: str) -> None:
    """On Python 3.13 it would print that a buffer of multiprocessing's is still in use."""
    kernel.check("import gc, multiprocessing, threading, types")
    cell = (
        f"{magic}\nlock = threading.Lock()\nwith multiprocessing.get_context('fork').Pool(2) as pool, lock:\n"
        "    found = pool.map(abs, range(100))\n"
    )
    kernel.check(cell)  # what is imported at the first leaves some of its own
    kernel.check("gc.collect()\ngc.disable()")
    kernel.check(cell)
    kernel.check(FRAMES_LEFT)
    assert kernel.value("left") == []
