"""The helper process from this side: started once, asked with bounded patience, ended as itself.

What is written to it raises no signal where it is gone. It is ended by a pidfd and not by its number, which
the system gives out again; where there are no pidfds it is told to quit, and ends when its socket does.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from concmagic.clock import gone_within
from concmagic.pipes import Owned
from concmagic.recording import cpu_time

_SCRIPT = Path(__file__).with_name("process.py")
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_REAPING_S = 0.2

# Processes in the middle that ended late, also of helpers that are gone: their parent and their number.
_unreaped: list[tuple[int, int]] = []
LOOK_S = 0.04  # from one look at it to the next
MOST_LOOKS = 125  # 5 s, however much it runs
_STILL = 4  # looks in a row at which it slept
_STOPPED = 2  # … at which it was stopped: nothing but a signal lets it go on


def reap_late() -> None:
    """Reap helper processes that had not ended when they should have; waits for none."""
    me = os.getpid()
    _unreaped[:] = [
        (parent, middle) for parent, middle in _unreaped if parent == me and not _is_reaped(middle, 0)
    ]


class Helper:
    """This process's end of the conversation."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._buffer = b""
        self._pidfd: Owned | None = None
        self._is_known = False
        self._socket, theirs = socket.socketpair()
        self._end = Owned(self._socket.fileno())
        middle: int | None = None
        try:
            with theirs:
                # Whatever `socket.setdefaulttimeout` says.
                self._socket.setblocking(False)
                theirs.setblocking(True)
                self.pid = middle = _spawn(theirs.fileno())
            self.pid = int(self.line(Patience(middle, may_sleep=True)).removeprefix("ready "))
            with suppress(OSError, AttributeError):  # before Linux 5.3
                self._pidfd = Owned(os.pidfd_open(self.pid))
        except BaseException:
            self.close()
            raise
        finally:  # also where it was killed before it could speak
            if middle is not None and not _is_reaped(middle):
                _unreaped.append((self.owner, middle))

    def send(self, command: str) -> None:
        """Send a line; waits until the helper has read enough to make room for it."""
        data, patience = command.encode(errors="surrogateescape") + b"\n", Patience(self.pid)
        while data:
            self._check()
            try:
                data = data[self._socket.send(data, _NO_SIGNAL) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, patience)

    def say(self, command: str) -> None:
        """Send a line if that is possible at once, else drop it."""
        with suppress(OSError):  # a dead helper is reported when its samples are asked for
            self._check()
            self._socket.send(command.encode() + b"\n", _NO_SIGNAL)

    def line(self, patience: Patience | None = None) -> str:
        """Read the next line that the helper sends."""
        patience = patience or Patience(self.pid)
        while b"\n" not in self._buffer:
            self._buffer += self._receive(1 << 16, patience)
        line, _, self._buffer = self._buffer.partition(b"\n")
        reap_late()
        # It lives, so its number was its own when the pidfd was opened.
        self._is_known = self._pidfd is not None
        return line.decode(errors="replace")

    def receive(self, length: int) -> bytes:
        """Read so many bytes that the helper sends."""
        patience = Patience(self.pid)
        parts, have = [self._buffer[:length]], min(length, len(self._buffer))
        self._buffer = self._buffer[length:]
        while have < length:
            part = self._receive(min(length - have, 1 << 20), patience)
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Let it end."""
        if self.owner == os.getpid():
            self.say("quit")
        # In a forked child these are copies, and only they are closed.
        if self._end.is_ours:
            self._socket.close()
        else:
            self._socket.detach()  # the number is another file's
        if self._pidfd is not None:
            self._pidfd.close()

    def kill(self) -> None:
        """End it, stopped or not: the very process that was started, or none."""
        pidfd = self._pidfd
        if self._is_known and pidfd is not None and pidfd.is_ours and self.owner == os.getpid():
            with suppress(OSError):  # it has ended meanwhile
                signal.pidfd_send_signal(pidfd.number, signal.SIGKILL)

    def _receive(self, most: int, patience: Patience) -> bytes:
        while True:
            self._check()
            try:
                part = self._socket.recv(most)
            except BlockingIOError:
                self._wait(select.POLLIN, patience)
                continue
            if not part:
                raise ConnectionError("it ended")
            return part

    def _wait(self, event: int, patience: Patience) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        while not poll.poll(LOOK_S * 1000):
            patience.look()

    def _check(self) -> None:
        if not self._end.is_ours:
            raise ConnectionError("its socket was closed by somebody else")


def _spawn(control: int) -> int:
    """Start the script by posix_spawn: no fork callbacks run, nothing of ours shows in `subprocess`."""
    import posix  # its own reference, so that what watches `os.posix_spawn` does not report our helper

    arguments = [sys.executable, "-I", "-S", str(_SCRIPT), str(os.getpid()), str(cpu_time.usable_cores())]
    null = os.devnull
    actions = [(os.POSIX_SPAWN_OPEN, number, null, os.O_RDWR, 0) for number in range(3)]
    return posix.posix_spawn(
        sys.executable,
        arguments,
        os.environ,
        file_actions=[*actions, (os.POSIX_SPAWN_DUP2, control, 3)],
    )


def _is_reaped(middle: int, seconds: float = _REAPING_S) -> bool:
    """The process in the middle forks and ends at once: when the fork has spoken it is over, or nearly.

    It is this process's child, so its number is its own until it is reaped. A SIGCHLD setting, or a thread
    of the user's in `os.wait()`, may have done that already. One that was stopped, or that a busy machine
    lets wait, is not waited for, and looked at again at the next cell.
    """
    try:
        return gone_within(lambda: os.waitpid(middle, os.WNOHANG) != (0, 0), seconds)
    except ChildProcessError:
        return True


class StandsStillError(ConnectionError):
    """The helper process will not answer any more; `was_stopped` by a signal or a debugger."""

    def __init__(self, was_stopped: bool) -> None:
        super().__init__("it was stopped" if was_stopped else "it did not answer")
        self.was_stopped = was_stopped


class Patience:
    """Looks at a process that does not answer, by its number.

    Where it has ended its number may be another's: but then its end of the socket is closed, which is seen
    first. One that `may_sleep` is only just starting: another process goes on in its place.
    """

    def __init__(self, pid: int, may_sleep: bool = False) -> None:
        self._folder = f"/proc/{pid}"
        self._may_sleep = may_sleep
        self._ran = b""
        self._still = self._stopped = self._looks = 0

    def look(self) -> None:
        """Take another look. Raises StandsStillError once it is known that it will not answer."""
        letter, ran = _state_of(self._folder)
        # On a core or wanting one; at a disk; or it was meanwhile.
        moves = letter in b"RD" or ran != self._ran or self._may_sleep
        self._ran = ran
        self._stopped = self._stopped + 1 if letter in b"Tt" else 0
        self._still = 0 if moves else self._still + 1
        self._looks += 1
        if self._stopped >= _STOPPED or self._still >= _STILL or self._looks >= MOST_LOOKS:
            raise StandsStillError(was_stopped=self._stopped > 0)


def _state_of(folder: str) -> tuple[bytes, bytes]:
    """Its state's letter, and how long it has run, as they stand in /proc; "S" where that cannot be read."""
    try:
        with open(f"{folder}/stat", "rb") as file:
            letter = file.read().rpartition(b")")[2].split()[0]
        with open(f"{folder}/schedstat", "rb") as file:
            return letter, file.read().split()[0]
    except (OSError, IndexError):
        return b"S", b""
