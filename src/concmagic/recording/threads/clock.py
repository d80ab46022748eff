"""CPU clocks of single threads, read by native id, and how often the calling one was off its core.

Not by `time.pthread_getcpuclockid`: the C library reads memory of the thread there, which is gone
when the thread is, and the whole process would crash. On Linux the clock's number follows from the
native id, and the kernel answers with an error when there is no such thread.
"""

from __future__ import annotations

import sys
import threading
import time

_PER_THREAD_CPU_TIME = 0b110  # from the kernel's posix-timers: a thread's clock, scheduled time


def cpu_ns(native_id: int) -> int | None:
    """CPU time of a thread of this process so far; None where it cannot be told or the thread is gone."""
    if native_id == threading.get_native_id():
        return time.thread_time_ns()
    if sys.platform != "linux":
        return None
    try:
        return time.clock_gettime_ns((~native_id << 3) | _PER_THREAD_CPU_TIME)
    except OSError:
        return None


def switches() -> tuple[int, int] | None:
    """How often the calling thread was off its core by itself, and not by itself; None where not counted."""
    if sys.platform != "linux":
        return None
    import resource

    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_nvcsw, used.ru_nivcsw
