"""The operating system's view of this process's threads, by a helper process (Linux).

The helper is started at the first cell, stays for the kernel's life and waits between cells. If it
has died, its data is lost and the next cell gets a new one. See `process.py`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Literal

from concmagic import sentences
from concmagic.clock import monotonic
from concmagic.recording import hosts, machine
from concmagic.recording.raw import SampleLog

_TIMEOUT_S = 5.0  # of every answer; a helper that takes longer is given up
_COLUMNS = 5
_LOOK_S = 0.002
_NO_GIL = "0 0 0 0 -"  # where it lies is not known
_SCRIPT = Path(__file__).with_name("process.py")

_helper: _Helper | None = None


class Sampler:
    """Samples the threads of process `pid`, and of its Python children, from `start` to `stop`.

    What went wrong stands in `problems`; nothing is raised.
    """

    def __init__(self, pid: int, files: Literal["syscall", "stat"] = "syscall") -> None:
        self._pid = pid
        self._files = files
        self._running: _Helper | None = None
        self._next_look = 0.0
        self.problems: list[str] = []

    def start(self) -> None:
        """Begin to sample; the first threads have been seen when this returns."""
        if not _can_sample():
            self.problems.append(sentences.NO_SAMPLER_HERE)
            return
        try:
            if helper_pid() is not None:
                with contextlib.suppress(OSError, ValueError):  # it has died since the last cell
                    self._running = self._begin()
                    return
            close()
            self._running = self._begin()
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _begin(self) -> _Helper:
        helper = _running_helper()
        _allow(helper.pid)
        helper.send(f"on {self._pid} {self._files} {_gil()}")
        if helper.line() != "on":
            raise ConnectionError("an unexpected answer")
        return helper

    def watch(self, pid: int) -> None:
        """Sample this process's threads, too, from now on."""
        if self._running is not None:
            with contextlib.suppress(OSError):  # a dead helper is reported by `stop`
                self._running.send(f"watch {pid}")

    def look(self) -> None:
        """Say that there is a new thread: it is sampled at once, not when threads are listed next.

        Called by every thread that begins; of many at once the first one says it for all.
        """
        helper, now = self._running, monotonic()
        if helper is not None and now >= self._next_look:
            self._next_look = now + _LOOK_S
            helper.say("look")

    def stop(self) -> SampleLog | None:
        """End sampling and hand the samples over; None if there are none."""
        helper, self._running = self._running, None
        if helper is None:
            return None
        try:
            helper.send("off")
            return self._read(helper)
        except (OSError, ValueError) as error:
            self._give_up(error)
            return None

    def _read(self, helper: _Helper) -> SampleLog:
        word, *values = helper.line().split(" ", 7)
        if word != "rows":
            raise ConnectionError("an unexpected answer")
        rows, rate, asked, used_ns, switches, length = values[:6]
        columns = [helper.receive(int(rows) * 8) for _ in range(_COLUMNS)]
        problems = [part for part in "".join(values[6:]).split("; ") if part]
        self.problems += filter(None, map(sentences.sampler_problem, problems))
        return SampleLog(
            native_id=columns[0],
            start_ns=columns[1],
            end_ns=columns[2],
            code=columns[3],
            argument=columns[4],
            rate_hz=float(rate),
            asked_hz=float(asked),
            cpu_ns=int(used_ns),
            knows_gil=self._files == "syscall" and not {"no-calls", "no-gil"}.intersection(problems),
            gil_switches=int(switches) if int(switches) >= 0 else None,
            details=_details(helper.receive(int(length))),
        )

    def _give_up(self, error: Exception) -> None:
        self.problems.append(sentences.sampler_lost(error))
        close()


def close() -> None:
    """End the helper process, where there is one."""
    global _helper
    helper, _helper = _helper, None
    if helper is not None:
        helper.close()


def helper_pid() -> int | None:
    """The helper's process id; None when none runs for this process."""
    return _helper.pid if _helper is not None and _helper.owner == os.getpid() else None


class _Helper:
    """This process's end of the conversation with the helper."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._buffer = b""
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(_TIMEOUT_S)
        with theirs:
            middle = _spawn(theirs.fileno())
        # The process in the middle forks and ends at once; a SIGCHLD setting may have reaped it already.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(middle, 0)
        self.pid = int(self.line().removeprefix("ready "))

    def send(self, command: str) -> None:
        self._socket.sendall(command.encode(errors="surrogateescape") + b"\n")

    def say(self, command: str) -> None:
        """Send it if that is possible at once: nobody waits for it."""
        with contextlib.suppress(OSError):  # a dead helper is reported by `stop`
            self._socket.send(command.encode() + b"\n", socket.MSG_DONTWAIT)

    def line(self) -> str:
        while b"\n" not in self._buffer:
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace")

    def receive(self, length: int) -> bytes:
        parts, have = [self._buffer[:length]], min(length, len(self._buffer))
        self._buffer = self._buffer[length:]
        while have < length:
            part = self._socket.recv(min(length - have, 1 << 20))
            if not part:
                raise ConnectionError("it ended")
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def close(self) -> None:
        if self.owner == os.getpid():
            with contextlib.suppress(OSError):  # it has ended already
                self.send("quit")
        self._socket.close()

    def _fill(self) -> None:
        part = self._socket.recv(1 << 16)
        if not part:
            raise ConnectionError("it ended")
        self._buffer += part


def _running_helper() -> _Helper:
    """The helper of this process; a new one at the first cell and after a fork."""
    global _helper
    if helper_pid() is None:
        close()
        _helper = _Helper()
        atexit.unregister(close)
        atexit.register(close)
    assert _helper is not None
    return _helper


def _spawn(control: int) -> int:
    """Start the script by posix_spawn: no fork callbacks run, nothing of ours shows in `subprocess`."""
    import posix  # its own reference, so that what watches `os.posix_spawn` does not report our helper

    arguments = [sys.executable, "-I", "-S", str(_SCRIPT), str(os.getpid()), str(machine.usable_cores())]
    null = os.devnull
    actions = [(os.POSIX_SPAWN_OPEN, number, null, os.O_RDWR, 0) for number in range(3)]
    return posix.posix_spawn(
        sys.executable,
        arguments,
        os.environ,
        file_actions=[*actions, (os.POSIX_SPAWN_DUP2, control, 3)],
    )


def _details(text: bytes) -> tuple[tuple[int, int, str], ...]:
    """Lines "native id, start, words"."""
    lines = [line.split(" ", 2) for line in text.decode(errors="replace").splitlines()]
    return tuple((int(native_id), int(start_ns), hosts.named(words)) for native_id, start_ns, words in lines)


def _can_sample() -> bool:
    return sys.platform == "linux" and bool(sys.executable) and Path("/proc/self/task").is_dir()


def _gil() -> str:
    from concmagic.recording.sampler import gil_address

    place = gil_address.find()
    if place is None:
        return _NO_GIL
    return f"{place.offset} {place.size} {place.holder} {place.native} {place.file}"


def _allow(helper: int) -> None:
    """Where Yama lets only ancestors look at a process, name the helper as an exception."""
    if not Path("/proc/sys/kernel/yama/ptrace_scope").exists():
        return
    import ctypes

    set_ptracer = 0x59616D61  # PR_SET_PTRACER
    ctypes.CDLL(None).prctl(set_ptracer, ctypes.c_ulong(helper), 0, 0, 0)
