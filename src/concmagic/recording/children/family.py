"""The children of one process, as it knows them itself: asked for, started, ended.

Nothing here needs the child's help, so a child that was killed has its start, end and exit code.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from concmagic.recording.children.watch import exit_code_of
from concmagic.recording.raw import Origin


@dataclass(slots=True)
class Child:
    """One child; times are monotonic nanoseconds. It goes to the parent's file as it is."""

    name: str
    start_method: str
    origin: Origin
    group: str
    parent_pid: int
    started_ns: int
    starter: int
    pid: int = 0  # 0: it never came to life
    ended_ns: int | None = None
    exit_code: int | None = None
    is_earlier: bool = False  # it was there before the cell
    is_bare: bool = False  # by os.fork, not by multiprocessing
    is_deaf: bool = False  # interrupts wait until it has started
    is_ending: bool = False  # a signal was sent to it
    signal_sent: int = 0  # which, by the cell or by its pool
    born_ns: int | None = None  # it had a pid
    sent_bytes: int = 0  # what was pickled to start it, and how long that took
    sent_ns: int = 0
    inherited: dict[str, tuple[int, int]] | None = field(default=None, repr=False)  # by fork


class Family:
    """All children that this process has started since `start`."""

    def __init__(self) -> None:
        self.on_born: Callable[[int], object] = _nobody_asks
        self.children: list[Child] = []
        self._by_pid: dict[int, Child] = {}
        self._local = threading.local()

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
            name, start_method, origin, group, os.getpid(), time.monotonic_ns(), threading.get_native_id()
        )
        outer = self.coming
        self._local.coming = child
        try:
            yield child
        finally:
            self._local.coming = outer

    def born(self, child: Child, pid: int) -> None:
        """It has a pid now."""
        if child.pid == pid:
            return
        child.pid, child.born_ns = pid, time.monotonic_ns()
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
            child.ended_ns = at_ns or time.monotonic_ns()
        if child.exit_code is None:
            child.exit_code = exit_code

    def ended_if_gone(self, child: Child) -> None:
        """Look once more at one that nobody has seen ending."""
        code = exit_code_of(child.pid)
        if code is not None:
            self.ended(child.pid, code)

    def living(self) -> list[Child]:
        """Those that have not ended, as far as is known."""
        return [child for child in self.children if child.ended_ns is None]


def _nobody_asks(pid: int) -> None:
    """Where no sampler runs, nobody needs to hear of a new child at once."""
