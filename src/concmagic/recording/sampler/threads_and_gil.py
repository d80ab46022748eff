"""What samples tell of a thread, and of who holds the GIL; the scheduler's sums tell how much of it.

Two numbers of a thread's `schedstat` grow: how long it has computed, and how long it could have but had no
core. While the thread is off the cores both are exact. So between two such samples it is known how long it
computed and waited for a core, wherever the samples between them fell; what is left it waited otherwise.

For the sampler's own process (`process.py`): the standard library only, and little of it.
"""

from __future__ import annotations

import array
import os
import struct
from collections.abc import Callable

RUNNING, GIL, FUTEX, ASLEEP, CORE, HOLDER, SHARED_FUTEX = -1, -3, -4, -5, -6, -7, -8
FREE, UNTOLD = 0, -1  # in place of a holder's native id
_GIL = struct.Struct("=QiiQ")  # the last holder's thread state, whether it is held, padding, hand-overs
_WORD = struct.Struct("=Q")
_HIGHEST_TID = 1 << 22
LEAST_NS = 100_000  # what is shorter is not worth a row: being woken takes some time on an idle core, too
NEAR_NS = 10_000_000  # further from a sample than this it tells nothing: that it slept, but not where
# Who has slept in one place for long is read less often: (samples that agreed, read every n-th tick).
PATIENCE = ((1000, 8), (100, 4), (25, 2))
ACTIVE = (
    RUNNING,
    GIL,
    FUTEX,
    SHARED_FUTEX,
)  # who waits like this computes again soon: its sums are read at each sample

Decoder = Callable[[bytes], tuple[int, int]]
Piece = tuple[int, int]


class Rows:
    """Finished stretches, as columns."""

    def __init__(self) -> None:
        self.columns = [array.array("q") for _ in range(5)]

    def __len__(self) -> int:
        return len(self.columns[0])

    def add(self, *values: int) -> None:
        """One more row, a value for each column."""
        for column, value in zip(self.columns, values, strict=True):
            column.append(value)


class Thread:
    """Its open files, the stretch it is in, and what the scheduler had summed up for it."""

    __slots__ = (
        "argument", "code", "delay_ns", "entered_ns", "exact", "file", "last_ns", "left_ns", "no_core",
        "phase", "ran_ns", "raw", "same", "schedule", "start_ns", "tid", "waited",
    )  # fmt: skip

    def __init__(self, tid: int, file: int, schedule: int = -1) -> None:
        self.tid, self.file, self.schedule = tid, file, schedule
        self.raw: bytes | None = None
        self.code: int | None = None
        self.argument = 0
        self.start_ns = self.last_ns = self.same = 0
        self.ran_ns = self.delay_ns = 0
        self.exact: tuple[int, int, int] | None = None  # when it was last off the cores, and its sums then
        self.waited: tuple[int, int] | None = None  # code and argument of what it did before it ran
        self.left_ns = self.entered_ns = 0  # the last sample before it ran, and the first in which it did
        self.no_core: list[Piece] = []
        self.phase = tid & 7

    def due(self, tick: int) -> bool:
        """Whether it is looked at in this tick: the longer it sleeps, the rarer."""
        if self.code != RUNNING:
            for same, every in PATIENCE:
                if self.same >= same:
                    return (tick + self.phase) % every == 0
        return True

    def see(self, raw: bytes, now_ns: int, decode: Decoder, rows: Rows) -> None:
        """Take a sample in."""
        code, argument = (self.code, self.argument) if raw == self.raw else decode(raw)
        assert code is not None
        self.raw = raw
        told = self.schedule >= 0 and (code in ACTIVE or code != self.code) and self.ask(now_ns)
        if code == RUNNING:
            self.run(now_ns)
        elif self.code == RUNNING:
            self.stop_running(code, argument, now_ns, rows, told)
        else:
            if told:
                self.burst(now_ns, rows)
            self.take(code, argument, now_ns, rows)
        if told and code != RUNNING:
            self.exact = (now_ns, self.ran_ns, self.delay_ns)
        self.same += 1
        self.last_ns = now_ns

    def take(self, code: int, argument: int, now_ns: int, rows: Rows) -> None:
        """Where a sample differs, the change lies half-way between the two, if they are near each other."""
        if (code, argument) != (self.code, self.argument):
            changed_ns = self.end(min((self.last_ns + now_ns) // 2, self.last_ns + NEAR_NS), rows) or now_ns
            self.begin_near(code, argument, changed_ns, now_ns, rows)

    def ask(self, now_ns: int) -> bool:
        """Read its sums; while it is on a core the first is as old as the scheduler's last tick."""
        try:
            words = os.pread(self.schedule, 64, 0).split()
            ran_ns, delay_ns = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):
            return False
        waited_ns = delay_ns - self.delay_ns
        if self.code == RUNNING and self.delay_ns and waited_ns >= LEAST_NS:
            self.note_wait(waited_ns, ran_ns - self.ran_ns, now_ns)
        self.ran_ns, self.delay_ns = ran_ns, delay_ns
        return True

    def note_wait(self, waited_ns: int, since_ns: int, now_ns: int) -> None:
        """Note that the thread had no core for `waited_ns`, some time after its last sample."""
        gap_ns = now_ns - self.last_ns
        if waited_ns >= gap_ns:
            end_ns = max(self.last_ns, now_ns - min(since_ns, gap_ns))
        else:
            end_ns = self.last_ns + (gap_ns + waited_ns) // 2
        self.no_core.append((end_ns - waited_ns, end_ns))

    def run(self, now_ns: int) -> None:
        """A sample found the thread on a core, or waiting for one."""
        if self.code == RUNNING:
            return
        if self.code is None:
            self.begin(RUNNING, 0, now_ns)
            return
        self.waited, self.left_ns, self.entered_ns = (self.code, self.argument), self.last_ns, now_ns
        self.code, self.argument, self.same = RUNNING, 0, 0
        if self.exact is not None:
            late_ns = self.delay_ns - self.exact[2]
            self.no_core = [(self.last_ns, self.last_ns + late_ns)] if late_ns >= LEAST_NS else []

    def stop_running(self, code: int, argument: int, now_ns: int, rows: Rows, told: bool) -> None:
        """A sample found the thread off the cores again: the scheduler's sums tell how long it was on one."""
        before_ns, after_ns = self.entered_ns - self.left_ns, now_ns - self.last_ns
        if told and self.exact is not None and self.waited is not None:
            at_ns, ran_ns, delay_ns = self.exact
            rest_ns = now_ns - at_ns - (self.ran_ns - ran_ns) - (self.delay_ns - delay_ns)
            rest_ns = max(0, rest_ns)
            first_ns = rest_ns * before_ns // max(before_ns + after_ns, 1)
            self.complete(at_ns + first_ns, self.delay_ns - delay_ns)
            self.write(at_ns + first_ns, now_ns - (rest_ns - first_ns), rows)
            changed_ns = now_ns - (rest_ns - first_ns)
        else:
            changed_ns = (self.last_ns + now_ns) // 2
            self.write((self.left_ns + self.entered_ns) // 2, changed_ns, rows)
        self.begin_near(code, argument, changed_ns, now_ns, rows)

    def complete(self, from_ns: int, waited_ns: int) -> None:
        """Lengthen the waits for a core that were noted to the scheduler's sum: short ones were not noted."""
        missing_ns = waited_ns - sum(end_ns - begin_ns for begin_ns, end_ns in self.no_core)
        if missing_ns < LEAST_NS:
            return
        if not self.no_core:
            self.no_core = [(from_ns, from_ns)]
        each_ns = missing_ns // len(self.no_core)
        self.no_core = [(begin_ns, end_ns + each_ns) for begin_ns, end_ns in self.no_core]

    def write(self, from_ns: int, to_ns: int, rows: Rows) -> None:
        """Rows of what it did before it ran, and of its running without the waits for a core in it."""
        at_ns = self.start_ns
        if self.waited is not None:
            at_ns = self.add(at_ns, min(from_ns, to_ns, self.left_ns + NEAR_NS), *self.waited, rows)
            at_ns = self.add(at_ns, min(from_ns, to_ns), ASLEEP, 0, rows)
        core_ns = 0  # that has come together and is not written yet
        for begin_ns, end_ns in self.no_core:
            length_ns = min(end_ns - begin_ns, to_ns - at_ns - core_ns)
            begin_ns = min(max(begin_ns, at_ns + core_ns), to_ns - length_ns)
            if begin_ns > at_ns + core_ns:
                at_ns = self.add(at_ns, at_ns + core_ns, CORE, 0, rows)
                at_ns = self.add(at_ns, begin_ns, RUNNING, 0, rows)
                core_ns = 0
            core_ns += length_ns
        at_ns = self.add(at_ns, at_ns + core_ns, CORE, 0, rows)
        self.add(at_ns, to_ns, RUNNING, 0, rows)

    def burst(self, now_ns: int, rows: Rows) -> None:
        """Write that the thread was on a core between two samples that found it off: in the middle."""
        if self.exact is None or self.code is None:
            return
        gap_ns = now_ns - self.last_ns
        ran_ns = min(self.ran_ns - self.exact[1], gap_ns)
        late_ns = min(self.delay_ns - self.exact[2], gap_ns - ran_ns)
        if ran_ns + late_ns < LEAST_NS:
            return
        self.waited, self.left_ns = (self.code, self.argument), now_ns  # it is there again
        begin_ns = self.last_ns + (gap_ns - ran_ns - late_ns) // 2
        self.no_core = [(begin_ns, begin_ns + late_ns)] if late_ns >= LEAST_NS else []
        self.write(begin_ns, begin_ns + ran_ns + late_ns, rows)
        code, argument, same = self.code, self.argument, self.same
        self.begin(code, argument, begin_ns + ran_ns + late_ns)
        self.same, self.last_ns = same, now_ns

    def begin_near(self, code: int, argument: int, at_ns: int, now_ns: int, rows: Rows) -> None:
        """A new stretch, from where the sample that tells it is near enough."""
        since_ns = max(at_ns, now_ns - NEAR_NS)
        if code != RUNNING:
            self.add(at_ns, since_ns, ASLEEP, 0, rows)
        self.begin(code, argument, since_ns if code != RUNNING else at_ns)

    def begin(self, code: int, argument: int, at_ns: int) -> None:
        """A new stretch."""
        self.code, self.argument, self.start_ns, self.same = code, argument, at_ns, 0
        self.waited, self.no_core = None, []
        self.left_ns = self.entered_ns = at_ns

    def add(self, from_ns: int, to_ns: int, code: int, argument: int, rows: Rows) -> int:
        """One row; returns where the next begins."""
        if to_ns <= from_ns:
            return from_ns
        rows.add(self.tid, from_ns, to_ns, code, argument)
        return to_ns

    def end(self, at_ns: int, rows: Rows) -> int:
        """End its stretch; 0 if it had none."""
        if self.code is None:
            return 0
        if self.code == RUNNING:
            self.write((self.left_ns + self.entered_ns) // 2, at_ns, rows)
        else:
            rows.add(self.tid, self.start_ns, at_ns, self.code, self.argument)
        return at_ns

    def close(self) -> None:
        """Close its files."""
        os.close(self.file)
        if self.schedule >= 0:
            os.close(self.schedule)


class GilHolder:
    """The stretches in which one thread held the GIL of one process."""

    def __init__(self, pid: int, holder_at: int, native_at: int) -> None:
        self.pid, self.holder_at, self.native_at = pid, holder_at, native_at
        self.stretches = Thread(-pid, -1)
        self.memory = -1
        self.known: dict[int, int] = {}  # thread states' native ids, for as long as no thread is new
        self.changes = 0
        self.switches: int | None = None
        self.first_switches: int | None = None

    def see(self, gil_start: int, changes: int, now_ns: int, rows: Rows) -> None:
        """Take a sample in; what cannot be read costs itself only. `changes` counts those of its threads."""
        if not self.holder_at:
            return
        try:
            # The file stays that of the memory it was opened for: where that is gone it reads as nothing. A
            # thread state that was freed meanwhile tells a number that is none, or an earlier thread's.
            if self.memory < 0:
                self.memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
            native_id = self.read(gil_start, changes)
        except (OSError, struct.error, OverflowError):
            native_id = UNTOLD
        self.stretches.take(HOLDER, native_id, now_ns, rows)
        self.stretches.last_ns = now_ns

    def read(self, gil_start: int, changes: int) -> int:
        """The holder's native id."""
        state, held, _, self.switches = _GIL.unpack(self.at(gil_start + self.holder_at, _GIL.size))
        if self.first_switches is None:
            self.first_switches = self.switches
        if not held:
            return FREE
        if self.changes != changes:
            self.known, self.changes = {}, changes
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
