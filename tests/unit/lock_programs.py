"""Programs of a few threads whose order is fixed: nobody goes on before the others are where they must be."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from concmagic.problems import Problem
from concmagic.recording.locks.lock_recorder import LockRecorder
from concmagic.records.handed_over import LockLog

EXACT = sys.version_info >= (3, 12)
WAIT_S = 30  # only ever reached by a test that fails
READS_STACKS = sys.version_info < (3, 14)  # of frames: from 3.14 on they are laid out otherwise
PARKED = 2 if sys.version_info >= (3, 14) else 0  # a bit in a lock's only byte
_FUTEX = {"x86_64": "202", "aarch64": "98"}[os.uname().machine]


def until(happens: Callable[[], bool]) -> None:
    """Wait for what must happen; let the others run meanwhile."""
    limit = time.monotonic() + WAIT_S
    while not happens():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.0005)


def sleeping_on(lock: Any) -> int:
    """How many threads of this process sleep until this lock is let go, as the operating system says.

    From 3.14 on they sleep elsewhere: the lock itself tells that some do, not how many.
    """
    if PARKED:
        return (
            len(os.listdir("/proc/self/task"))
            if ctypes.c_uint8.from_address(id(lock) + 16).value & PARKED
            else 0
        )
    address = ctypes.c_ulong.from_address(id(lock) + 16).value
    found = 0
    for tid in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{tid}/syscall") as file:
                number, first, *_ = file.read().split()
        except (OSError, ValueError):
            continue
        found += number == _FUTEX and int(first, 16) == address
    return found


def until_asleep(lock: Any, threads: int = 1) -> None:
    """Wait until so many threads sleep on a lock."""
    until(lambda: sleeping_on(lock) >= threads)
    time.sleep(0.001)  # a wait must be longer than the shortest that counts


class Seen(NamedTuple):
    """One wait, with names."""

    waiter: str
    object: str
    holders: list[str]
    taken: bool
    releaser: str


class Recorded:
    """A recording of locks, and the names of the threads that ran meanwhile."""

    def __init__(self) -> None:
        self.log = LockLog()
        self.names: dict[int | None, str] = {None: ""}
        self.problems: list[Problem] = []
        self._threads: list[threading.Thread] = []

    def start(self, *functions: Callable[[], Any]) -> list[threading.Thread]:
        """Start one thread a function, by the functions' names."""
        made = [threading.Thread(target=one, name=one.__name__, daemon=True) for one in functions]
        for thread in made:
            thread.start()
            self.names[thread.native_id] = thread.name
        self._threads += made
        return made

    def run(self, *functions: Callable[[], Any]) -> None:
        """Run them to their end."""
        for thread in self.start(*functions):
            thread.join(WAIT_S)
            assert not thread.is_alive()

    def seen(self) -> list[Seen]:
        """The waits that began in a test's own code, in the order of their beginning; Thread.start's not."""
        found = []
        for one in sorted(self.log.waits, key=lambda wait: wait.start_ns):
            chain = self.log.chains[one.chain]
            if "/tests/" not in chain[-1].file or any(site.name.startswith("Thread.") for site in chain):
                continue
            if chain[-1].name.startswith("Recorded."):
                continue
            holders = [self.names[each] for each in one.holders]
            name = self.log.objects[one.object].name
            found.append(Seen(self.names[one.native_id], name, holders, one.taken, self.names[one.releaser]))
        return found

    def by(self, waiter: str) -> list[Seen]:
        """One thread's waits."""
        return [one for one in self.seen() if one.waiter == waiter]


@contextmanager
def recorded(**namespace: Any) -> Iterator[Recorded]:
    """What is known of the block's locks when it is over; `namespace` stands for the notebook's names."""
    recorder, found = LockRecorder(namespace), Recorded()
    found.names[threading.get_native_id()] = "main"
    recorder.start()
    try:
        yield found
    finally:
        found.log = recorder.stop()
        found.problems = recorder.problems


def check(found: list[Seen], *expected: Seen) -> None:
    """On 3.12 and later every wait is there, exactly; before, none is invented."""
    assert found == (list(expected) if EXACT else [])
