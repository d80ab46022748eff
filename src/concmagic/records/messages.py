"""Raw records of what processes send each other. Plain data that a child may import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concmagic.records.threads import JobRecord


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One message through a pipe between processes, as its sender or its receiver saw it."""

    pipe: int  # inode of the end it went through; a socket pair's ends have two
    sends: bool
    kind: str  # "job", "result" (of a pool); "item" (of a `for` header); "queue", "pipe"
    native_id: int
    begin_ns: int  # sender: began to pickle it; receiver: began to wait for it
    moved_ns: int  # sender: had pickled it; receiver: it was there
    end_ns: int  # sender: written; receiver: unpickled
    size: int  # bytes
    digest: int  # of its beginning: with pipe and size it tells which message it is
    job: int | None = None  # index of the sender's SentJob that it carries
    outcome: str = ""  # of a result: "returned", "raised X"


@dataclass(frozen=True, slots=True)
class SentJob:
    """One job that this process gave to a pool of processes."""

    label: str
    submitted_ns: int
    submitter: int  # native id of the thread that submitted it; 0 is not known
    outcome: str  # "returned", "raised X", "cancelled", "not started", "left running", "" not known
    queued_ns: int = 0  # it was put into the queue of those who send it, by whom; 0: when it was submitted
    queuer: int = 0


@dataclass(frozen=True, slots=True)
class MessageLog:
    """What one process sent to others and received from them."""

    messages: tuple[MessageRecord, ...] = ()
    jobs: tuple[SentJob, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()  # inodes of the two ends of each socket pair made here
    later: int = 0  # jobs that this process gave to pools of processes and that are not among `jobs`
    merged: tuple[JobRecord, ...] = ()  # those that this process ran and that are in none of `messages`
