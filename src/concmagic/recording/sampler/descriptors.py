"""What a descriptor of another process is: "93.184.216.34:443", "data.csv", "pipe"; "" for what has no name.

For the sampler's own process: little of the library.
"""

from __future__ import annotations

import os
import struct

# System calls whose first argument is a descriptor, and those that take an array of them.
_BY_DESCRIPTOR = {
    "x86_64": frozenset((0, 1, 17, 18, 19, 20, 42, 43, 44, 45, 46, 47, 73, 74, 75, 288)),
    "aarch64": frozenset((32, 63, 64, 65, 66, 67, 68, 82, 83, 202, 203, 206, 207, 211, 212, 242)),
}
_BY_ARRAY = {"x86_64": frozenset((7, 271)), "aarch64": frozenset((73,))}
_MACHINE = os.uname().machine
_MOST_TABLE = 1 << 20  # bytes of the table of connections that are looked through
_MOST_LOOKS = 2_000


class Descriptors:
    """Looks up what the threads of one process wait at; the table of connections once a socket."""

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
                    there = _address(fields[2])
                    return (
                        there
                        if not there.endswith(":0")
                        else "port " + _address(fields[1]).rpartition(":")[2]
                    )
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
