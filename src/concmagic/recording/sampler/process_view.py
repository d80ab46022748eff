"""What the sampler sees: processes, and which threads they have.

For the sampler's own process (`process.py`): the standard library only, and little of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from concmagic.clock import monotonic_ns
from concmagic.recording.sampler.sampled_thread import (
    ACTIVE,
    ASLEEP,
    FUTEX,
    GIL,
    RUNNING,
    Decoder,
    Rows,
    Thread,
)

FUTEX_CALLS = {"x86_64": (b"202",), "aarch64": (b"98",), "riscv64": (b"98",), "ppc64le": (b"221",)}
# Where the GIL is: the structure's offset and size, the holder's offset in it, the native id's offset in a
# thread state, and the file that holds it (`interpreter/gil.py`).
Gil = tuple[int, int, int, int, str]
_AGREED = 3
_EVERYBODY = 8  # each so many looks


class Process:
    """One process and those of its threads that can be read; `gil_start` where it is known already."""

    def __init__(self, pid: int, mode: str, gil: Gil, gil_start: int = 0) -> None:
        self.pid, self.mode = pid, mode
        self.gil_offset, self.gil_size, _, _, self.gil_file = gil
        self.gil_start = gil_start
        self.agreed = _AGREED if gil_start else 0
        self.threads: dict[int, Thread] = {}
        self.folder = f"/proc/{pid}/task"
        self.looks = 0  # at who has children
        self.looked_ns = 0, 0  # the last two
        self.changes = 0  # of the set of threads
        self.gone = False
        self.hides_calls = False  # there is nothing that tells in which call its threads are
        self.decode: Decoder = decode_state if mode == "stat" else self.decode_call
        self.futex = FUTEX_CALLS.get(os.uname().machine, ())

    def find_gil(self) -> None:
        """Find where this process has mapped the interpreter.

        Asked until three answers agree: a child may not have done so yet, or not be what it will be.
        """
        if not self.gil_size or self.agreed >= _AGREED:
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
        """Take in new threads; forget those that are gone.

        A file of /proc stays its thread's: of one that has ended it reads as nothing, whoever has its number.
        Where a process has ended and another has its number, that one's are listed: nobody asks for them.
        """
        try:
            tids = {int(name) for name in os.listdir(self.folder)}
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
            except OSError:  # it has ended meanwhile, or its calls are hidden
                self.hides_calls |= self.mode == "syscall" and os.path.exists(f"{self.folder}/{tid}/stat")
                continue
            try:
                schedule = self.open_of(tid, "schedstat")
            except OSError:
                schedule = -1
            self.threads[tid] = Thread(tid, file, schedule)
            self.changes += 1
        return True

    def has_as_many(self) -> bool:
        """Whether it has as many threads as are known: the folder has a link for each, and two more."""
        try:
            return os.stat(self.folder).st_nlink == len(self.threads) + 2
        except OSError:
            return False

    def open_of(self, tid: int, name: str) -> int:
        """Open a file of one of its threads in /proc. Raises OSError."""
        return os.open(f"{self.folder}/{tid}/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def drop(self, tid: int, rows: Rows) -> None:
        """A thread has ended: end its stretch and close its files."""
        thread = self.threads.pop(tid)
        thread.end(thread.last_ns, rows)
        thread.close()

    def close(self, rows: Rows) -> None:
        """End the stretches of all threads and close their files."""
        for tid in list(self.threads):
            self.drop(tid, rows)

    def use_state_letters(self, rows: Rows) -> None:
        """Where the system calls are not shown, the state letter is: on a core, or not."""
        self.close(rows)
        self.mode, self.decode, self.hides_calls = "stat", decode_state, False

    def children(self) -> Iterator[int]:
        """Process ids of its children; none where the kernel does not list them.

        Only a thread that has moved can have new ones; that it has may have been missed, so now and then
        everybody is asked.
        """
        everybody = self.looks % _EVERYBODY == 0
        since_ns = self.looked_ns[0]  # a move before the last look may have been sampled after it
        self.looked_ns = self.looked_ns[1], monotonic_ns()
        self.looks += 1
        for thread in list(self.threads.values()):
            if everybody or thread.code in ACTIVE or thread.start_ns >= since_ns:
                yield from self.children_of(thread.tid)

    def children_of(self, tid: int) -> list[int]:
        """The processes that this thread has started and that live."""
        try:
            file = os.open(f"{self.folder}/{tid}/children", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return list(map(int, os.read(file, 1 << 16).split()))
            finally:
                os.close(file)
        except (OSError, ValueError):
            return []


def decode_state(raw: bytes) -> tuple[int, int]:
    """On a core or not, from the text of a `stat` file."""
    letter = raw[raw.rfind(b")") + 2 :][:1]
    return (RUNNING if letter == b"R" else ASLEEP), 0


def executable_of(pid: int) -> str | None:
    """The file that a process runs; None if it cannot be told."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None
