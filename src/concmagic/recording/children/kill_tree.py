"""Ends the processes that an interrupted cell has started, and theirs: SIGTERM first, then SIGKILL.

Each is known by a pidfd from when it is first seen: one that has ended meanwhile, and was reaped by the
cell's own code, has given its number away, and who has it now must not be hit.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from pathlib import Path

from concmagic.clock import monotonic, sleep
from concmagic.pipes import Owned
from concmagic.recording.children.handover_files import is_alive

GRACE_S = 0.3  # after SIGTERM
_STEP_S = 0.005


def end(
    roots: Callable[[], list[int]], is_growing: Callable[[], object], spared: Container[int] = ()
) -> None:
    """Let none of them live, nor what they have started; each is left for its parent to reap.

    Those that are spared live, and so does what they have started.

    Both are asked again and again: a thread, or a child that is not gone yet, may start another.
    """
    known: dict[int, _Process] = {}
    try:
        left = _send_to_all(known, roots, is_growing, signal.SIGTERM, spared)
        if left:
            _send_to_all(known, lambda: left + roots(), is_growing, signal.SIGKILL, spared)
    finally:
        for process in known.values():
            process.forget()


def _send_to_all(
    known: dict[int, _Process],
    roots: Callable[[], list[int]],
    is_growing: Callable[[], object],
    number: signal.Signals,
    spared: Container[int],
) -> list[int]:
    """Send a signal once to each until all are gone, or for long enough; answers those that still run."""
    told: set[int] = set()
    limit = monotonic() + GRACE_S
    while True:
        grows = is_growing()  # asked first: one that has started since is among the roots
        new = [pid for pid in _with_descendants(roots(), known, spared) if pid not in told]
        told.update(new)
        for pid in new:
            known.setdefault(pid, _Process(pid)).send(number)
        left = [pid for pid in told if known[pid].runs()]
        if not (left or new or grows) or monotonic() > limit:
            return left
        sleep(_STEP_S)


def _with_descendants(pids: Iterable[int], known: dict[int, _Process], spared: Container[int]) -> list[int]:
    """Those, and what they have started; what has the number now of one that has ended is none of them."""
    found, open_ends = [], list(pids)
    while open_ends:
        pid = open_ends.pop()
        if pid in spared or (pid in known and not known[pid].runs()):
            continue
        found.append(pid)
        with suppress(OSError):  # it, or a thread of it, is gone
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                open_ends += map(int, children.read_text().split())
    return found


class _Process:
    """One that was just seen to be there: a child that nobody has reaped, or one that its parent lists."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._end: Owned | None = None
        self._is_gone = False
        try:
            self._end = Owned(os.pidfd_open(pid))
        except ProcessLookupError:
            self._is_gone = True
        except (OSError, AttributeError):  # before Linux 5.3, not Linux, or no descriptor is to be had
            pass

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing to one that has ended."""
        with suppress(ProcessLookupError, PermissionError):
            if self._end is not None:
                signal.pidfd_send_signal(self._end.number, number)
            elif not self._is_gone:
                os.kill(self._pid, number)

    def runs(self) -> bool:
        """Whether it is there and no zombie."""
        if self._end is None:
            return not self._is_gone and runs(self._pid)
        poll = select.poll()
        poll.register(self._end.number, select.POLLIN)
        return not poll.poll(0)

    def forget(self) -> None:
        if self._end is not None:
            self._end.close()


def runs(pid: int) -> bool:
    """Whether it is there and no zombie; whoever has that number now."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return not Path("/proc/self").exists() and is_alive(pid)
    return text.rpartition(b")")[2].split()[0] != b"Z"
