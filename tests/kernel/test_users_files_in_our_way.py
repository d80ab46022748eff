"""Files of the user's beside the notebook that have names of modules which ours imports."""

from __future__ import annotations

import pytest

from conftest import Kernel

pytestmark = pytest.mark.kernel

# What a student's file may be: it says that it runs, and has nothing of what the real one has.
FILE = "print('the file {0} runs', flush=True)\nmine = '{0}'\n"
# Not only what is imported late: also what a kernel has loaded before, and a new process has not.
NAMES = (
    *("cloudpickle", "numpy", "viztracer", "queue", "dis", "hashlib", "random", "difflib"),
    *("statistics", "zlib_", "html", "faulthandler", "ctypes_", "gzip", "colorsys"),
)
FORK = """
import multiprocessing, threading
context = multiprocessing.get_context("fork")
def square(n):
    return n * n
queue_ = context.SimpleQueue()
child = context.Process(target=queue_.put, args=(42,), name="sender")
child.start()
got = queue_.get()
child.join()
thread = threading.Thread(target=square, args=(3,), name="own")
thread.start(); thread.join()
print(got, child.exitcode)
got"""
SPAWN = """
import multiprocessing, math
with multiprocessing.get_context("spawn").Pool(1) as pool:
    values = pool.map(math.sqrt, [4.0, 9.0])
print(values)
sum(values)"""
AWAIT = """
import asyncio
done = await asyncio.gather(asyncio.sleep(0.01, "slept"), asyncio.sleep(0, "napped"))
print(done)
len(done)"""


@pytest.fixture
def crowded(fresh_kernel: Kernel) -> Kernel:
    """A kernel whose folder has such files; they are written when it runs, as by somebody who teaches."""
    files = {name: FILE.format(name) for name in NAMES}
    fresh_kernel.check(
        "from pathlib import Path\n"
        f"for name, text in {files!r}.items(): Path(name + '.py').write_text(text)\n"
        "import sys; assert '' in sys.path"  # before installed packages, not before the standard library
    )
    return fresh_kernel


@pytest.mark.parametrize(("magic", "code"), [("procs", FORK), ("procs", SPAWN), ("asyncio_trace", AWAIT)])
def test_a_cell_runs_as_plain_and_none_of_them_is_run(crowded: Kernel, magic: str, code: str) -> None:
    plain = crowded.run(code)
    crowded.check("%load_ext concmagic")
    traced = crowded.run(f"%%{magic} -o t -q" + code)
    assert (traced.status, traced.ename, traced.stdout, traced.result_text, traced.stderr) == (
        plain.status,
        plain.ename,
        plain.stdout,
        plain.result_text,
        plain.stderr,
    )
    assert plain.status == "ok"
    assert crowded.value("list(t.cost.problems)") == []
    assert crowded.value("len(t.tracks) > 1 and len(t.slices) > 0") is True


def test_the_users_own_import_finds_them_as_ever(crowded: Kernel) -> None:
    crowded.check("%load_ext concmagic")
    crowded.check("%%procs -q" + FORK)
    imported = "import cloudpickle, numpy\n(cloudpickle.mine, numpy.mine)"
    run = crowded.run("%%threads -o t -q\n" + imported)
    assert run.result_text == "('cloudpickle', 'numpy')"
    assert run.stdout.splitlines() == ["the file cloudpickle runs", "the file numpy runs"]
    crowded.check("%%procs -o t -q" + FORK)
    assert crowded.run(imported).result_text == run.result_text
    assert crowded.value("list(t.cost.problems)") == []


def test_they_are_in_the_way_of_a_child_that_is_spawned_with_the_notebooks_code(crowded: Kernel) -> None:
    """cloudpickle packs it; the child finds the real one, too."""
    crowded.check("%load_ext concmagic")
    run = crowded.run("""%%procs -o t -q
import multiprocessing
def double(n):
    return n * 2
with multiprocessing.get_context("spawn").Pool(1) as pool:
    values = pool.map(double, [1, 2])
values""")
    assert (run.status, run.result_text) == ("ok", "[2, 4]"), run
    assert "cloudpickle runs" not in run.stdout + run.stderr
