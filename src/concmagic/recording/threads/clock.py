"""CPU clocks of single threads, read by native id, and how often the calling one was off its core.

Not by `time.pthread_getcpuclockid`: the C library reads memory of the thread there, which is gone
when the thread is, and the whole process would crash. On Linux the clock's number follows from the
native id, and the kernel answers with an error when there is no such thread. Elsewhere psutil is asked,
where its numbers of threads are the native ids (Windows, BSD; on macOS they are places in a list).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from concmagic.clock import clock_gettime_ns, thread_time_ns

_PER_THREAD_CPU_TIME = 0b110  # from the kernel's posix-timers: a thread's clock, scheduled time


def cpu_ns(native_id: int) -> int | None:
    """CPU time of a thread of this process so far; None where it cannot be told or the thread is gone."""
    if native_id == threading.get_native_id():
        return thread_time_ns()
    if sys.platform != "linux":
        return listed().get(native_id)
    try:
        return clock_gettime_ns((~native_id << 3) | _PER_THREAD_CPU_TIME)
    except OSError:
        return None


def reader() -> Callable[[int], int | None]:
    """Something like `cpu_ns` for many threads at this moment: a list is made once for all of them."""
    if sys.platform == "linux":
        return cpu_ns
    used = {**listed(), threading.get_native_id(): thread_time_ns()}
    return used.get


def listed() -> dict[int, int]:
    """CPU time by native id of all threads of this process, as psutil knows it; empty where it knows others.

    It moves in the steps of the system's clock, 10 to 16 milliseconds.
    """
    try:
        import psutil

        used = {one.id: round(1e9 * (one.user_time + one.system_time)) for one in psutil.Process().threads()}
    except Exception:  # not installed, not allowed, no list on this system
        return {}
    return used if threading.get_native_id() in used else {}


def switches() -> tuple[int, int] | None:
    """How often the calling thread was off its core by itself, and not by itself; None where not counted."""
    if sys.platform != "linux":
        return None
    import resource

    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_nvcsw, used.ru_nivcsw
