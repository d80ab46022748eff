"""What the sampler sees of a process: which threads it has, and what their descriptors lead to.

For the sampler's own process (`process.py`): the standard library only, and little of it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from functools import partial

from concmagic.clock import monotonic_ns
from concmagic.recording.sampler.gil_waits import decode_call, decode_state
from concmagic.recording.sampler.process_clock import ProcessClock
from concmagic.recording.sampler.shared_memory import SharedMemory
from concmagic.recording.sampler.threads_and_gil import (
    ACTIVE,
    Decoder,
    GilHolder,
    Rows,
    Thread,
)

FUTEX_CALLS = {"x86_64": (b"202",), "aarch64": (b"98",), "riscv64": (b"98",), "ppc64le": (b"221",)}
# Where the GIL is: the structure's offset and size, the holder's offset in it, the native id's offset in a
# thread state, and the file that holds it (`interpreter/gil.py`).
Gil = tuple[int, int, int, int, str]
_AGREED = 3
_EVERYBODY = 8  # each so many looks
# System calls whose first argument is a descriptor, and those that take an array of them.
_BY_DESCRIPTOR = {
    "x86_64": frozenset((0, 1, 17, 18, 19, 20, 42, 43, 44, 45, 46, 47, 73, 74, 75, 288)),
    "aarch64": frozenset((32, 63, 64, 65, 66, 67, 68, 82, 83, 202, 203, 206, 207, 211, 212, 242)),
}
_BY_ARRAY = {"x86_64": frozenset((7, 271)), "aarch64": frozenset((73,))}
_MACHINE = os.uname().machine
_MOST_TABLE = 1 << 20  # bytes of the table of connections that are looked through
_MOST_LOOKS = 2_000


class Process:
    """One process and those of its threads that can be read; `gil_start` where it is known already."""

    def __init__(self, pid: int, mode: str, gil: Gil, gil_start: int = 0) -> None:
        self.pid, self.mode = pid, mode
        self.gil_offset, self.gil_size, _, _, self.gil_file = gil
        self.gil_start = gil_start
        self.agreed = _AGREED if gil_start else 0
        self.threads: dict[int, Thread] = {}
        self.folder = f"/proc/{pid}/task"
        self.shared = SharedMemory(pid)
        self.looks = 0  # at who has children
        self.looked_ns = 0, 0  # the last two
        self.changes = 0  # of the set of threads
        self.gone = False
        self.hides_calls = False  # there is nothing that tells in which call its threads are
        self.decode: Decoder = decode_state if mode == "stat" else partial(decode_call, self)
        self.futex = FUTEX_CALLS.get(_MACHINE, ())
        self.holder = GilHolder(pid, gil[2], gil[3])
        self.clock = ProcessClock(pid)
        self.descriptors = Descriptors(pid)

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

    def see_holder(self, now_ns: int, rows: Rows) -> None:
        """Take a sample of who holds its GIL, where that can be read."""
        if self.gil_start and self.mode == "syscall":
            self.holder.see(self.gil_start, self.changes, now_ns, rows)

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
        """End the stretches of all threads and of its GIL, and close their files."""
        self.drop_all(rows)
        self.holder.close(rows)
        self.clock.close(rows)

    def drop_all(self, rows: Rows) -> None:
        """End the stretches of all threads and close their files."""
        for tid in list(self.threads):
            self.drop(tid, rows)

    def use_state_letters(self, rows: Rows) -> None:
        """Where the system calls are not shown, the state letter is: on a core, or not."""
        self.drop_all(rows)
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


def executable_of(pid: int) -> str | None:
    """The file that a process runs; None if it cannot be told."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


class Descriptors:
    """Looks up what the threads of one process wait at; the table of connections once a socket.

    "93.184.216.34:443", "data.csv", "pipe"; "" for what has no name.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.sockets: dict[str, str] = {}
        self.looks = 0

    def of_call(self, raw: bytes) -> str:
        """The words for the descriptor of a call, from the text of a `syscall` file."""
        words = raw.split()
        if len(words) < 3 or self.looks >= _MOST_LOOKS:
            return ""
        self.looks += 1
        try:
            return self.words(self.number(int(words[0]), int(words[1], 16), int(words[2], 16)))
        except (OSError, ValueError, struct.error):
            return ""

    def number(self, call: int, first: int, second: int) -> int:
        """The descriptor's number; -1 for a call without one, or with several."""
        if call in _BY_DESCRIPTOR.get(_MACHINE, ()):
            return first
        if call not in _BY_ARRAY.get(_MACHINE, ()) or second != 1:
            return -1
        # The thread may have gone on: then this, and the name, are of something else. Only words come of it.
        memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            (number,) = struct.unpack("=i", os.pread(memory, 4, first))
        finally:
            os.close(memory)
        return int(number)

    def words(self, number: int) -> str:
        """What an open descriptor leads to: a connection, a file's name, "pipe"; "" is not known."""
        if number < 0:
            return ""
        link = os.readlink(f"/proc/{self.pid}/fd/{number}")
        kind, _, rest = link.partition(":[")
        if kind == "socket":
            return self.socket(rest.rstrip("]"))
        if rest or link.startswith("anon_inode:"):
            return "pipe" if kind == "pipe" else ""
        return os.path.basename(link).removesuffix(" (deleted)")

    def socket(self, inode: str) -> str:
        """What the socket with this inode is connected to; looked up once."""
        if inode not in self.sockets:
            found = (self.find(inode, table) for table in ("tcp", "tcp6", "udp", "udp6"))
            self.sockets[inode] = next((words for words in found if words), "")
        return self.sockets[inode]

    def find(self, inode: str, table: str) -> str:
        """The other end of a connection, or the port of one that listens."""
        with open(f"/proc/{self.pid}/net/{table}") as lines:
            for line in lines.read(_MOST_TABLE).splitlines()[1:]:
                fields = line.split()
                if len(fields) > 9 and fields[9] == inode:
                    there, own_port = _address(fields[2]), _address(fields[1]).rpartition(":")[2]
                    return f"port {own_port}" if there.endswith(":0") else there
        return ""


def _address(text: str) -> str:
    """An address as the kernel's tables write it: words of four bytes in the machine's order."""
    host, _, port = text.partition(":")
    words = bytes.fromhex(host)
    packed = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
    if len(packed) == 16 and packed.startswith(bytes(10) + b"\xff\xff"):
        packed = packed[12:]
    if len(packed) == 4:
        return f"{'.'.join(map(str, packed))}:{int(port, 16)}"
    import socket

    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port, 16)}"
