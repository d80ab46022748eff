"""What this process may use, and what it has used: cores and CPU time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from concmagic.clock import process_time_ns, thread_time_ns

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def usable_cores() -> int:
    """Number of cores this process may use: affinity, then the cgroup's quota, rounded up."""
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _cgroup_quota()
    if quota is None:
        return cores
    return max(1, min(cores, -int(-quota // 1)))


def _cgroup_quota() -> float | None:
    """Cores that the control group grants, or None where it sets no limit."""
    try:
        quota, period = _CGROUP_V2.read_text().split()
    except (OSError, ValueError):
        try:
            quota = (_CGROUP_V1 / "cpu.cfs_quota_us").read_text().strip()
            period = (_CGROUP_V1 / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)


def kernel_threads_cpu_ns() -> int:
    """CPU time so far of native threads that carry the kernel's messages (ZeroMQ's): no work of a cell."""
    total = 0
    for task in _own_tasks():
        try:
            if (task / "comm").read_text().startswith("ZMQbg"):
                total += int((task / "schedstat").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            continue
    return total


def _own_tasks() -> list[Path]:
    try:
        return list(Path("/proc/self/task").iterdir())
    except OSError:
        return []


class CpuClocks(NamedTuple):
    """CPU times in nanoseconds, read at one moment."""

    process: int
    reaped: int  # of its children that were waited for
    caller: int  # of the thread that asks


def cpu_clocks() -> CpuClocks:
    """The CPU clocks of this process, of its reaped children and of the calling thread, now."""
    times = os.times()
    reaped = int((times.children_user + times.children_system) * 1e9)
    return CpuClocks(process_time_ns(), reaped, thread_time_ns())
