"""Ends the processes that an interrupted cell has started, and theirs: SIGTERM first, then SIGKILL."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from concmagic.recording.children.files import is_alive

GRACE_S = 0.3  # after SIGTERM
_STEP_S = 0.005


def end(pids: Iterable[int]) -> None:
    """Let none of them live, nor what they have started; each is left for its parent to reap."""
    everyone = _with_descendants(pids)
    _send(everyone, signal.SIGTERM)
    limit = time.monotonic() + GRACE_S
    while any(map(runs, everyone)) and time.monotonic() < limit:
        time.sleep(_STEP_S)
    left = [pid for pid in everyone if runs(pid)]
    _send(left, signal.SIGKILL)
    limit = time.monotonic() + GRACE_S
    while any(map(runs, left)) and time.monotonic() < limit:
        time.sleep(_STEP_S)


def _with_descendants(pids: Iterable[int]) -> list[int]:
    found, open_ends = [], list(pids)
    while open_ends:
        pid = open_ends.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):
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
