"""What a kernel that does not answer is doing, and its children: read before it is ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil

# In the kernel, before its first cell: it writes its threads' stacks when asked, and as it dies.
TELLING = (
    "import faulthandler, signal\n"
    "faulthandler.enable(2)\nfaulthandler.register(signal.SIGUSR1, 2, all_threads=True)"
)
_MOST = 20_000  # characters
_WRITES_S = 5.0
_TOLD = ("State", "PPid", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")


def told(pid: int, log: Path) -> str:
    """Each process below `pid` with its state, its pending signals and its stacks."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error as error:
        return repr(error)
    lines = [line for one in family for line in _of_one(one.pid)]
    before = log.stat().st_size
    for one in family:
        if _writes_stacks(one.pid):
            os.kill(one.pid, signal.SIGUSR1)
    _until_written(log, before)
    with log.open("rb") as file:
        file.seek(before)
        lines.append(file.read().decode(errors="replace")[:_MOST])
    return "\n".join(lines)


def _of_one(pid: int) -> list[str]:
    lines = []
    try:
        lines.append(f"{pid} " + Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:200])
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(
                ("State", "PPid", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")
            ):
                lines.append("    " + line)
    except OSError:
        lines.append(f"{pid} is gone")
    return lines


def _writes_stacks(pid: int) -> bool:
    """Whether the signal is caught there: another process would be ended by it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGUSR1 - 1) & 1)


def _until_written(log: Path, before: int) -> None:
    """Stacks are written by the processes themselves, in no order that could be waited for."""
    until, size = time.monotonic() + _WRITES_S, before
    while time.monotonic() < until:
        time.sleep(0.5)
        grown = log.stat().st_size
        if grown == size and size > before:
            return
        size = grown
