"""Ending what an interrupted cell has started: who has a number that was given out again is none of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from concmagic.recording.children import leftovers

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
SLEEPS = [sys.executable, "-c", "print(flush=True); input()"]


def started() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(SLEEPS, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def started_as(pid: int) -> subprocess.Popen[bytes]:
    """A process of that number; others take numbers too, so it is tried again."""
    for _ in range(500):
        try:
            LAST_PID.write_text(str(pid - 1))
        except OSError:
            pytest.skip("numbers cannot be chosen here")
        process = started()
        if process.pid == pid:
            return process
        end(process)
    pytest.skip("others were always faster")


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.skipif(not LAST_PID.exists(), reason="numbers cannot be chosen here")
def test_who_has_the_number_of_one_that_was_reaped_is_not_killed() -> None:
    victim = started()
    others: list[subprocess.Popen[bytes]] = []
    asked = 0

    def roots() -> list[int]:
        return [victim.pid] if asked == 1 else []

    def is_growing() -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:  # it has had its SIGTERM: the cell's own code reaps it
            victim.communicate()
            others.append(started_as(victim.pid))
        return False

    try:
        leftovers.end_processes(roots, is_growing)
        assert victim.returncode == -15
        assert others[0].poll() is None
    finally:
        for other in others:
            end(other)


def test_what_does_not_end_by_itself_is_killed_and_left_to_be_reaped() -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    stubborn = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    mild = started()
    leftovers.end_processes(lambda: [stubborn.pid, mild.pid], lambda: False)
    for process, code in ((stubborn, -9), (mild, -15)):
        process.communicate()
        assert process.returncode == code
