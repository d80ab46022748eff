"""Cores and CPU time: what this process may use, and what it and a cell's processes have used."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from concmagic.clock import process_time_ns, thread_time_ns

if TYPE_CHECKING:
    from concmagic.records.handed_over import ThreadRecord
    from concmagic.records.recording import ProcessRecord


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
    for task in Path("/proc/self/task").glob("*"):
        try:
            if (task / "comm").read_text().startswith("ZMQbg"):
                total += int((task / "schedstat").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            continue
    return total


class CpuClocks(NamedTuple):
    """CPU times in nanoseconds, read at one moment."""

    process: int
    reaped: int  # of its children that were waited for
    caller: int  # of the thread that asks


class Edge(NamedTuple):
    """Where something begins or ends, and what the CPU clocks show there."""

    at_ns: int
    clocks: CpuClocks | None


def cpu_clocks() -> CpuClocks:
    """The CPU clocks of this process, of its reaped children and of the calling thread, now."""
    times = os.times()
    reaped = int((times.children_user + times.children_system) * 1e9)
    return CpuClocks(process_time_ns(), reaped, thread_time_ns())


def cell_cpu_ns(
    before: CpuClocks | None, after: CpuClocks | None, children: tuple[ProcessRecord, ...]
) -> int:
    """CPU time of the cell, its children included; 0 is unknown."""
    if before is None or after is None:
        return 0
    return after.process - before.process + _children_cpu_ns(children, after.reaped - before.reaped)


def by_its_clock(
    threads: Sequence[ThreadRecord], edges: tuple[tuple[int, int], tuple[int, int]], beside_ns: int
) -> tuple[ThreadRecord, ...]:
    """The threads, the one that ran the cell with its CPU time of the cell alone.

    It also starts and stops the recorders: its own first and last readings lie outside the cell. `edges`
    are those of the cell's begin and end, each a moment and its CPU clock.
    """
    (begin_ns, before), (end_ns, after) = edges
    caller = threading.get_native_id()
    return tuple(
        one
        if one.native_id != caller
        else replace(
            one,
            cpu_ns=max(after - before - beside_ns, 0),
            cpu_by_moment=(
                edges[0],
                *(reading for reading in one.cpu_by_moment if begin_ns < reading[0] < end_ns),
                edges[1],
            ),
        )
        for one in threads
    )


def _children_cpu_ns(children: tuple[ProcessRecord, ...], reaped_ns: int) -> int:
    """What the children told of themselves; those that told nothing count once they were waited for."""
    told = [child.cpu_ns for child in children if child.cpu_ns is not None]
    return sum(told) if len(told) == len(children) else max(sum(told), reaped_ns)
