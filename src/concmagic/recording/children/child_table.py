"""The children of one process, as it knows them itself: asked for, started, ended.

Nothing here needs the child's help, so a child that was killed has its start, end and exit code. The very
moment at which it ends is noticed without reaping it: a thread of ours sleeps on the children's pidfds, and
asks for the exit status with WNOWAIT; the user's own `join`, `waitpid` or `os.wait` still gets it. Where
there are no pidfds (not Linux), ends are known from multiprocessing's own polls only.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from typing import TYPE_CHECKING

from concmagic.clock import LOOK_S, monotonic_ns
from concmagic.interpreter import process_internals
from concmagic.pipes import Owned, pipe
from concmagic.problems import Problem
from concmagic.recording import guards
from concmagic.recording.children.handover_files import is_alive
from concmagic.recording.own_threads import FAREWELL_S, OwnThread

if TYPE_CHECKING:
    from concmagic.records.handed_over import Origin

Ended = Callable[[int, int | None, int | None], None]  # pid, exit code, when

_lost: list[select.epoll] = []  # somebody else has closed them: freed, they would close another's file


class Child:
    """One child; times are monotonic nanoseconds. It goes to the parent's file as it is.

    No dataclass: to make one takes a child that starts a millisecond, and their module five.
    """

    def __init__(
        self,
        name: str,
        start_method: str,
        origin: Origin,
        group: str,
        parent_pid: int,
        started_ns: int,
        starter: int,
        pid: int = 0,
        is_earlier: bool = False,
    ) -> None:
        self.name, self.start_method = name, start_method
        self.origin: Origin = origin
        self.group = group
        self.parent_pid, self.starter = parent_pid, starter
        self.pid = pid  # 0: it never came to life
        self.is_earlier = is_earlier  # it was there before the cell
        self.is_bare = False  # by os.fork, not by multiprocessing
        self.is_deaf = False  # interrupts wait until it has started
        self.is_ending = False  # a signal was sent to it
        self.signal_sent = 0  # which, by the cell or by its pool
        self.is_refused = False  # there is no such program, or it may not be run
        self.is_interrupted = False  # the cell was, and so it was ended
        self.is_nobodys = False  # an interrupt came as it was started, so that nobody will reap it
        self.started_ns = started_ns
        self.born_ns: int | None = None  # it had a pid
        self.ended_ns: int | None = None
        self.exit_code: int | None = None
        self.cpu_ns: int | None = None  # of one that told nothing itself: what it computed in the cell
        self.sent_bytes = 0  # what was pickled to start it, and how long that took
        self.sent_ns = 0
        self.earlier = 0  # children of this parent that were started before it
        self.joins: list[tuple[int, int, int]] = []  # which threads saw its end: from when, until when
        self.inherited: dict[str, tuple[int, int]] | None = None  # by fork

    def as_told(self) -> Child:
        """A copy for another process: without what this one inherited by fork."""
        told = copy(self)
        told.inherited = None
        return told


class Family:
    """All children that this process has started since `start`."""

    def __init__(self) -> None:
        self.on_born: Callable[[int], object] = lambda pid: None  # a sampler is told at once
        self.children: list[Child] = []
        self._by_pid: dict[int, Child] = {}
        self._local = threading.local()
        self.starting: set[Child] = set()  # asked for, without a pid yet

    @property
    def coming(self) -> Child | None:
        """The child that this thread is starting just now."""
        return getattr(self._local, "coming", None)

    @contextmanager
    def expect(
        self, name: str, start_method: str, origin: Origin = "user", group: str = ""
    ) -> Iterator[Child]:
        """A `with` block in which whatever process this thread starts is this child."""
        child = Child(
            name, start_method, origin, group, os.getpid(), monotonic_ns(), threading.get_native_id()
        )
        child.earlier = len(self.children)
        outer = self.coming
        self._local.coming = child
        self.starting.add(child)
        try:
            yield child
        finally:
            self.starting.discard(child)
            self._local.coming = outer

    def born(self, child: Child, pid: int) -> None:
        """Note the pid of a child that has come to life."""
        if child.pid == pid:
            return
        child.pid, child.born_ns = pid, monotonic_ns()
        self._by_pid[pid] = child
        self.children.append(child)
        self.on_born(pid)

    def find(self, pid: int) -> Child | None:
        """The latest child that had this pid."""
        return self._by_pid.get(pid)

    def ended(self, pid: int, exit_code: int | None, at_ns: int | None = None) -> None:
        """Note a child's end: the first note tells when it was; the exit code may come with a later one."""
        child = self._by_pid.get(pid)
        if child is None:
            return
        if child.ended_ns is None:
            child.ended_ns = at_ns or monotonic_ns()
        if child.exit_code is None:
            child.exit_code = exit_code

    def ended_if_gone(self, child: Child) -> None:
        """Look once more at one that nobody has seen ending."""
        code = exit_code_of(child.pid)
        if code is not None or not is_alive(child.pid):  # in the second case it was reaped unseen
            self.ended(child.pid, code)

    def left_to_nobody(self, since: int) -> None:
        """Note that what this thread started after the first `since` children never reached the user."""
        for child in self.children[since:]:
            if child.starter == threading.get_native_id() and child.origin != "machinery":
                child.is_nobodys = True

    def reap_interrupted(self) -> None:
        """Reap those that were ended with the cell: nobody else may be going to.

        Each is a zombie until then: multiprocessing reaps what it knows when it starts the next, maybe never.
        """
        for process in process_internals.living_children():
            child = self.find(process.pid)
            if child is not None and child.is_interrupted:
                process.is_alive()
        for child in self.children:
            if child.is_nobodys and exit_code_of(child.pid) is not None:
                self.ended_if_gone(child)
                with suppress(ChildProcessError):  # somebody waits for all children
                    os.waitpid(child.pid, os.WNOHANG)

    def living(self) -> list[Child]:
        """Those that have not ended, as far as is known."""
        return [child for child in self.children if child.ended_ns is None]


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
