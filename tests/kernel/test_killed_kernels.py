"""What a killed kernel leaves in the folder for temporary files goes when another one loads concmagic.

Not while a process of its cell, which may outlive it, still uses it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.kernel.conftest import Kernel, running_kernel

USE = "import os, tempfile\ntempfile.tempdir = {folder!r}\n"
# Says its number and waits until the end of the pipe that nobody writes to.
CHILD = (
    "%%procs -q\nimport multiprocessing, os\n"
    "def wait(end):\n    print(f'child {os.getpid()}.', flush=True)\n    end.recv()\n"
    "ours, theirs = multiprocessing.Pipe()\n"
    "child = multiprocessing.get_context('fork').Process(target=wait, args=(theirs,))\nchild.start()\n"
    "print('begun', flush=True)\nchild.join()"
)
# The process in the middle ends at once: the daemon has no parent in the cell. Nobody writes what it reads.
DAEMON = (
    "%%procs -q\nimport os, signal, warnings\nread, write = os.pipe()\ndone, said = os.pipe()\n"
    "with warnings.catch_warnings(action='ignore'):\n    middle = os.fork()\nif not middle:\n"
    "    with warnings.catch_warnings(action='ignore'):\n        daemon = os.fork()\n"
    "    if daemon:\n        os._exit(0)\n    os.setsid()\n    signal.alarm(150)\n"
    "    os.write(said, str(os.getpid()).encode())\n    os.read(read, 1)\n    os._exit(0)\n"
    "os.waitpid(middle, 0)\nint(os.read(done, 20))"
)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that all kernels of a test take for their temporary files."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def doomed(tmp_path: Path, shared: Path) -> Iterator[Kernel]:
    """A kernel that the test kills."""
    (tmp_path / "doomed").mkdir()
    with running_kernel(tmp_path / "doomed") as kernel:
        kernel.check(USE.format(folder=str(shared)) + "%load_ext concmagic")
        yield kernel


def left(shared: Path) -> list[str]:
    return [path.name for path in shared.iterdir() if path.name.startswith("concmagic-")]


def load_another(tmp_path: Path, shared: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with running_kernel(tmp_path / name) as kernel:
        kernel.check(USE.format(folder=str(shared)) + "%load_ext concmagic")


def kill(pid: int) -> None:
    """Kill a process and wait until its number is free or a zombie's: nothing of it runs any more."""
    with suppress(ProcessLookupError):
        file = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        import select

        assert select.select([file], [], [], 30)[0]
        os.close(file)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes that are not its children")
def test_the_folder_of_a_killed_kernel_goes_when_another_one_loads(
    doomed: Kernel, tmp_path: Path, shared: Path
) -> None:
    pid = doomed.pid
    cell = doomed.start(CHILD)
    cell.wait_for("begun")
    cell.wait_for(".")
    child = int(cell.printed.partition("child ")[2].partition(".")[0])
    assert len(left(shared)) == 1
    kill(pid)
    kill(child)
    load_another(tmp_path, shared, "another")
    assert left(shared) == []


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes that are not its children")
def test_the_folder_of_a_daemon_stays_as_long_as_it_lives(
    doomed: Kernel, tmp_path: Path, shared: Path
) -> None:
    pid = doomed.pid
    daemon = int(doomed.check(DAEMON).result_text or 0)
    used = left(shared)
    try:
        assert len(used) == 1
        kill(pid)
        load_another(tmp_path, shared, "while it lives")
        assert left(shared) == used
    finally:
        kill(daemon)
    load_another(tmp_path, shared, "afterwards")
    assert left(shared) == []


def test_the_folder_of_a_kernel_that_runs_stays(doomed: Kernel, tmp_path: Path, shared: Path) -> None:
    cell = doomed.start(CHILD)
    cell.wait_for("begun")
    used = left(shared)
    load_another(tmp_path, shared, "another")
    assert left(shared) == used and len(used) == 1
    doomed.interrupt()
    cell.wait()
