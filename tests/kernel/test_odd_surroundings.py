"""Odd streams, folders and endings: the cell does what it does without us; what fails of ours is told."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from concmagic import sentences
from conftest import Kernel, Run, running_kernel

SETUP = """
import asyncio, multiprocessing, os, subprocess, sys, tempfile, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
def square(n):
    return n * n
"""
POOL = """
with multiprocessing.get_context({method!r}).Pool(2) as pool:
    found = pool.map(square, range(4))
found
"""
STREAMS = {
    "no stderr": ("kept = sys.stderr; sys.stderr = None", "sys.stderr = kept"),
    "no stdout": ("kept = sys.stdout; sys.stdout = None", "sys.stdout = kept"),
    "another stdout": (
        "import io; kept = sys.stdout; sys.stdout = io.StringIO()",
        "said, sys.stdout = sys.stdout.getvalue(), kept; print(said)",
    ),
    "another stderr": (
        "class Odd:\n    def write(self, text): raise OSError(28)\nkept, sys.stderr = sys.stderr, Odd()",
        "sys.stderr = kept",
    ),
}
BODY = """
thread = threading.Thread(target=print, args=("in a thread",))
thread.start()
thread.join()
with ThreadPoolExecutor(2) as pool:
    found = list(pool.map(square, range(3)))
"""


def picture(run: Run) -> str:
    """The text picture, its sentences on one line."""
    return " ".join(run.displays[-1]["text/plain"].split()) if run.displays else ""


def both(kernel: Kernel, cell: str, magic: str = "%%timeline") -> tuple[Run, Run]:
    kernel.check(SETUP)
    plain = kernel.run(cell.strip("\n"))
    traced = kernel.run(f"{magic}\n{cell.lstrip()}")
    assert (traced.status, traced.ename, traced.evalue) == (plain.status, plain.ename, plain.evalue)
    assert (traced.result_text, traced.stdout) == (plain.result_text, plain.stdout)
    assert kernel.check("6 * 7").result_text == "42"
    return plain, traced


@pytest.mark.parametrize("odd", STREAMS)
def test_streams_that_are_gone_or_others(kernel: Kernel, odd: str) -> None:
    before, after = STREAMS[odd]
    plain, traced = both(kernel, f"{before}\n{BODY}\n{after}\nfound")
    assert traced.stderr == plain.stderr
    assert "MainThread" in picture(traced)


@pytest.mark.parametrize("name", ["stderr", "stdout"])
def test_a_stream_that_the_cell_closes(fresh_kernel: Kernel, name: str) -> None:
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check(SETUP)
    traced = fresh_kernel.check(f"%%timeline\nsys.{name}.close()\nfound = square(3)\nfound")
    assert traced.result_text == "9"
    assert fresh_kernel.check("%%timeline\nsquare(4)").result_text == "16"


def test_stop_iteration(kernel: Kernel) -> None:
    _, traced = both(kernel, "raise StopIteration(3)")
    assert "src/concmagic/" not in traced.traceback_text
    assert picture(traced)


AWAITED = {
    "a step": "await asyncio.sleep(0)",
    # From 3.12 on what leaves awaiting code after this is its value, and no error at all.
    "a timeout": (
        "try:\n    async with asyncio.timeout(0.01): await asyncio.sleep(20)\nexcept TimeoutError: pass"
    ),
}


@pytest.mark.parametrize("awaited", AWAITED)
def test_stop_iteration_of_a_cell_that_awaits_is_another_error_and_a_sentence(
    kernel: Kernel, awaited: str
) -> None:
    kernel.check(SETUP)
    traced = kernel.run(f"%%asyncio_trace\n{AWAITED[awaited]}\nraise StopIteration(3)")
    assert traced.ename == "RuntimeError"
    assert sentences.STOP_ITERATION_LEFT in traced.traceback_text
    assert kernel.check("6 * 7").result_text == "42"


SAVED = {
    "~/picture.svg": "picture.svg",
    "up.SVG": "up.SVG",
    "Page.HTML": "Page.HTML",
}


@pytest.mark.parametrize("given", SAVED)
def test_pictures_are_saved_where_the_user_says(kernel: Kernel, tmp_path: Path, given: str) -> None:
    kernel.check(
        f"import os; os.environ['HOME'] = {str(tmp_path)!r}; here = os.getcwd(); os.chdir({str(tmp_path)!r})"
    )
    try:
        run = kernel.check(f"%%threads --save {given}\n6 * 7")
    finally:
        kernel.check("os.chdir(here)")
    assert run.result_text == "42"
    text = (tmp_path / SAVED[given]).read_text()
    assert text.lstrip().startswith("<")


@pytest.mark.parametrize("given", ["missing/picture.svg", ".", "/proc/picture.svg", "none.svg/picture.svg"])
def test_a_picture_that_cannot_be_saved_is_one_sentence(kernel: Kernel, tmp_path: Path, given: str) -> None:
    kernel.check(
        f"import os; here = os.getcwd(); os.chdir({str(tmp_path)!r}); ran = 0; open('none.svg', 'w').close()"
    )
    try:
        run = kernel.run(f"%%threads --save {given}\nran += 1\n6 * 7")
    finally:
        kernel.check("os.chdir(here)")
    assert "Traceback" not in run.stderr + run.traceback_text
    if run.status == "ok":
        assert run.result_text == "42"
        assert kernel.value("ran") == 1
    else:
        assert (run.ename, kernel.value("ran")) == ("UsageError", 0)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 64 kB of its own."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


METHODS = ["fork", "spawn"]
RUN = "%%procs\n" + POOL.lstrip()


def checked(kernel: Kernel, method: str) -> None:
    """A pool's cell has its value, prints nothing of ours, and leaves a kernel that works."""
    kernel.check(SETUP)
    # A plain cell's workers find no function of the notebook unless they are forked.
    traced = kernel.check(RUN.format(method=method))
    assert (traced.result_text, traced.stdout, traced.stderr) == ("[0, 1, 4, 9]", "", "")
    assert picture(traced)
    assert kernel.check("6 * 7").result_text == "42"


@pytest.mark.parametrize("method", METHODS)
def test_a_full_temporary_folder(tmp_path: Path, method: str) -> None:
    with small_disk(tmp_path / "small") as folder, running_kernel(tmp_path) as kernel:
        kernel.check("%load_ext concmagic")
        kernel.check(f"import os, tempfile; os.environ['TMPDIR'] = tempfile.tempdir = {str(folder)!r}")
        kernel.check("%%threads\n1")
        kernel.check("""
file = open(os.path.join(tempfile.tempdir, "full"), "wb", buffering=0)
try:
    while True:
        file.write(bytes(1024))
except OSError:
    pass
""")
        checked(kernel, method)


@pytest.mark.parametrize(
    ("odd", "method"), [("'/nowhere/at/all'", "fork"), ("'/proc'", "fork"), ("b'/tmp'", "forkserver")]
)
def test_a_temporary_folder_that_is_none(fresh_kernel: Kernel, method: str, odd: str) -> None:
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check(f"import os, tempfile; tempfile.tempdir = {odd}; os.environ['TMPDIR'] = '/nowhere'")
    checked(fresh_kernel, method)


def test_a_temporary_folder_that_vanishes(fresh_kernel: Kernel, tmp_path: Path) -> None:
    fresh_kernel.check("%load_ext concmagic")
    gone = tmp_path / "gone"
    gone.mkdir()
    fresh_kernel.check(f"import os, shutil, tempfile; tempfile.tempdir = {str(gone)!r}")
    fresh_kernel.check(SETUP)
    cell = f"shutil.rmtree({str(gone)!r})\n" + POOL.format(method="fork")
    traced = fresh_kernel.check("%%procs\n" + cell)
    assert (traced.result_text, traced.stderr) == ("[0, 1, 4, 9]", "")
    assert fresh_kernel.check("6 * 7").result_text == "42"
