"""The children of one process, as it knows them itself: asked for, started, ended.

Nothing here needs the child's help, so a child that was killed has its start, end and exit code.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from typing import TYPE_CHECKING

from concmagic.clock import monotonic_ns
from concmagic.interpreter import process_start
from concmagic.recording.children.end_watch import exit_code_of
from concmagic.recording.children.handover_files import is_alive

if TYPE_CHECKING:
    from concmagic.records.handed_over import Origin


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
        self.is_interrupted = False  # the cell was, and so it was ended
        self.is_nobodys = False  # an interrupt came as it was started, so that nobody will reap it
        self.started_ns = started_ns
        self.born_ns: int | None = None  # it had a pid
        self.ended_ns: int | None = None
        self.exit_code: int | None = None
        self.sent_bytes = 0  # what was pickled to start it, and how long that took
        self.sent_ns = 0
        self.earlier = 0  # children of this parent that were started before it
        self.joins: list[tuple[int, int, int]] = []  # which threads saw its end: from when, until when
        self.inherited: dict[str, tuple[int, int]] | None = None  # by fork

    def as_told(self) -> Child:
        """The same for another process, which has inherited other things."""
        told = copy(self)
        told.inherited = None
        return told


class Family:
    """All children that this process has started since `start`."""

    def __init__(self) -> None:
        self.on_born: Callable[[int], object] = _nobody_asks
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
        """Whatever this thread starts inside is that child."""
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
        """It has a pid now."""
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
        """It is gone; whoever notices first knows best when, and any may know the code."""
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
        """What this thread has started after the first `since` children was never handed to its starter."""
        for child in self.children[since:]:
            if child.starter == threading.get_native_id() and child.origin != "machinery":
                child.is_nobodys = True

    def reap_interrupted(self) -> None:
        """Reap those that were ended with the cell: nobody else may be going to.

        Each is a zombie until then: multiprocessing reaps what it knows when it starts the next, maybe never.
        """
        for process in process_start.living_children():
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


def _nobody_asks(pid: int) -> None:
    """Where no sampler runs, nobody needs to hear of a new child at once."""
