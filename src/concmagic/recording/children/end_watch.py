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

from concmagic.bounded import LOOK_S
from concmagic.clock import monotonic_ns
from concmagic.pipes import Owned, pipe
from concmagic.problems import Problem
from concmagic.recording import guards
from concmagic.recording.own_threads import FAREWELL_S, OwnThread

Ended = Callable[[int, int | None, int | None], None]  # pid, exit code, when

_lost: list[select.epoll] = []  # somebody else has closed them: freed, they would close another's file


class Watcher:
    """Calls `ended` for each watched child, from a thread of ours."""

    def __init__(self, ended: Ended) -> None:
        self._ended = ended
        self._children: dict[int, tuple[int, Owned]] = {}  # a pidfd's number → pid, pidfd
        self._epoll: select.epoll | None = None
        self._own: list[Owned] = []  # the epoll's descriptor, and both ends of the pipe that ends the thread
        self._thread = OwnThread(self._run)
        self._cannot = sys.platform != "linux"

    def watch(self, pid: int) -> None:
        """Notice the end of this process, a child of ours or not.

        Its number is its own: nobody has had the time to reap it, or it is too late and nothing is watched.
        Raises nothing: who calls is the user's thread, and the child lives. Where no thread or descriptor
        is to be had, `guards.problems` keeps that, and multiprocessing's polls tell the ends.
        """
        if self._cannot or (self._epoll is None and not self._begin()):
            return
        try:
            end = Owned(os.pidfd_open(pid))
        except OSError:
            return  # gone already, no descriptor to be had, or a kernel before 5.3
        self._children[end.number] = pid, end
        try:
            if self._epoll is not None and self._own[0].is_ours:
                self._epoll.register(end.number, select.EPOLLIN)
        except (OSError, ValueError) as error:  # it was closed by another thread, or there is no memory
            guards.note_loss(Problem.of("ends_not_watched", error))

    def _begin(self) -> bool:
        try:
            self._epoll = select.epoll()
            self._own = [Owned(self._epoll.fileno())]
            self._own += pipe()
            self._epoll.register(self._own[1].number, select.EPOLLIN)
            self._thread.start()
        except (OSError, RuntimeError, MemoryError) as error:
            self._cannot = True
            if self._epoll is not None:
                self._close()
            guards.note_loss(Problem.of("ends_not_watched", error))
            return False
        return True

    def _run(self) -> None:
        epoll, own = self._epoll, self._own
        try:
            while epoll is not None and own[0].is_ours and self._look(epoll, own[1].number):
                pass
        except Exception as error:  # raised, it would be printed into the cell
            guards.note_loss(Problem.of("ends_not_watched", error))

    def _look(self, epoll: select.epoll, stop: int) -> bool:
        for number, _ in epoll.poll(LOOK_S):  # where others have closed it, nothing would end a longer one
            if number == stop:
                return False
            at_ns = monotonic_ns()
            pid, end = self._children.pop(number)
            if end.is_ours:
                epoll.unregister(number)
                code = exit_code_of(pid, end.number)
                end.close()
                self._ended(pid, code, at_ns)
        return True

    def stop(self) -> None:
        """Watch no longer. A thread that does not come to an end keeps the descriptors to itself."""
        if self._epoll is None:
            return
        try:
            self._own[2].write(b"x")
        except OSError:
            pass  # others have closed it: the thread sees that at its next look
        if self._thread.join(FAREWELL_S):
            self._close()
        self._epoll = None

    def forget_after_fork(self) -> None:
        """In a forked child: close what it inherited, which are copies. The thread was not."""
        if self._epoll is not None:
            self._close()

    def _close(self) -> None:
        assert self._epoll is not None
        if self._own and self._own[0].is_ours:
            self._epoll.close()
        else:
            _lost.append(self._epoll)
        for end in (*self._own[1:], *(end for _, end in self._children.values())):
            end.close()
        self._children.clear()
        self._own = []
        self._epoll = None


def exit_code_of(pid: int, pidfd: int | None = None) -> int | None:
    """The exit code of a child that has ended and was not reaped; negative: a signal; else None.

    By its pidfd if there is one: once it was reaped, its number may be another child's.
    """
    kind, whom = (os.P_PID, pid) if pidfd is None else (os.P_PIDFD, pidfd)
    try:
        result = os.waitid(kind, whom, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:
        return None  # reaped already, or no child of this process
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
