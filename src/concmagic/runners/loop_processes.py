"""Run a loop body in a pool of processes: one pipe per worker, one item in each at a time.

Not an executor's pool: that one does not know which item killed a worker, and keeps threads of its own
beside the notebook's.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from multiprocessing import connection as pipes
from multiprocessing.connection import Connection
from typing import Any

from concmagic import sentences
from concmagic.clock import monotonic, monotonic_ns, until
from concmagic.errors import ChildStartError
from concmagic.pipes import no_sigpipe
from concmagic.recording.interrupts_kept_back import Forking
from concmagic.runners import loop_worker
from concmagic.runners.interrupts import by_timeout
from concmagic.runners.loop_header import Source
from concmagic.runners.loop_jobs import Job, LoopRun
from concmagic.runners.loop_worker import Body, Done, Interrupted, Printed, Ready, unpack_result, work

_GRACE_S = 0.4  # for a worker to end after SIGTERM, before it is killed; and for an interrupt to be raised
_LOOK_S = 0.05


def run_in_processes(
    run: LoopRun, source: Source, body: Body, workers: int, file: str, start_method: str
) -> None:
    """Run every item, at most `workers` at once; what became of them is in `run`.

    Raises BodyError if the body cannot be sent, ChildStartError if a worker cannot start. Whatever ends
    this ends the workers, too.
    """
    pool = _Pool(run, body, workers, file, start_method)
    try:
        for job in run.jobs_of(source):
            pool.submit(job)
        while pool.is_busy:
            pool.take()
        pool.join()
    except KeyboardInterrupt:
        run.stopped = True
        pool.let_clean_up()
        raise
    finally:
        run.stopped = True
        pool.terminate()


class _Worker:
    """One process, its pipe, and what it runs."""

    def __init__(self, process: Any, connection: Connection) -> None:
        self.process = process
        self.connection = connection
        self.job: Job | None = None
        self.is_ready = False
        self.is_interrupted = False  # an interrupt was raised in its item


class _Pool:
    """Workers, started as items come; all is done in the thread that calls."""

    def __init__(self, run: LoopRun, body: Body, workers: int, file: str, start_method: str) -> None:
        self._run = run
        self._limit = workers
        self._file = file
        self._context = multiprocessing.get_context(start_method or _default_start_method())
        self._is_fork = self._context.get_start_method() == "fork"
        self._body = body if self._is_fork else loop_worker.pack_body(body)
        self._workers: list[_Worker] = []
        self._started = 0

    @property
    def is_busy(self) -> bool:
        """Whether an item is being run."""
        return any(worker.job is not None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Send it to a worker once one is free or may be started, unless the run is stopped meanwhile."""
        while not self._run.stopped:
            idle = next((worker for worker in self._workers if worker.job is None), None)
            if idle is None and len(self._workers) < self._limit:
                idle = self._start()
            if idle is not None:
                self._send(idle, job)
                return
            self.take()

    def take(self) -> None:
        """Wait until something comes from a worker, or one has ended."""
        handles: list[Any] = [worker.connection for worker in self._workers]
        handles += [worker.process.sentinel for worker in self._workers]
        # Written in Python, so that an interrupt finds a frame that it may raise in.
        ready = until(partial(pipes.wait, handles))
        for worker in list(self._workers):
            if worker.connection in ready or worker.process.sentinel in ready:
                self._receive(worker)

    def join(self) -> None:
        """Let the workers end by themselves, and wait until they have."""
        for worker in self._workers:
            with suppress(OSError), no_sigpipe():  # it has died just now: nothing of ours was in it
                worker.connection.send_bytes(b"")
        for worker in self._workers:
            while not _is_over(worker):
                self._print_more(worker)
            until(partial(_is_gone, worker))

    def let_clean_up(self) -> None:
        """Wait for items that were interrupted: their `finally` may put something to rest.

        A click reaches the workers by itself; that of `--timeout` is passed on. One in which nothing comes of
        it is not waited for; another interrupt ends the wait.
        """
        start = monotonic()
        with suppress(KeyboardInterrupt):
            if by_timeout():
                _pass_on(self._workers)
            while busy := [one for one in self._workers if one.job is not None and one.is_ready]:
                waited = monotonic() - start
                if waited > _GRACE_S and not any(worker.is_interrupted for worker in busy):
                    return
                handles = [one.connection for one in busy] + [one.process.sentinel for one in busy]
                ready = pipes.wait(handles, _LOOK_S)
                for worker in busy:
                    if worker.connection in ready or worker.process.sentinel in ready:
                        message = _next_message(worker)
                        worker.is_ready = message is not None  # else it has ended
                        self._note(worker, message)

    def terminate(self) -> None:
        """End what is left of them. An interrupt that comes again and again must not keep us from it."""
        left = [worker.process for worker in self._workers if _quietly(worker.process.is_alive)]
        for process in left:
            _quietly(process.terminate)
        _join_until(left, monotonic() + _GRACE_S)
        for process in left:
            if _quietly(process.is_alive):
                _quietly(process.kill)
        _join_until(left, monotonic() + _GRACE_S)
        for worker in self._workers:
            self._print_more(worker)
            worker.connection.close()
            with suppress(ValueError):  # it has outlived being killed
                worker.process.close()  # its pipes: a traceback may keep this pool for long
            if worker.job is not None:
                worker.job.cancel()

    def _start(self) -> _Worker:
        self._started += 1
        ours, theirs = self._context.Pipe()
        inherited = [ours, *(worker.connection for worker in self._workers)] if self._is_fork else []
        process = self._context.Process(  # type: ignore[attr-defined]
            target=work, args=(theirs, inherited, self._file, self._body), name=f"worker-{self._started}"
        )
        worker = _Worker(process, ours)
        self._workers.append(worker)  # first: an interrupt just after the start must find it there
        try:
            # An interrupt as it starts would leave a process that nobody has, and its pipes.
            with Forking() if self._is_fork else nullcontext():
                process.start()
        except Exception:
            self._workers.remove(worker)
            ours.close()
            raise
        finally:
            theirs.close()  # so that its end shows on our side of the pipe
        return worker

    def _send(self, worker: _Worker, job: Job) -> None:
        from multiprocessing.reduction import ForkingPickler

        try:
            message = bytes(ForkingPickler.dumps(job.item))
        except Exception as error:
            error.add_note(sentences.ITEM_CANNOT_BE_SENT)
            self._settle(job, None, error)
            return
        worker.job, worker.is_interrupted = job, False
        job.pid = job.native_id = worker.process.pid or 0
        job.started_ns, job.outcome = monotonic_ns(), "left running"
        # It has died: its sentinel tells.
        with suppress(BrokenPipeError, ConnectionResetError), no_sigpipe():
            worker.connection.send_bytes(message)

    def _receive(self, worker: _Worker) -> None:
        message = _next_message(worker)
        if message is None:
            self._bury(worker)
        else:
            self._note(worker, message)

    def _note(self, worker: _Worker, message: Any) -> None:
        if isinstance(message, Printed):
            getattr(sys, message.stream).write(message.text)
        elif isinstance(message, Ready):
            worker.is_ready = not message.problem
            if message.problem:
                self._refuse(worker, message.problem)
        elif isinstance(message, Interrupted):
            worker.is_interrupted = True
        elif isinstance(message, Done) and worker.job is not None:
            self._finish(worker, worker.job, message)

    def _print_more(self, worker: _Worker) -> None:
        """Take what a worker printed that runs no item any more."""
        with suppress(EOFError, OSError):  # it has ended: that was all
            while worker.connection.poll():
                message = worker.connection.recv()
                if isinstance(message, Printed):
                    getattr(sys, message.stream).write(message.text)

    def _finish(self, worker: _Worker, job: Job, done: Done) -> None:
        worker.job = None
        job.started_ns, job.ended_ns, job.native_id = done.started_ns, done.ended_ns, done.native_id
        self._settle(job, *unpack_result(done))

    def _bury(self, worker: _Worker) -> None:
        """A worker has ended that was not asked to."""
        until(partial(_is_gone, worker))  # its pipe may have ended a moment earlier
        self._workers.remove(worker)
        worker.connection.close()
        name, exit_code, job = worker.process.name, worker.process.exitcode, worker.job
        worker.process.close()
        if not worker.is_ready:
            if job is not None:
                job.started_ns, job.outcome = None, "not started"
            raise ChildStartError(sentences.worker_did_not_start(name, exit_code, ""))
        if job is not None:
            from concurrent.futures.process import BrokenProcessPool

            job.ended_ns = monotonic_ns()
            self._settle(job, None, BrokenProcessPool(sentences.worker_died(name, exit_code)))

    def _refuse(self, worker: _Worker, problem: str) -> None:
        if worker.job is not None:
            worker.job.started_ns, worker.job.outcome = None, "not started"
        raise ChildStartError(sentences.worker_did_not_start(worker.process.name, None, problem))

    def _settle(self, job: Job, value: Any, error: BaseException | None) -> None:
        job.settle(value, error)
        self._run.ended(job)


def _next_message(worker: _Worker) -> Any:
    """What a worker has sent; None where it has ended."""
    try:
        return worker.connection.recv() if worker.connection.poll() else None
    except (EOFError, OSError):
        return None


def _is_over(worker: _Worker) -> bool:
    """Wait until a worker has ended or printed something; answers whether it has ended."""
    ready = until(partial(pipes.wait, [worker.connection, worker.process.sentinel]))
    return worker.process.sentinel in ready


def _is_gone(worker: _Worker, seconds: float) -> bool:
    worker.process.join(seconds)
    return worker.process.exitcode is not None


def _pass_on(workers: list[_Worker]) -> None:
    for worker in workers:
        if worker.job is not None and worker.process.exitcode is None:
            with suppress(OSError):  # a child of ours: the number is its own until it is reaped
                os.kill(worker.process.pid, signal.SIGINT)


def _default_start_method() -> str:
    """The one that this process uses, without deciding it: `get_context()` would, for good."""
    return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]


def _join_until(processes: list[Any], limit: float) -> None:
    for process in processes:
        while (left := limit - monotonic()) > 0 and _quietly(process.is_alive):
            _quietly(partial(process.join, left))


def _quietly(action: Callable[[], Any]) -> Any:
    """Call `action`; once more where an interrupt came between."""
    try:
        return action()
    except KeyboardInterrupt:
        return action()
