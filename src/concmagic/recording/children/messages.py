"""What processes send each other: every message through a pipe of multiprocessing, at both of its ends.

Queues, pools and executors are made of such pipes. A pipe is told by its inode, which all who have
an end of it share; a socket pair's two are noted where it is made. Which message arrived as which is
told later, when the evidence of all processes is together (`importing/import_messages.py`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import TYPE_CHECKING, Any

from concmagic.clock import monotonic_ns, thread_time_ns
from concmagic.interpreter.borrowing import Patches
from concmagic.interpreter.frames_and_threads import getframe
from concmagic.interpreter.known_functions import RESULT_READERS, WORKERS
from concmagic.interpreter.process_internals import SEND
from concmagic.problems import Problem
from concmagic.recording.children import message_arrivals, pickling
from concmagic.recording.children.message_arrivals import is_in, kind_of, row_of, sends_result, unbound
from concmagic.recording.children.process_jobs import LATER, MOST_JOBS, ProcessJobs, WorkerJobs, outcome_of
from concmagic.recording.children.yet_to_unpickle import Row, YetToUnpickle
from concmagic.recording.guards import Gate, watched
from concmagic.recording.time_budget import EVERY, SLICE_NS, TimeBudget

if TYPE_CHECKING:
    from concmagic.records.handed_over import MessageLog

MOST = 5_000  # messages that one process sent, and as many that it received, are kept; others only counted
FLUSH_SHARE = 0.02  # of a child's time: what handing over as it runs may take, beside
FLUSH_NS = 3_000_000  # … what the first jobs may, so that of few jobs each is known

PartTaker = Callable[[Sequence[Row]], None]

_SENDS, _KIND, _END = 1, 2, 6
_NOT_KEPT = ""  # the kind of what is kept only if it turns out to be a job or a result
_current: MessageRecorder | None = None


class MessageRecorder:
    """The messages of this process, from `start` to `stop`."""

    def __init__(self, time: TimeBudget | None = None) -> None:
        self._time = time or TimeBudget()
        # Since then none is seen, but those with the jobs of pools: after a gap equal ones could be mistaken.
        self._ended_ns = 0
        self.gate = Gate()  # closed while the budget is spent
        self._pickles = Gate()  # … and what is pickled is no job's of this worker
        self._left = EVERY  # jobs until it is looked whether the budget suffices again
        self.on_job: Callable[[], None] = lambda: None  # of a worker: it was given one
        self.hand_over: PartTaker | None = None  # of a child: it may be killed at any moment
        self.sleeps = False  # of a child: after this recording messages are looked at, and none may be missed
        self._rows: list[Row] = []
        self._many = [0, 0]  # of those received, of those sent
        self._passed_on = 0
        self._begun_ns = monotonic_ns()
        self._passing_ns = 0
        self._lost = 0
        self.problems: list[Problem] = []
        self._pairs: list[tuple[int, int]] = []
        self._patches = Patches()
        self._local = threading.local()
        self._yet_to_unpickle = YetToUnpickle()
        self._jobs = ProcessJobs(self._go_on_for_jobs, self._pickles)
        self._is_worker = False
        self._at_kept = False  # whether a job of this worker that is told one by one is under way
        self._at_work = WorkerJobs(self._begun_ns)
        self._file_names = pickling.LokyFileNames()

    def start(self) -> None:
        """Begin to see messages."""
        global _current
        if _current is not None:
            _current._uninstall()  # the parent's, in a forked child
        _current = self
        self._install()
        message_arrivals.watch(self)
        self._jobs.start(self._watch_loky)

    def _install(self) -> None:
        wrap = self._patches.wrap
        wrap(connection.Connection, SEND, lambda one: watched(one, self._sent, monotonic_ns, self.gate))
        wrap(ForkingPickler, "dumps", self._dumps)
        loads = lambda one: staticmethod(watched(one, self._unpickled, None, self._pickles))  # noqa: E731
        wrap(ForkingPickler, "loads", loads, is_static=True)
        wrap(connection, "Pipe", lambda one: watched(one, self._made_pipe))

    def _rest(self) -> None:
        """The budget is spent: see no more. A worker adds up its jobs; one that is told has to end before."""
        self._ended_ns = self._ended_ns or monotonic_ns()
        if self._at_kept:
            return
        self.gate.closed, self._left = True, 1
        self._pickles.closed = not self._is_worker
        self._jobs.most = 0
        if not self._is_worker and not self._jobs.has_any:
            self._patches.restore()
            if self.hand_over is None:  # in a child the watch stays: see `message_arrivals`
                message_arrivals.unwatch()

    def _go_on_for_jobs(self) -> None:
        """A job is given to a pool, or begins in this worker: see what comes, if that can be paid."""
        self._left -= 1
        if self.gate.closed and self._left <= 0:
            self._left = EVERY
            if not self._time.seconds_until(SLICE_NS):
                if not self._patches.has(connection.Connection, SEND):
                    self._install()
                    message_arrivals.watch(self)
                self.gate.closed = self._pickles.closed = False
                self._jobs.most = MOST_JOBS

    def _dumps(self, original: Any) -> Any:
        """Bound to the pickler's class, as the original is; from there it comes bound."""
        return classmethod(watched(unbound(original), self._pickled, monotonic_ns, self._pickles))

    def stop(self) -> MessageLog:
        """Put everything back, and hand over what was seen."""
        from concmagic.records.handed_over import MessageLog  # its class is made late: a child waits

        global _current
        self._uninstall()
        if _current is self:
            _current = None
            if self.sleeps:
                message_arrivals.watch()
            else:
                message_arrivals.unwatch()
        self.hand_over = None
        if self._lost:
            self.problems.append(Problem.of("messages_left_out", MOST, self._lost))
        rows, self._rows = self._rows, []
        return MessageLog(
            message_arrivals.records(rows),
            self._jobs.records(),
            tuple(self._pairs),
            self._jobs.later,
            self._at_work.records(),
            self._ended_ns or None,
        )

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
            lambda one: watched(pickling.loky_dumps(one), self._pickled, monotonic_ns, self._pickles),
        )

    def _made_pipe(self, told: None, ends: Any, *arguments: Any, **options: Any) -> None:
        with suppress(OSError):  # where a pipe is no file, its ends have no inodes
            first, second = (os.fstat(end.fileno()).st_ino for end in ends)
            if first != second:
                self._pairs.append((first, second))

    def _pickled(self, begun_ns: int, data: Any, *arguments: Any, **options: Any) -> None:
        value = arguments[-1] if len(arguments) < 3 else arguments[1]
        frame = getframe(2)
        job, outcome = self._jobs.job_of(value, frame), ""
        if value is None and self._jobs.later:
            job = LATER  # the end of a pool's jobs
        if sends_result(frame):
            if self._at_work.ended(begun_ns, value):
                job = LATER
            else:
                outcome = outcome_of(value)
                self._at_kept = False
        told = begun_ns, monotonic_ns(), len(data), job, outcome
        self._local.pickled = None if self.gate.closed else told

    def _sent(self, begun_ns: int, result: None, end: Any, data: Any) -> None:
        size = len(data)
        pickled = getattr(self._local, "pickled", None)
        self._local.pickled = None
        if pickled is not None and pickled[3] == LATER:
            return  # neither it nor its job is told one by one
        kind, job, outcome = kind_of(getframe(2)), None, ""
        first_ns = moved_ns = begun_ns
        if kind == "ours":
            return
        if pickled is not None and pickled[2] == size:
            first_ns, moved_ns, _, job, outcome = pickled
            kind = "result" if outcome else "job" if job is not None else kind
        self._look()
        # What takes a kept job's result away is kept, too: else nobody knew when that job ended.
        if outcome or job is not None or self._has_room(True):
            self._add(row_of(end, True, kind, first_ns, moved_ns, data, job, outcome))

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
        kind = kind_of(caller)
        if kind == "ours":
            return
        if kind == "item":
            self.on_job()
        self._look()
        row, is_kept = None, self._has_room(False)
        with buffer.getbuffer() as data:
            if is_kept:
                row = row_of(end, False, kind, begun_ns, now_ns, data)
                self._add(row)
            elif self._ended_ns and self._may_be_job():
                row = row_of(end, False, _NOT_KEPT, begun_ns, now_ns, data)
            self._yet_to_unpickle.add(data, row)
        if kind == "item":
            self._pass_on()

    def _unpickled(self, told: None, value: Any, data: Any, *arguments: Any, **options: Any) -> None:
        is_message, row = self._yet_to_unpickle.take(data)
        if not is_message and not self.gate.closed:
            return
        kind, frame = "", getframe(2)
        if is_in(WORKERS, frame.f_back, 1):
            kind = "job" if value is not None else "end"
        if kind == "job":
            self._is_worker = True
            self.on_job()
            self._go_on_for_jobs()
            if row is not None:
                self.gate.closed = False  # what it needed closed it: it is told all the same
            self._at_kept = row is not None
            self._at_work.taken(value, self._at_kept)
        elif not kind and is_in(RESULT_READERS, frame.f_back, 1):
            kind = "result"
        if row is not None:
            row[_END] = monotonic_ns()
            if kind in ("job", "result"):
                if row[_KIND] == _NOT_KEPT:
                    self._add(row)
                row[_KIND] = kind
            if kind == "job":
                self._pass_on()
                row[_END] = monotonic_ns()  # the job itself begins when our notes are written
        elif kind and not self._ended_ns:
            self._lost -= 1  # its job is told by its sums

    def _has_room(self, sends: bool) -> bool:
        """Whether another one is kept, whatever it is; else it is counted."""
        if self._many[sends] < MOST:
            return not self._ended_ns
        self._lost += not self._ended_ns
        return False

    def _may_be_job(self) -> bool:
        """Whether what arrives may be a job or its result that is kept although others are not."""
        return not (self.gate.closed or self._at_kept) and self._many[False] < MOST

    def _look(self) -> None:
        if not self.gate.closed and self._time.is_spent():
            self._rest()

    def _add(self, row: Row) -> None:
        self._many[row[_SENDS]] += 1
        self._rows.append(row)

    def _pass_on(self) -> None:
        """Hand over what is new, unless that has taken too much time already."""
        if self.hand_over is None or len(self._rows) == self._passed_on:
            return
        if self._passing_ns <= FLUSH_NS + FLUSH_SHARE * (monotonic_ns() - self._begun_ns):
            begun_ns = thread_time_ns()
            self.pass_on_all()
            self._passing_ns += (took_ns := thread_time_ns() - begun_ns)
            self._time.note_beside(took_ns)

    def pass_on_all(self) -> None:
        """Hand over what is new."""
        taker, many = self.hand_over, len(self._rows)
        if taker is not None and many > self._passed_on:
            part, self._passed_on = self._rows[self._passed_on : many], many
            taker(part)


def of_this_process() -> MessageRecorder | None:
    """The recorder that is running in this process."""
    return _current
