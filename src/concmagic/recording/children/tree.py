"""Ends the processes that an interrupted cell has started, and theirs: SIGTERM first, then SIGKILL."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from concmagic.clock import monotonic, sleep
from concmagic.recording.children.files import is_alive

GRACE_S = 0.3  # after SIGTERM
_STEP_S = 0.005


def end(roots: Callable[[], list[int]], is_growing: Callable[[], object]) -> None:
    """Let none of them live, nor what they have started; each is left for its parent to reap.

    Both are asked again and again: a thread, or a child that is not gone yet, may start another.
    """
    left = _send_to_all(roots, is_growing, signal.SIGTERM)
    if left:
        _send_to_all(lambda: left + roots(), is_growing, signal.SIGKILL)


def _send_to_all(
    roots: Callable[[], list[int]], is_growing: Callable[[], object], number: signal.Signals
) -> list[int]:
    """Send a signal once to each until all are gone, or for long enough; answers those that still run."""
    told: set[int] = set()
    limit = monotonic() + GRACE_S
    while True:
        grows = is_growing()  # asked first: one that has started since is among the roots
        new = [pid for pid in _with_descendants(roots()) if pid not in told]
        told.update(new)
        _send(new, number)
        left = [pid for pid in told if runs(pid)]
        if not (left or new or grows) or monotonic() > limit:
            return left
        sleep(_STEP_S)


def _with_descendants(pids: Iterable[int]) -> list[int]:
    found, open_ends = [], list(pids)
    while open_ends:
        pid = open_ends.pop()
        found.append(pid)
        with suppress(OSError):  # it, or a thread of it, is gone
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                open_ends += map(int, children.read_text().split())
    return found


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def runs(pid: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return not Path("/proc/self").exists() and is_alive(pid)
    return text.rpartition(b")")[2].split()[0] != b"Z"
