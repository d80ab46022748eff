"""The sampler's process is gone, stopped, slow, or not to be reached any more: what that costs, and whom."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from concmagic.problems import Problem
from concmagic.recording.sampler import helper
from concmagic.recording.sampler import sampler_recorder as sampler
from concmagic.recording.sampler.helper import MOST_LOOKS, Patience, StandsStillError
from concmagic.recording.sampler.sampler_recorder import Sampler

WAIT_S = 30  # only ever reached by a test that fails
LONG_S = 2.5  # half of how long one is waited for that does run


@pytest.fixture(autouse=True)
def no_helper_left() -> Iterator[None]:
    yield
    sampler.close()


def ended(pid: int) -> bool:
    """Whether a process that is no child of ours ends."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], WAIT_S)[0])
    finally:
        os.close(descriptor)


def letter(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    while letter(pid) != "T":
        time.sleep(0.001)


def one_cell() -> list[str]:
    """Sample for a moment; what went wrong, with "no samples" where there were none."""
    watching = Sampler(os.getpid())
    watching.start()
    log = watching.stop()
    return watching.problems + ["no samples"] * (log is None)


@contextmanager
def busy(how_many: int, core: int) -> Iterator[None]:
    """Processes that want one core for themselves."""
    program = f"import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile True: pass"
    with ExitStack() as started:
        for _ in range(how_many):
            process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
            started.callback(process.wait)
            started.callback(process.kill)
            assert process.stdout is not None
            started.callback(process.stdout.close)
            process.stdout.readline()
        yield


def test_one_that_was_stopped_between_cells_is_given_up_and_ended() -> None:
    assert one_cell() == []
    victim = sampler.helper_pid()
    assert victim is not None
    stop(victim)
    began = time.monotonic()
    assert one_cell() == [Problem.of("sampler_stopped"), "no samples"]
    assert time.monotonic() - began < LONG_S
    assert ended(victim)
    assert one_cell() == []
    assert sampler.helper_pid() not in (None, victim)


def test_so_is_one_that_is_stopped_in_the_cell() -> None:
    watching = Sampler(os.getpid())
    watching.start()
    victim = sampler.helper_pid()
    assert victim is not None
    stop(victim)
    began = time.monotonic()
    for _ in range(5_000):  # more than its socket holds
        watching.watch(os.getpid())
        watching._next_look = 0.0
        watching.look()
    assert watching.stop() is None
    assert time.monotonic() - began < LONG_S
    assert watching.problems == [Problem.of("sampler_stopped")]
    assert ended(victim)
    assert one_cell() == []


def test_on_a_busy_machine_it_is_waited_for() -> None:
    assert one_cell() == []
    helper = sampler.helper_pid()
    assert helper is not None
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(helper, {core})
    with busy(10, core):
        for _ in range(5):
            assert one_cell() == []
    assert sampler.helper_pid() == helper


def test_one_that_computes_is_waited_for_but_not_for_ever() -> None:
    with (
        busy(1, min(os.sched_getaffinity(0))),
        subprocess.Popen(
            [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
        ) as one,
    ):
        assert one.stdout is not None
        one.stdout.readline()
        patience = Patience(one.pid)
        for _ in range(MOST_LOOKS - 1):
            patience.look()
        with pytest.raises(StandsStillError) as caught:
            patience.look()
        assert not caught.value.was_stopped
        one.kill()


def test_one_that_sleeps_over_a_command_is_not_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as one:  # fmt: skip
        assert one.stdout is not None
        one.stdout.readline()
        while letter(one.pid) != "S":
            time.sleep(0.001)
        patience, looks = Patience(one.pid), 0
        with pytest.raises(StandsStillError) as caught:
            while looks < MOST_LOOKS // 2:
                looks += 1
                patience.look()
        assert not caught.value.was_stopped
        one.kill()


def test_one_that_goes_on_again_is_waited_for() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None
        one.stdout.readline()
        patience = Patience(one.pid)
        for _ in range(10):
            stop(one.pid)
            patience.look()
            one.send_signal(signal.SIGCONT)
            while letter(one.pid) == "T":
                time.sleep(0.001)
            patience.look()
        one.kill()


def test_only_the_process_that_was_started_is_ended() -> None:
    """Its number may be another's by now."""
    assert one_cell() == []
    victim, helper = sampler.helper_pid(), sampler._helper
    assert victim is not None
    assert helper is not None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        helper.pid = other.pid
        helper.kill()
        assert ended(victim)
        assert other.poll() is None
        other.kill()


def test_a_socket_that_somebody_else_has_closed_is_not_written_to(tmp_path: Path) -> None:
    """As `os.closerange(3, 1000)` does: the next file of the notebook's gets its number."""
    assert one_cell() == []
    first, helper = sampler.helper_pid(), sampler._helper
    assert helper is not None
    number = helper._socket.fileno()
    with (tmp_path / "theirs").open("wb", buffering=0) as theirs:
        os.dup2(theirs.fileno(), number)
        try:
            assert one_cell() == []
            assert sampler.helper_pid() != first
            os.write(number, b"still open")
        finally:
            os.close(number)
    assert (tmp_path / "theirs").read_bytes() == b"still open"


def test_the_notebooks_default_for_sockets_is_not_ours() -> None:
    socket.setdefaulttimeout(0.001)
    try:
        assert one_cell() == []
        flags = Path(f"/proc/{sampler.helper_pid()}/fdinfo/3").read_text().split("flags:")[1].split()[0]
        assert not int(flags, 8) & os.O_NONBLOCK
    finally:
        socket.setdefaulttimeout(None)


DEADLY = """
import os, select, signal, sys
from concmagic.recording.sampler import helper
from concmagic.recording.sampler import sampler_recorder as sampler
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
def gone():
    pid = sampler.helper_pid()
    end = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([end], [], [])
    os.close(end)
watching = sampler.Sampler(os.getpid())
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [
        # Between two cells, and within one.
        (
            "watching.start(); watching.stop(); gone(); watching.start(); print(watching.stop() is None)",
            "False",
        ),
        (
            "watching.start(); gone(); watching.watch(1); watching.look(); print(watching.stop() is None)",
            "True",
        ),
        ("watching.start(); watching.stop(); gone(); sampler.close(); print('closed')", "closed"),
    ],
)
def test_with_sigpipe_at_its_default_a_dead_helper_ends_nobody(program: str, said: str) -> None:
    run = subprocess.run([sys.executable, "-c", DEADLY + program], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip()) == (0, said), run.stderr


def test_the_process_in_the_middle_is_no_zombie_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine it can end after it was waited for: then the next cell asks for it again."""
    spawned: list[int] = []

    def spawn(control: int) -> int:
        spawned.append(real_spawn(control))
        return spawned[-1]

    real_spawn, real_wait = helper._spawn, helper.gone_within
    sampler.close()
    monkeypatch.setattr(helper, "_spawn", spawn)
    monkeypatch.setattr(helper, "gone_within", lambda is_gone, seconds: False)  # it takes too long
    assert one_cell() == []
    monkeypatch.setattr(helper, "gone_within", real_wait)
    os.waitid(os.P_PID, spawned[0], os.WEXITED | os.WNOWAIT)  # it is a zombie now
    assert one_cell() == []
    with pytest.raises(ChildProcessError):
        os.waitpid(spawned[0], os.WNOHANG)


def test_one_that_ends_before_it_has_spoken_leaves_no_zombie(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Killed as it starts: the process that was to start it is this process's child."""
    silent = tmp_path / "silent.py"
    silent.write_text("")
    monkeypatch.setattr(helper, "_SCRIPT", silent)
    before = {child.pid for child in psutil.Process().children()}
    assert one_cell() != []
    helper.reap_late()
    assert {child.pid for child in psutil.Process().children()} <= before
