"""Where the CPU clock of a process went faster than the time: there two of its threads computed at once.

That a thread could go on says neither that it had a core nor the GIL. The process's clock is exact, and
any process can read it.

For the sampler's own process (`process.py`): the standard library only, and little of it.
"""

from __future__ import annotations

from concmagic.clock import clock_gettime_ns, monotonic_ns
from concmagic.recording.sampler.threads_and_gil import Rows

CLOCK = -9
PROVEN = 1.1  # times as much as one core can give: less is the inaccuracy of two readings
LATE_NS = 200_000  # a reading that took so long was interrupted


class ProcessClock:
    """The clock of one process, looked at in every tick.

    Each row is a stretch between two looks and what it used in it; the last one, which used nothing, is the
    time in which it was looked at.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.number = ~pid << 3 | 2  # as the kernel numbers such clocks, see clock_getcpuclockid(3)
        self.begun_ns = self.last_ns = self.used_ns = 0
        self.is_known = True

    def see(self, rows: Rows) -> None:
        """Look at it; where it cannot be read it is not looked at again."""
        if not self.is_known:
            return
        try:
            asked_ns, used_ns = monotonic_ns(), clock_gettime_ns(self.number)
        except OSError:
            self.is_known = False
            return
        now_ns = monotonic_ns()
        if now_ns - asked_ns > LATE_NS:
            return
        if not self.begun_ns:
            self.begun_ns = now_ns
        elif used_ns - self.used_ns > PROVEN * (now_ns - self.last_ns):
            rows.add(-self.pid, self.last_ns, now_ns, CLOCK, used_ns - self.used_ns)
        self.last_ns, self.used_ns = now_ns, used_ns

    def close(self, rows: Rows) -> None:
        """Say from when to when it was looked at. Again is harmless."""
        if self.last_ns > self.begun_ns:
            rows.add(-self.pid, self.begun_ns, self.last_ns, CLOCK, 0)
        self.begun_ns = self.last_ns = 0
        self.is_known = False
