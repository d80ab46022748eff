"""What is left over is ended or removed: processes of an interrupted cell, folders of killed kernels.

Processes get SIGTERM first, then SIGKILL. Each is known by a pidfd from when it is first seen: one that has
ended meanwhile, and was reaped by the cell's own code, has given its number away, and who has it now must not
be hit.

A folder that a living process uses stays. It is named after its kernel's pid and the moment at which it was
made, a child's file after the child's pid and its begin: a process that has the number but began later is
another one. A child is also found by the FIFO that it holds open, whatever its number is here (a container's
processes have others).
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from concmagic.clock import builtin_time, monotonic, monotonic_ns, sleep
from concmagic.pipes import Owned
from concmagic.recording.children.handover_files import ASK, PREFIX, SUFFIX, is_alive

GRACE_S = 0.3  # after SIGTERM
_STEP_S = 0.005
_ENDED = (b"Z", b"X")  # states of a process that has ended, and whose parent has not asked for its exit code


def end_processes(
    roots: Callable[[], list[int]], is_growing: Callable[[], object], spared: Container[int] = ()
) -> None:
    """End these processes and all that they have started; each is left for its parent to reap.

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
    if fields := stat_of(pid):
        return fields[0] not in _ENDED
    return not Path("/proc/self").exists() and is_alive(pid)


def stat_of(pid: int) -> list[bytes]:
    """What /proc tells of a process, from its state on; nothing if it is gone, or where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def remove_folders() -> None:
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
    fields = stat_of(int(pid))
    if fields and fields[0] in _ENDED:
        return False
    moment, began_ns = rest.partition("-")[0], _began_ns(fields)
    return not moment.isdecimal() or began_ns is None or began_ns <= int(moment)


def _began_ns(fields: list[bytes]) -> int | None:
    """When a process began: on the monotonic clock, which stands while the machine sleeps, so then it is too
    early. None where the system does not tell.
    """
    if sys.platform != "linux" or not fields:
        return None
    asleep_ns: int = builtin_time.clock_gettime_ns(builtin_time.CLOCK_BOOTTIME) - monotonic_ns()
    ticks = int(fields[19])  # the 22nd of all; since the machine's start
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK") - asleep_ns
