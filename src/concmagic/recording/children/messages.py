"""What processes send each other: every message through a pipe of multiprocessing, at both of its ends.

Queues, pools and executors are made of such pipes. A pipe is told by its inode, which all who have
an end of it share; a socket pair's two are noted where it is made. Which message arrived as which is
told later, when the evidence of all processes is together (`trace/import_messages.py`).
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import TYPE_CHECKING, Any

from concmagic import sentences
from concmagic.clock import monotonic_ns
from concmagic.interpreter.frames import getframe
from concmagic.recording.children import arrivals, loky_code
from concmagic.recording.children.process_jobs import ProcessJobs, outcome_of
from concmagic.recording.patches import Patches
from concmagic.recording.quiet import watched

if TYPE_CHECKING:
    from concmagic.recording.raw_messages import MessageLog, MessageRecord

MOST = 50_000  # messages kept of one process; what comes later is counted only
FLUSH_SHARE = 0.05  # of a child's time: what handing over as it runs may take, beside
FLUSH_NS = 5_000_000  # … what the first jobs may, so that of few jobs each is known
_LOKY = ("loky", "joblib.externals.loky")
_WORKERS = {
    ("multiprocessing.pool", "worker"),
    ("concurrent.futures.process", "_process_worker"),
    ("concurrent.futures.process", "_sendback_result"),
    *((f"{loky}.process_executor", "_process_worker") for loky in _LOKY),
    *((f"{loky}.process_executor", "_sendback_result") for loky in _LOKY),
}
_RESULT_READERS = {
    ("multiprocessing.pool", "_handle_results"),
    ("concurrent.futures.process", "wait_result_broken_or_wakeup"),
    *((f"{loky}.process_executor", "wait_result_broken_or_wakeup") for loky in _LOKY),
}
_QUEUES = {"multiprocessing.queues", *(f"{loky}.backend.queues" for loky in _LOKY)}
_DIGESTED = 2_048  # bytes; the number of a pool's job stands before its arguments
_OURS = "concmagic.runners.loop_"

Row = list[Any]  # the fields of a MessageRecord, in order
PartTaker = Callable[[Sequence[Row]], None]

_KIND, _END, _SIZE = 2, 6, 7
_current: MessageRecorder | None = None


class MessageRecorder:
    """The messages of this process, from `start` to `stop`."""

    def __init__(self) -> None:
        self.on_job: Callable[[], None] = lambda: None  # of a worker: it was given one
        self.hand_over: PartTaker | None = None  # of a child: it may be killed at any moment
        self.sleeps = False  # of a child: after this recording messages are looked at, and none may be missed
        self._rows: list[Row] = []
        self._passed_on = 0
        self._begun_ns = monotonic_ns()
        self._passing_ns = 0
        self._lost = 0
        self.problems: list[str] = []
        self._pairs: list[tuple[int, int]] = []
        self._patches = Patches()
        self._local = threading.local()
        self._jobs = ProcessJobs()
        self._file_names = loky_code.FileNames()

    def start(self) -> None:
        """Begin to see messages."""
        global _current
        if _current is not None:
            _current._uninstall()  # the parent's, in a forked child
        _current = self
        wrap = self._patches.wrap
        wrap(connection.Connection, "_send_bytes", lambda one: watched(one, self._sent, monotonic_ns))
        wrap(ForkingPickler, "dumps", self._dumps)
        wrap(ForkingPickler, "loads", lambda one: staticmethod(watched(one, self._unpickled)), is_static=True)
        wrap(connection, "Pipe", lambda one: watched(one, self._made_pipe))
        arrivals.watch(self)
        self._jobs.start(self._watch_loky)

    def _dumps(self, original: Any) -> Any:
        """Bound to the pickler's class, as the original is; from there it comes bound."""
        return classmethod(watched(_unbound(original), self._pickled, monotonic_ns))

    def stop(self) -> MessageLog:
        """Put everything back, and hand over what was seen."""
        from concmagic.recording.raw_messages import MessageLog  # its class is made late: a child waits

        global _current
        self._uninstall()
        if _current is self:
            _current = None
            if self.sleeps:
                arrivals.watch()
            else:
                arrivals.unwatch()
        self.hand_over = None
        if self._lost:
            self.problems.append(sentences.messages_left_out(MOST, self._lost))
        rows, self._rows = self._rows, []
        return MessageLog(to_records(rows), self._jobs.records(), tuple(self._pairs))

    def _uninstall(self) -> None:
        self._jobs.stop()
        self._file_names.stop()
        self._patches.restore()

    def _watch_loky(self, queues: Any) -> None:
        """loky's queues have a pickler of their own."""
        self._file_names.start()
        self._patches.wrap(
            queues,
            "dumps",
            lambda one: watched(loky_code.sending(one), self._pickled, monotonic_ns),
        )

    def _made_pipe(self, told: None, ends: Any, *arguments: Any, **options: Any) -> None:
        with suppress(OSError):  # where a pipe is no file, its ends have no inodes
            first, second = (os.fstat(end.fileno()).st_ino for end in ends)
            if first != second:
                self._pairs.append((first, second))

    def _pickled(self, begun_ns: int, data: Any, *arguments: Any, **options: Any) -> None:
        value = arguments[-1] if len(arguments) < 3 else arguments[1]
        job = self._jobs.job_of(value, getframe(2))
        outcome = outcome_of(value) if _sends_result(getframe(2)) else ""
        self._local.pickled = begun_ns, monotonic_ns(), len(data), job, outcome

    def _sent(self, begun_ns: int, result: None, end: Any, data: Any) -> None:
        size = len(data)
        pickled = getattr(self._local, "pickled", None)
        self._local.pickled = None
        kind, job, outcome = _kind(getframe(2)), None, ""
        first_ns = moved_ns = begun_ns
        if kind == "ours":
            return
        if pickled is not None and pickled[2] == size:
            first_ns, moved_ns, _, job, outcome = pickled
            kind = "result" if outcome else "job" if job is not None else kind
        self._add(_row(end, True, kind, first_ns, moved_ns, data, job, outcome))

    def before_wait(self) -> None:
        """Hand over what is new: while it waits, nothing is."""
        self._pass_on()

    def received(self, begun_ns: int, buffer: Any, end: Any, caller: FrameType | None) -> None:
        """Note a message that has arrived; it may be waited for since before `start`."""
        self._arrived(end, buffer, caller, max(begun_ns, self._begun_ns), monotonic_ns())

    def note_arrival(self, end: Any, buffer: Any, caller: FrameType | None) -> None:
        """A message that arrived just before `start`: it was the one that woke this process."""
        now_ns = monotonic_ns()
        self._arrived(end, buffer, caller, now_ns, now_ns)

    def _arrived(self, end: Any, buffer: Any, caller: FrameType | None, begun_ns: int, now_ns: int) -> None:
        kind = _kind(caller)
        if kind == "ours":
            return
        row = _row(end, False, kind, begun_ns, now_ns, buffer.getbuffer())
        self._local.arrived = row
        self._add(row)
        if kind == "item":
            self.on_job()
            self._pass_on()

    def _unpickled(self, told: None, value: Any, data: Any, *arguments: Any, **options: Any) -> None:
        row = getattr(self._local, "arrived", None)
        self._local.arrived = None
        if row is None or row[_SIZE] != len(data):
            return
        row[_END] = monotonic_ns()
        frame = getframe(2)
        if _is_in(_WORKERS, frame.f_back, 1) and value is not None:
            row[_KIND] = "job"
            self.on_job()
            self._pass_on()
        elif _is_in(_RESULT_READERS, frame.f_back, 1):
            row[_KIND] = "result"

    def _add(self, row: Row) -> None:
        if len(self._rows) < MOST:
            self._rows.append(row)
        else:
            self._lost += 1

    def _pass_on(self) -> None:
        """Hand over what is new, unless that has taken too much time already."""
        if self.hand_over is None or len(self._rows) == self._passed_on:
            return
        now_ns = monotonic_ns()
        if self._passing_ns <= FLUSH_NS + FLUSH_SHARE * (now_ns - self._begun_ns):
            self.pass_on_all()
            self._passing_ns += monotonic_ns() - now_ns

    def pass_on_all(self) -> None:
        """Hand over what is new."""
        taker, many = self.hand_over, len(self._rows)
        if taker is not None and many > self._passed_on:
            part, self._passed_on = self._rows[self._passed_on : many], many
            taker(part)


def of_this_process() -> MessageRecorder | None:
    """The recorder that is running in this process."""
    return _current


def to_records(rows: Sequence[Row]) -> tuple[MessageRecord, ...]:
    """As plain frozen data."""
    from concmagic.recording.raw_messages import MessageRecord

    return tuple(MessageRecord(*row) for row in rows)


def _unbound(function: Any) -> Any:
    """A class method's own function, which is given the class; one that drops it, of what stands for it."""
    inner = getattr(function, "__func__", None)
    return (lambda kind, *rest, **more: function(*rest, **more)) if inner is None else inner


def _row(
    end: Any,
    sends: bool,
    kind: str,
    begin_ns: int,
    moved_ns: int,
    data: Any,
    job: int | None = None,
    outcome: str = "",
) -> Row:
    inode, size, digest = os.fstat(end.fileno()).st_ino, len(data), zlib.crc32(data[:_DIGESTED])
    now_ns = monotonic_ns()
    native_id = threading.get_native_id()
    return [inode, sends, kind, native_id, begin_ns, moved_ns, now_ns, size, digest, job, outcome]


def _kind(caller: FrameType | None) -> str:
    """Whose message it is, by who is on the stack: a queue's, a loop worker's item, ours, or a pipe's."""
    kind = "pipe"
    while caller is not None:
        module = caller.f_globals.get("__name__", "")
        if module in _QUEUES:
            kind = "queue"
        elif module.startswith(_OURS):
            return "item" if caller.f_code.co_name == "work" else "ours"
        elif not module.startswith("multiprocessing."):
            break
        caller = caller.f_back
    return kind


def _sends_result(caller: FrameType | None) -> bool:
    return _is_in(_WORKERS, caller.f_back if caller is not None else None, 1)


def _is_in(places: set[tuple[str, str]], frame: FrameType | None, most: int) -> bool:
    for _ in range(most):
        if frame is None:
            return False
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in places:
            return True
        frame = frame.f_back
    return False
