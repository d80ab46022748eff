"""What the sampler sees: processes, their threads, and stretches in which a thread did one thing.

For the sampler's own process (`process.py`): the standard library only, and little of it.
"""

from __future__ import annotations

import array
import os
from collections.abc import Callable, Iterator

RUNNING, GIL, FUTEX, ASLEEP, CORE = -1, -3, -4, -5, -6
CORE_WAIT_NS = 100_000  # being woken takes some time on an idle core, too
FUTEX_CALLS = {"x86_64": (b"202",), "aarch64": (b"98",), "riscv64": (b"98",), "ppc64le": (b"221",)}
# Who has slept in one place for long is read less often: (samples that agreed, read every n-th tick).
PATIENCE = ((1000, 8), (100, 4), (25, 2))

# Where the GIL is: the structure's offset and size, the holder's offset in it, the native id's offset in a
# thread state, and the file that holds it (`gil_address.py`).
Gil = tuple[int, int, int, int, str]
Decoder = Callable[[bytes], tuple[int, int]]


class Rows:
    """Finished stretches, as columns."""

    def __init__(self) -> None:
        self.columns = [array.array("q") for _ in range(5)]

    def __len__(self) -> int:
        return len(self.columns[0])

    def add(self, *values: int) -> None:
        for column, value in zip(self.columns, values, strict=True):
            column.append(value)


class Thread:
    """One thread: its open files and the stretch it is in."""

    __slots__ = (
        "argument",
        "code",
        "delay_ns",
        "file",
        "last_ns",
        "phase",
        "raw",
        "ran_ns",
        "same",
        "schedule",
        "start_ns",
        "tid",
    )

    def __init__(self, tid: int, file: int, schedule: int = -1) -> None:
        self.tid, self.file, self.schedule = tid, file, schedule
        self.raw: bytes | None = None
        self.code: int | None = None
        self.argument = 0
        self.start_ns = self.last_ns = self.same = 0
        self.ran_ns = self.delay_ns = -1
        self.phase = tid & 7

    def due(self, tick: int) -> bool:
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
        if RUNNING in (code, self.code) and self.schedule >= 0:
            self.account(code, now_ns, rows)
        self.take(code, argument, now_ns, rows)

    def take(self, code: int, argument: int, now_ns: int, rows: Rows) -> None:
        """Where a sample differs, the change lies half-way between the two."""
        if (code, argument) != (self.code, self.argument):
            changed_ns = self.finish((self.last_ns + now_ns) // 2, rows) or now_ns
            self.code, self.argument, self.start_ns, self.same = code, argument, changed_ns, 0
        self.same += 1
        self.last_ns = now_ns

    def account(self, code: int, now_ns: int, rows: Rows) -> None:
        """Tell waiting for a core from having one: the kernel sums such a wait up when it is over."""
        ran_before, delay_before = self.ran_ns, self.delay_ns
        try:
            words = os.pread(self.schedule, 64, 0).split()
            self.ran_ns, self.delay_ns = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):
            return
        waited_ns = self.delay_ns - delay_before
        if self.code is None or delay_before < 0 or waited_ns < CORE_WAIT_NS:
            return
        gap_ns = now_ns - self.last_ns
        if self.code != RUNNING or waited_ns >= gap_ns:  # it got its core within the gap, and has run since
            end_ns = max(self.last_ns, now_ns - min(self.ran_ns - ran_before, gap_ns))
            begin_ns = end_ns - waited_ns
        else:
            begin_ns = self.last_ns + (gap_ns - waited_ns) // 2
            end_ns = begin_ns + waited_ns
        if self.code != RUNNING:  # woken within the gap
            begin_ns = max(begin_ns, self.last_ns)
        self.waited_for_core(max(begin_ns, self.start_ns), end_ns, rows)

    def waited_for_core(self, begin_ns: int, end_ns: int, rows: Rows) -> None:
        """Put a wait for a core behind what it did until then."""
        if end_ns <= begin_ns:
            return
        if begin_ns > self.start_ns:
            self.finish(begin_ns, rows)
        rows.add(self.tid, begin_ns, end_ns, CORE, 0)
        self.code, self.argument, self.start_ns, self.last_ns, self.same = RUNNING, 0, end_ns, end_ns, 0

    def finish(self, end_ns: int, rows: Rows) -> int:
        if self.code is None:
            return 0
        if end_ns > self.start_ns:
            rows.add(self.tid, self.start_ns, end_ns, self.code, self.argument)
        return end_ns

    def close(self) -> None:
        os.close(self.file)
        if self.schedule >= 0:
            os.close(self.schedule)


class Process:
    """One process and those of its threads that can be read."""

    def __init__(self, pid: int, mode: str, gil: Gil) -> None:
        self.pid, self.mode = pid, mode
        self.gil_offset, self.gil_size, _, _, self.gil_file = gil
        self.gil_start = 0
        self.agreed = 0
        self.threads: dict[int, Thread] = {}
        self.changes = 0  # of the set of threads
        self.gone = False
        self.decode: Decoder = decode_state if mode == "stat" else self.decode_call
        self.futex = FUTEX_CALLS.get(os.uname().machine, ())

    def find_gil(self) -> None:
        """Find where this process has mapped the interpreter.

        Asked until three answers agree: a child may not have done so yet, or not be what it will be.
        """
        if not self.gil_size or self.agreed >= 3:
            return
        base = self.base_of(self.gil_file)
        start = base + self.gil_offset if base else 0
        self.agreed = self.agreed + 1 if start and start == self.gil_start else 0
        self.gil_start = start

    def base_of(self, wanted: str) -> int:
        """Where a file's first mapping begins; 0 where it is not mapped."""
        try:
            with open(f"/proc/{self.pid}/maps", errors="surrogateescape") as lines:
                for line in lines:
                    if line.rstrip("\n").endswith(" " + wanted):
                        return int(line.partition("-")[0], 16)
        except OSError:
            return 0
        return 0

    def decode_call(self, raw: bytes) -> tuple[int, int]:
        """What a thread does, from the text of its `syscall` file."""
        if raw.startswith(b"r"):
            return RUNNING, 0
        parts = raw.split(b" ", 2)
        if parts[0] == b"-1":
            return ASLEEP, 0  # stopped, or waiting for a page: in no call
        first = int(parts[1], 16)
        if parts[0] not in self.futex:
            return int(parts[0]), first if first < 1 << 63 else first - (1 << 64)
        if not self.gil_start:
            return int(parts[0]), first
        inside = self.gil_start <= first < self.gil_start + self.gil_size
        return (GIL, 0) if inside else (FUTEX, first)

    def list_threads(self, room: int, rows: Rows) -> bool:
        """Take in new threads; forget those that are gone."""
        try:
            tids = {int(name) for name in os.listdir(f"/proc/{self.pid}/task")}
        except OSError:
            self.gone = True
            tids = set()
        for tid in [tid for tid in self.threads if tid not in tids]:
            self.drop(tid, rows)
        for tid in tids.difference(self.threads):
            if len(self.threads) >= room:
                return False
            try:
                file = self.open_of(tid, self.mode)
            except OSError:
                continue
            try:
                schedule = self.open_of(tid, "schedstat")
            except OSError:
                schedule = -1
            self.threads[tid] = Thread(tid, file, schedule)
            self.changes += 1
        return True

    def open_of(self, tid: int, name: str) -> int:
        return os.open(f"/proc/{self.pid}/task/{tid}/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def drop(self, tid: int, rows: Rows) -> None:
        thread = self.threads.pop(tid)
        thread.finish(thread.last_ns, rows)
        thread.close()

    def close(self, rows: Rows) -> None:
        for tid in list(self.threads):
            self.drop(tid, rows)

    def use_state_letters(self, rows: Rows) -> None:
        """Where the system calls are not shown, the state letter is: on a core, or not."""
        self.close(rows)
        self.mode, self.decode = "stat", decode_state

    def children(self) -> Iterator[int]:
        """Process ids of its children; none where the kernel does not list them."""
        for tid in list(self.threads):
            try:
                with open(f"/proc/{self.pid}/task/{tid}/children") as file:
                    yield from map(int, file.read().split())
            except (OSError, ValueError):
                continue


def decode_state(raw: bytes) -> tuple[int, int]:
    """On a core or not, from the text of a `stat` file."""
    letter = raw[raw.rfind(b")") + 2 :][:1]
    return (RUNNING if letter == b"R" else ASLEEP), 0
