"""Ends of pipes and sockets that are ours, in a process that is the user's.

To write where nobody reads is an error here and never a signal: SIGPIPE at its default, which many scripts
set, would end the kernel. And a number is a descriptor of ours only for as long as nobody has closed it:
code that closes what it did not open (`os.closerange`, as daemons do) gives our number to a file of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGPIPE: Any = getattr(signal, "SIGPIPE", None)  # Windows has neither it nor masks
_HIGH = 200
_CAN_BLOCK = _SIGPIPE is not None and hasattr(signal, "pthread_sigmask")


@contextmanager
def no_sigpipe() -> Iterator[None]:
    """Let no write in this block, of this thread, raise SIGPIPE; what it raises instead is BrokenPipeError.

    The signal goes to the thread that writes. So it is kept from this thread, and one that has come is taken
    away before others are let in again. One that was there before is not ours, and stays.
    """
    if not _CAN_BLOCK:
        yield
        return
    kept_before = _SIGPIPE in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    waited_before = kept_before and _SIGPIPE in signal.sigpending()
    try:  # an interrupt may be raised by each call from here on, after it did its work
        signal.pthread_sigmask(signal.SIG_BLOCK, {_SIGPIPE})
        yield
    finally:
        try:
            if not waited_before:
                _take_away()
        finally:
            if not kept_before:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {_SIGPIPE})


def _take_away() -> None:
    if _SIGPIPE not in signal.sigpending():
        return
    if hasattr(signal, "sigtimedwait"):
        signal.sigtimedwait({_SIGPIPE}, 0)
    else:  # macOS
        signal.sigwait({_SIGPIPE})


def write(number: int, data: bytes | memoryview) -> int:
    """Write to a pipe, FIFO or socket of ours. Raises OSError, BrokenPipeError where nobody reads."""
    with no_sigpipe():
        return os.write(number, data)


def pipe() -> tuple[Owned, Owned]:
    """A pipe of ours, with high numbers where there are any: its read end and its write end.

    The lowest number that is free is given out first. So where others have closed ours, and C code that was
    told the number goes on writing there, it is no file of theirs.
    """
    return tuple(Owned(_high(number)) for number in os.pipe())  # type: ignore[return-value]


def _high(number: int) -> int:
    try:
        from fcntl import F_DUPFD_CLOEXEC, fcntl

        high = fcntl(number, F_DUPFD_CLOEXEC, _HIGH)
    except (ImportError, OSError):  # Windows; a low limit, or all are taken
        return number
    os.close(number)
    return high


class Owned:
    """A descriptor that we opened, and which file it was then.

    What shares one inode with all of its kind (epoll, pidfds before Linux 6.9) is told from files, pipes and
    sockets, not from its like.
    """

    __slots__ = ("_file", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self._file = _file_of(number)

    @property
    def is_ours(self) -> bool:
        """Whether the number still means what it did. Between the answer and its use it may change."""
        return self.number >= 0 and self._file is not None and _file_of(self.number) == self._file

    def write(self, data: bytes | memoryview) -> int:
        """Write to it as `write` does; a file of somebody else's is not written to."""
        if not self.is_ours:
            raise OSError("somebody else has closed this descriptor")
        return write(self.number, data)

    def close(self) -> None:
        """Close it, once, unless somebody else has: then the number may be theirs."""
        if self.is_ours:
            os.close(self.number)
        self.number = -1


def _file_of(number: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return found.st_dev, found.st_ino
