"""Code that closes what it did not open, as daemons do, and then opens files: they get our numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Everything is closed, and all numbers are taken by files of the program's own.
PRELUDE = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path
folder = Path(sys.argv[1])
def close_and_open():
    global files
    os.closerange(3, 1000)
    files = [open(folder / str(number), "w") for number in range(40)]
    for number in range(200, 240):
        os.dup2(files[number - 200].fileno(), number)
def finish():
    for number, file in enumerate(files):
        os.fstat(200 + number)
        file.write("theirs")
        file.close()
    print(sorted({each.read_text() for each in folder.iterdir()}))
"""
PROGRAMS = {
    "the watch of children": """
from concmagic.recording.children.child_table import Watcher
watcher = Watcher(lambda *_: None)
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdin = None
watcher.watch(child.pid)
close_and_open()
watcher.stop()
finish()
child.kill()
""",
    "the watch of children, in a fork": """
from concmagic.recording.children.child_table import Watcher
watcher = Watcher(lambda *_: None)
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
watcher.watch(child.pid)
if not (pid := os.fork()):
    close_and_open()
    watcher.forget_after_fork()
    finish()
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
watcher.stop()
child.kill()
""",
    "the delivery of signals": """
from concmagic.runners.interrupt_wakeup import Delivery
delivery = Delivery()
delivery.start()
close_and_open()
delivery.stop()
finish()
""",
    "a child that listens": """
from concmagic.recording.children.child_listener import Listener
listener = Listener(lambda: None, lambda: None, folder.parent / "ask")
listener.start()
close_and_open()
listener.forget()
finish()
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("sigpipe", ["", "signal.signal(signal.SIGPIPE, signal.SIG_DFL)"], ids=["", "deadly"])
def test_files_that_have_our_numbers_are_neither_closed_nor_written_to(
    tmp_path: Path, name: str, sigpipe: str
) -> None:
    (tmp_path / "files").mkdir()
    program = "\n".join((PRELUDE, sigpipe, PROGRAMS[name]))
    quiet = ["-W", "ignore::DeprecationWarning"]  # a fork beside a thread of ours
    command = [sys.executable, *quiet, "-c", program, str(tmp_path / "files")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "['theirs']\n", "")


def test_a_signal_writes_into_no_file_that_came_later(tmp_path: Path) -> None:
    """C code writes a byte at each signal; the numbers that are given out next are the lowest."""
    program = PRELUDE + (
        "from concmagic.recording.children.child_listener import Listener\n"
        "Listener(lambda: None, lambda: None, folder.parent / 'ask').start()\n"
        "os.closerange(3, 1000)\n"
        "files = [open(folder / str(number), 'w') for number in range(40)]\n"
        "signal.signal(signal.SIGUSR1, lambda *_: None)\n"
        "signal.raise_signal(signal.SIGUSR1)\n"
        "print({each.stat().st_size for each in folder.iterdir()})\n"
    )
    (tmp_path / "files").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "files")], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "{0}\n")


def test_a_reader_that_is_gone_ends_nobody() -> None:
    """The only end that nobody reads from any more is closed, at a signal's default."""
    program = """
import os, signal, subprocess, sys
from concmagic.recording.children.child_table import Watcher
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
before = set(os.listdir("/proc/self/fd"))
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
watcher = Watcher(lambda *_: None)
watcher.watch(child.pid)
def is_read_end(name):
    if not os.readlink(f"/proc/self/fd/{name}").startswith("pipe:"):
        return False
    return not int(open(f"/proc/self/fdinfo/{name}").read().split("flags:")[1].split()[0], 8) & os.O_WRONLY
for name in os.listdir("/proc/self/fd"):
    if name not in before and os.path.exists(f"/proc/self/fd/{name}") and is_read_end(name):
        os.close(int(name))
watcher.stop()
child.kill()
child.wait()
print("lives")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (0, "lives\n"), run.stderr


def test_the_thread_that_listens_ends_with_its_pipe(tmp_path: Path) -> None:
    """It does not ask for ever what has come through a pipe that nobody can write to."""
    program = """
import os, signal, sys, time
from pathlib import Path
from concmagic.recording import own_threads
from concmagic.recording.children.child_listener import Listener
Listener(lambda: None, lambda: None, Path(sys.argv[1])).start()
while not own_threads._native_ids: time.sleep(0.001)
os.close(signal.set_wakeup_fd(-1))
limit = time.monotonic() + 20
while own_threads._native_ids and time.monotonic() < limit: time.sleep(0.001)
print(len(own_threads._native_ids))
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "ask")], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "0\n"), run.stderr


def test_workers_that_are_gone_end_nobody() -> None:
    program = """
import os, signal
from concmagic.runners.loop_jobs import Job
from concmagic.runners.loop_processes import _Pool
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
class Run: stopped = False
pool = _Pool(Run(), lambda item: item, 2, "", "fork")
for worker in [pool._start(), pool._start()]:
    worker.process.kill()
    worker.process.join()
pool.join()
pool.terminate()
print("lives")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (0, "lives\n"), run.stderr
