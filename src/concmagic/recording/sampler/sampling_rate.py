"""How often to sample: as fast as is useful, and never for more of a core than it is worth.

What a tick costs is measured, not assumed: the pause after it makes its CPU time the share wanted.
"""

from __future__ import annotations

import os

from concmagic.clock import process_time_ns

FASTEST_S = 0.002
SLOWEST_S = 0.1
FREE_SHARE = 0.06  # of one core, while another is free
BUSY_SHARE = 0.015  # where every core is taken, what we use is taken from the user; start and end cost more
SLOWER_AT_ROWS = 300_000  # each time so many rows are full, half as much is used
_LOOK_EVERY = 4  # ticks
_MEMORY = 0.9  # of how busy the cores were, from one tick to the next


class Budget:
    """The pauses between the ticks of one session."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.busy = 0.0
        self.tick_ns = 0.0
        self.pause_s = FASTEST_S
        self.asked_s = 0.0  # the sum of all pauses, before their jitter
        self.ticks = 0
        self.taken = False
        self.used_ns = process_time_ns()
        self.noise = os.getpid()
        self.all_cores = os.cpu_count() or 1
        try:
            self.load = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.load = -1

    def pause(self, running: int, rows: int) -> float:
        """Seconds from the beginning of this tick to that of the next."""
        used_ns = process_time_ns()
        spent, self.used_ns = used_ns - self.used_ns, used_ns
        # The ticks differ, by lists of threads and the like: the mean is what must fit.
        self.tick_ns = spent if not self.tick_ns else 0.8 * self.tick_ns + 0.2 * spent
        if self.ticks % _LOOK_EVERY == 0:
            self.taken = running >= self.cores or self.runnable() > self.all_cores
        self.ticks += 1
        self.busy = _MEMORY * self.busy + (1 - _MEMORY) * self.taken
        share = (FREE_SHARE + (BUSY_SHARE - FREE_SHARE) * self.busy) / (1 << (rows // SLOWER_AT_ROWS))
        self.pause_s = min(max(FASTEST_S, self.tick_ns / 1e9 / share), SLOWEST_S)
        self.asked_s += self.pause_s
        return self.pause_s * self.jitter()

    def forget(self) -> None:
        """Forget what ticks have cost: later ones will cost something else."""
        self.tick_ns, self.pause_s = 0.0, FASTEST_S
        self.ticks, self.asked_s = 0, 0.0

    def asked_hz(self) -> float:
        """How many samples a second were asked for; those that are missing the machine took.

        Of 500 those that were not asked for were left out to take no more than the share wanted.
        """
        return self.ticks / self.asked_s if self.asked_s else 1 / FASTEST_S

    def runnable(self) -> int:
        """How many threads of the whole machine are on a core or could be, this one too."""
        try:
            return int(os.pread(self.load, 64, 0).split()[3].partition(b"/")[0])
        except (OSError, ValueError, IndexError):
            return 0

    def jitter(self) -> float:
        """0.75 to 1.25: a steady rhythm would beat with the GIL's switch interval of 5 ms."""
        self.noise = (self.noise * 1103515245 + 12345) & 0x7FFFFFFF
        return 0.75 + self.noise / 0x7FFFFFFF / 2

    def close(self) -> None:
        """Close the file of the machine's load. Again is harmless."""
        if self.load >= 0:
            os.close(self.load)
        self.load = -1
