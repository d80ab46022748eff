"""Notices the very moment at which a child ends, without reaping it.

A thread of ours sleeps on the children's pidfds, and asks for the exit status with WNOWAIT: the
user's own `join`, `waitpid` or `os.wait` still gets it. Where there are no pidfds (not Linux),
ends are known from multiprocessing's own polls only.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable

from concmagic import sentences
from concmagic.clock import monotonic_ns
from concmagic.recording import quiet
from concmagic.recording.ours import FAREWELL_S, OwnThread

Ended = Callable[[int, int | None, int | None], None]  # pid, exit code, when


class Watcher:
    """Calls `ended` for each watched child, from a thread of ours."""

    def __init__(self, ended: Ended) -> None:
        self._ended = ended
        self._pids: dict[int, int] = {}  # pidfd → pid
        self._epoll: select.epoll | None = None
        self._stop_read = self._stop_write = -1
        self._thread = OwnThread(self._run)
        self._cannot = sys.platform != "linux"

    def watch(self, pid: int) -> None:
        """Notice the end of this process, a child of ours or not.

        Raises nothing: who calls is the user's thread, and the child lives. Where no thread or descriptor
        is to be had, that is kept for `quiet.problems`, and ends are known from multiprocessing's polls.
        """
        if self._cannot or (self._epoll is None and not self._begin()):
            return
        try:
            file = os.pidfd_open(pid)
        except OSError:
            return  # gone already, no descriptor to be had, or a kernel before 5.3
        self._pids[file] = pid
        assert self._epoll is not None
        self._epoll.register(file, select.EPOLLIN)

    def _begin(self) -> bool:
        try:
            self._epoll = select.epoll()
            self._stop_read, self._stop_write = os.pipe()
            self._epoll.register(self._stop_read, select.EPOLLIN)
            self._thread.start()
        except (OSError, RuntimeError, MemoryError) as error:
            self._cannot = True
            if self._epoll is not None:
                self._close()
            quiet.note_loss(sentences.ends_not_watched(error))
            return False
        return True

    def _run(self) -> None:
        epoll = self._epoll
        while epoll is not None and self._look(epoll):
            pass

    def _look(self, epoll: select.epoll) -> bool:
        for file, _ in epoll.poll():
            if file == self._stop_read:
                return False
            at_ns = monotonic_ns()
            pid = self._pids.pop(file)
            epoll.unregister(file)
            os.close(file)
            self._ended(pid, exit_code_of(pid), at_ns)
        return True

    def stop(self) -> None:
        """Watch no longer. A thread that does not come to an end keeps the descriptors to itself."""
        if self._epoll is None:
            return
        os.write(self._stop_write, b"x")
        if self._thread.join(FAREWELL_S):
            self._close()
        self._epoll = None

    def forget_after_fork(self) -> None:
        """In a forked child: close what it inherited. The thread was not."""
        if self._epoll is not None:
            self._close()

    def _close(self) -> None:
        assert self._epoll is not None
        self._epoll.close()
        for file in {*self._pids, self._stop_read, self._stop_write} - {-1}:
            os.close(file)
        self._pids.clear()
        self._stop_read = self._stop_write = -1
        self._epoll = None


def exit_code_of(pid: int) -> int | None:
    """The exit code of a child that has ended and was not reaped; negative: a signal; else None."""
    try:
        result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None  # reaped already, or no child of this process
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
