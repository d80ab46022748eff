"""Who holds a process's GIL, read from its memory. For the sampler's own process: little of the library."""

from __future__ import annotations

import os
import struct

from concmagic.recording.sampler.process_view import Gil, Process
from concmagic.recording.sampler.sampled_thread import Rows, Thread

HOLDER = -7
FREE, UNTOLD = 0, -1
_GIL = struct.Struct("=QiiQ")  # the last holder's thread state, whether it is held, padding, hand-overs
_WORD = struct.Struct("=Q")
_HIGHEST_TID = 1 << 22


class Holder:
    """The stretches in which one thread held the GIL of one process."""

    def __init__(self, process: Process, gil: Gil) -> None:
        self.process = process
        self.holder_at, self.native_at = gil[2], gil[3]
        self.stretches = Thread(-process.pid, -1)
        self.memory = -1
        self.known: dict[int, int] = {}  # thread states' native ids, for as long as no thread is new
        self.changes = 0
        self.switches: int | None = None
        self.first_switches: int | None = None

    def see(self, now_ns: int, rows: Rows) -> None:
        """Take a sample in; what cannot be read costs itself only."""
        if not self.holder_at or not self.process.gil_start or self.process.mode != "syscall":
            return
        try:
            # The file stays that of the memory it was opened for: where that is gone it reads as nothing. A
            # thread state that was freed meanwhile tells a number that is none, or an earlier thread's.
            if self.memory < 0:
                self.memory = os.open(f"/proc/{self.process.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
            native_id = self.read()
        except (OSError, struct.error, OverflowError):
            native_id = UNTOLD
        self.stretches.take(HOLDER, native_id, now_ns, rows)
        self.stretches.last_ns = now_ns

    def read(self) -> int:
        """The holder's native id."""
        state, held, _, self.switches = _GIL.unpack(
            self.at(self.process.gil_start + self.holder_at, _GIL.size)
        )
        if self.first_switches is None:
            self.first_switches = self.switches
        if not held:
            return FREE
        if self.changes != self.process.changes:
            self.known, self.changes = {}, self.process.changes
        if state not in self.known:
            (native_id,) = _WORD.unpack(self.at(state + self.native_at, _WORD.size))
            self.known[state] = native_id if 0 < native_id <= _HIGHEST_TID else UNTOLD
        return self.known[state]

    def at(self, address: int, size: int) -> bytes:
        """Bytes of the process's memory. Raises OSError where they cannot be read."""
        return os.pread(self.memory, size, address)

    def close(self, rows: Rows) -> None:
        """End the stretch that is open, and close the memory's file. Again is harmless."""
        self.stretches.end(self.stretches.last_ns, rows)
        if self.memory >= 0:
            os.close(self.memory)
        self.memory = -1

    def handovers(self) -> int:
        """How often another thread got it, from the first sample to the last; -1 is not known."""
        if self.switches is None or self.first_switches is None:
            return -1
        return self.switches - self.first_switches
