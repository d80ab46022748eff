"""Run a loop body in a pool of threads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from concmagic.clock import until
from concmagic.recording.threads import thread_recorder as threads
from concmagic.runners.loop_header import Source
from concmagic.runners.loop_jobs import Job, LoopRun
from concmagic.runners.tracebacks import explain_unbound

Body = Callable[[Any], Any]
_OVER = object()


def run_in_threads(run: LoopRun, source: Source, body: Body, workers: int, file: str) -> None:
    """Run every item, at most `workers` at once; what became of them is in `run`.

    Whatever else ends the loop (an interrupt) comes through: then nothing new starts, and threads that
    are in the middle of an item are left behind, for no one can end them.
    """
    pool = _Pool(run, body, workers, file)
    try:
        for job in run.jobs_of(source):
            pool.submit(job)
            while pool.pending >= 2 * workers:
                pool.take()
        while pool.pending:
            pool.take()
        pool.join()
    finally:
        run.stopped = True
        pool.close()


class _Pool:
    """Threads of this loop alone, started as items come, and the two queues between them and us."""

    def __init__(self, run: LoopRun, body: Body, workers: int, file: str) -> None:
        self._run = run
        self._body = body
        self._workers = workers
        self._file = file
        self._threads: list[threading.Thread] = []
        self._todo: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        # Written in Python, so that an interrupt finds a frame that it may raise in.
        self._done: queue.Queue[Job] = queue.Queue()
        self.pending = 0

    def submit(self, job: Job) -> None:
        """Have a worker run it, a new one while there are fewer than wanted."""
        self._todo.put(job)
        self.pending += 1
        if len(self._threads) < self._workers and len(self._threads) < self.pending:
            self._start()

    def take(self) -> None:
        """Wait until one job has ended."""
        until(self._take_one)
        self.pending -= 1

    def _take_one(self, seconds: float) -> bool:
        try:
            self._done.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def close(self) -> None:
        """Tell the workers to end after what they run."""
        for _ in self._threads:
            self._todo.put(None)

    def join(self) -> None:
        """Wait until they have."""
        self.close()
        for thread in self._threads:
            until(partial(_has_ended, thread))

    def _start(self) -> None:
        name = f"worker-{len(self._threads) + 1}"
        # A partial: recorders look at the target's module to tell whose thread it is, and it is the user's.
        thread = threading.Thread(target=partial(self._work), name=name)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := until(self._next)) is not _OVER:
            if not self._run.stopped:
                self._run_one(job)
            self._done.put(job)

    def _next(self, seconds: float) -> Job | object:
        """The next job; _OVER when there is none any more, also where nobody could say so."""
        try:
            return self._todo.get(timeout=seconds) or _OVER
        except queue.Empty:
            return _OVER if self._run.stopped else None

    def _run_one(self, job: Job) -> None:
        threads.note_job()
        job.begin()
        try:
            job.end(self._body(job.item))
        except BaseException as error:  # also SystemExit, which would end the thread and not the cell
            job.end(None, error)
            explain_unbound(error, self._file)
            self._run.ended(job)
        threads.note_job()


def _has_ended(thread: threading.Thread, seconds: float) -> bool:
    thread.join(seconds)
    return not thread.is_alive()
