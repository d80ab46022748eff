"""Writes where nobody reads, in a process where that is deadly; descriptors that somebody else has closed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from concmagic.pipes import Owned

DEADLY = """
import os, signal, socket, sys, threading
from concmagic.pipes import no_sigpipe, write
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
def broken():
    read, write_end = os.pipe()
    os.close(read)
    return write_end
def pending():
    return signal.SIGPIPE in signal.sigpending()
def is_blocked():
    return signal.SIGPIPE in signal.pthread_sigmask(signal.SIG_BLOCK, ())
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", DEADLY + program], capture_output=True, text=True)


def said(program: str) -> list[str]:
    ended = run(program)
    assert ended.returncode == 0, (ended.returncode, ended.stderr)
    return ended.stdout.splitlines()


def test_to_write_where_nobody_reads_is_deadly_there() -> None:
    assert run("os.write(broken(), b'x')").returncode == -signal.SIGPIPE


def test_ours_is_an_error() -> None:
    program = """
for number in range(3):
    try: write(broken(), b"x")
    except BrokenPipeError as error: print("error", pending(), is_blocked())
"""
    assert said(program) == ["error False False"] * 3


def test_so_is_a_socket_in_the_block_and_in_a_thread() -> None:
    program = """
def work():
    ours, theirs = socket.socketpair()
    theirs.close()
    try:
        with no_sigpipe(): ours.sendall(b"x")
    except BrokenPipeError: print("error", pending(), is_blocked())
thread = threading.Thread(target=work); thread.start(); thread.join()
work()
"""
    assert said(program) == ["error False False"] * 2


def test_a_signal_of_the_users_own_stays() -> None:
    """One that the program keeps waiting, and one that it sends while we write."""
    program = """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
signal.pthread_kill(threading.main_thread().ident, signal.SIGPIPE)
try: write(broken(), b"x")
except BrokenPipeError: print("error", pending(), is_blocked())
print(signal.sigwait({signal.SIGPIPE}).name, pending())
try: write(broken(), b"x")
except BrokenPipeError: print("error", pending(), is_blocked())
"""
    assert said(program) == ["error True True", "SIGPIPE False", "error False True"]


def test_a_handler_of_the_users_is_not_called_for_ours() -> None:
    program = """
signal.signal(signal.SIGPIPE, lambda *_: print("called"))
try: write(broken(), b"x")
except BrokenPipeError: print("error")
try: os.write(broken(), b"x")
except BrokenPipeError: print("their own")
"""
    assert said(program) == ["error", "called", "their own"]


def test_an_interrupt_within_leaves_the_mask_as_it_was() -> None:
    program = """
try:
    with no_sigpipe(): raise KeyboardInterrupt
except KeyboardInterrupt: print(is_blocked())
"""
    assert said(program) == ["False"]


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_a_number_that_somebody_else_has_taken_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "theirs"
    file, (read, number), another = path.open("wb", buffering=0), os.pipe(), os.pipe()
    ours = Owned(number)
    try:
        os.dup2(file.fileno() if kind == "file" else another[1], number)  # it was closed, and given out again
        assert not ours.is_ours
        with pytest.raises(OSError, match="somebody else"):
            ours.write(b"x")
        ours.close()
        os.fstat(number)  # still open
        assert path.read_bytes() == b""
    finally:
        for each in (number, read, *another):
            os.close(each)
        file.close()


def test_it_is_closed_once() -> None:
    read, number = os.pipe()
    ours = Owned(number)
    assert ours.write(b"x") == 1
    ours.close()
    assert os.read(read, 2) == b"x"
    assert os.read(read, 1) == b""
    os.dup2(read, number)  # the next file of that number
    ours.close()
    os.fstat(number)
    os.close(number)
    os.close(read)
