"""Removes the folders that killed kernels have left behind; one that a living process uses stays.

A folder is named after its kernel's pid and the moment at which it was made, a child's file after the child's
pid and its begin: a process that has the number but began later is another one. A child is also found by the
FIFO that it holds open, whatever its number is here (a container's processes have others).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from concmagic.clock import builtin_time, monotonic_ns
from concmagic.recording.children.handover_files import ASK, PREFIX, SUFFIX, is_alive

_ENDED = ("Z", "X")  # states of a process that has ended, and whose parent has not asked for its exit code


def remove() -> None:
    """Remove what nobody uses any more; what cannot be removed now is looked at the next time."""
    with suppress(OSError):
        for folder in _folders():
            with suppress(OSError):  # somebody else was quicker
                if not _is_used(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def _folders() -> Iterator[Path]:
    """Those of this user, links left out."""
    user = os.getuid() if hasattr(os, "getuid") else None
    with os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    if user in (None, entry.stat(follow_symlinks=False).st_uid):
                        yield Path(entry.path)


def _is_used(folder: Path) -> bool:
    if _runs_since(folder.name.removeprefix(PREFIX)):
        return True
    return any(
        _has_listener(path) if path.suffix == ASK else path.suffix == SUFFIX and _runs_since(path.stem)
        for path in folder.iterdir()
    )


def _has_listener(path: Path) -> bool:
    """Whether a process holds this FIFO open."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _runs_since(name: str) -> bool:
    """Whether the process of "pid-moment-…" runs, and is not another one that got its number later."""
    pid, _, rest = name.partition("-")
    if not pid.isdecimal() or not is_alive(int(pid)):
        return False
    moment = rest.partition("-")[0]
    state, began_ns = _told_of(int(pid))
    if state in _ENDED:
        return False
    return not moment.isdecimal() or began_ns is None or began_ns <= int(moment)


def _told_of(pid: int) -> tuple[str, int | None]:
    """The state of a process, and when it began: on the monotonic clock, which stands while the machine
    sleeps, so then it is too early. "" and None where the system does not tell.
    """
    if sys.platform != "linux":
        return "", None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        state, ticks = fields[0], int(fields[19])  # the third and the 22nd of all; since the machine's start
    except (OSError, ValueError, IndexError):
        return "", None
    asleep_ns: int = builtin_time.clock_gettime_ns(builtin_time.CLOCK_BOOTTIME) - monotonic_ns()
    return state, ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK") - asleep_ns
