"""Raw records of threads, their jobs and marks. All that a child without tasks and locks needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# "user": the cell or what it called made it. "machinery": a library's helper that no user made.
# "kernel": it was there before the cell and did nothing for it. "ours": concmagic's own.
Origin = Literal["user", "machinery", "kernel", "ours"]


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """One thread of one process."""

    native_id: int
    ident: int
    name: str
    daemon: bool
    origin: Origin
    started_ns: int | None  # Thread.start() was called; None: before the cell
    begun_ns: int | None  # it ran for the first time
    ended_ns: int | None  # None: alive at the cell's end
    starter: int | None  # native id of the thread that started it
    group: str = ""  # the pool it belongs to
    cpu_ns: int | None = None  # its CPU clock over the cell
    cpu_by_moment: tuple[tuple[int, int], ...] = ()  # pairs (monotonic ns, its CPU clock ns), where read
    exception: str = ""  # "ValueError: …" if it died of one
    frames: tuple[tuple[str, int, str], ...] = ()  # of that: file, line and function, outermost first
    switches: tuple[int, int] | None = None  # off its core by itself, and not by itself; the kernel's counts


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job of a pool, or one item of a `for` header."""

    index: int
    label: str
    submitted_ns: int
    started_ns: int | None
    ended_ns: int | None
    outcome: str  # "returned", "raised X", "cancelled", "not started"
    pid: int = 0  # where it ran; 0: it never began
    native_id: int = 0
    task: int | None = None  # number of the task that ran it, under asyncio
    submitter: int = 0  # native id of the thread that submitted it
    count: int = 1  # of very many jobs only the sums are kept: so many, one after the other on one worker
    running_ns: int = 0  # of those the sums, which are exact
    queued_ns: int = 0
    outcomes: tuple[tuple[str, int], ...] = ()  # and how many of them came out how


@dataclass(frozen=True, slots=True)
class MarkRecord:
    """`concmagic.mark(label)`."""

    label: str
    start_ns: int
    end_ns: int
    pid: int
    native_id: int
    task: int | None = None
