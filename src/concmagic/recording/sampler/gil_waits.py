"""Whether a thread runs, sleeps in a system call, or waits for the GIL: read from its files of /proc.

It waits for the GIL where it sleeps at an address inside the interpreter: its condition lies there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from concmagic.recording.sampler.shared_memory import SharedMemory
from concmagic.recording.sampler.threads_and_gil import ASLEEP, FUTEX, GIL, RUNNING, SHARED_FUTEX

if TYPE_CHECKING:  # the sampler starts sooner without
    from typing import Protocol

    class Process(Protocol):
        """Where its interpreter lies in memory (0 is not known), and what it shares with others."""

        gil_start: int
        gil_size: int
        futex: tuple[bytes, ...]  # the numbers of that system call
        shared: SharedMemory


_PRIVATE = 0x80  # in a futex's operation: only threads of this process can wait at it


def decode_call(process: Process, raw: bytes) -> tuple[int, int]:
    """What a thread does, from the text of its `syscall` file."""
    if raw.startswith(b"r"):
        return RUNNING, 0
    parts = raw.split(b" ", 3)
    if parts[0] == b"-1":
        return ASLEEP, 0  # stopped, or waiting for a page: in no call
    first = int(parts[1], 16)
    if parts[0] not in process.futex:
        return int(parts[0]), first if first < 1 << 63 else first - (1 << 64)
    if not process.gil_start:
        return int(parts[0]), first
    inside = process.gil_start <= first < process.gil_start + process.gil_size
    if inside:
        return GIL, 0
    # A thread that joins another waits at no private futex either, and that lies in private memory.
    is_private = int(parts[2], 16) & _PRIVATE or not process.shared.has(first)
    return FUTEX if is_private else SHARED_FUTEX, first


def decode_state(raw: bytes) -> tuple[int, int]:
    """On a core or not, from the text of a `stat` file."""
    letter = raw[raw.rfind(b")") + 2 :][:1]
    return (RUNNING if letter == b"R" else ASLEEP), 0
