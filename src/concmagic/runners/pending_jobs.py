"""Jobs that pools have not begun, and that an interrupted cell gives up.

The queues of the cell's pools are emptied once the cell does not want them any more, by its end or by leaving
the `with` of the pool: a cell that catches the interrupt may still want them.
"""

from __future__ import annotations

import queue
import weakref
from contextlib import suppress
from typing import Any

from concmagic.interpreter import pool_internals


class PendingJobs:
    """The jobs that pools used since now have not begun. Pools of earlier cells are left alone."""

    def __init__(self) -> None:
        self._before = Workers()

    def cancel(self) -> None:
        """Cancel them; safe to call in a signal handler."""
        for jobs in list(pool_internals.thread_pools().values()):
            if not self._before.read(jobs):
                _cancel_queued(jobs)
        for manager in list(pool_internals.process_pools()):
            if not self._before.read(manager):
                _cancel_pending(manager)


class Workers:
    """The pools of `concurrent.futures` that have workers now.

    They are not kept alive: the traceback that a notebook keeps leads here, and each next one to the last.
    """

    def __init__(self) -> None:
        self._known = [
            weakref.ref(pool)
            for pool in (*pool_internals.thread_pools().values(), *pool_internals.process_pools())
        ]

    def read(self, jobs: Any) -> bool:
        """Whether they read this queue, or this manager fed them."""
        return jobs is not None and any(jobs is known() for known in self._known)

    def may_belong_to(self, pool: Any) -> bool:
        """Whether this pool had workers then, as far as one can tell: one of another make may have had."""
        jobs = pool_internals.queue_of(pool)
        manager = pool_internals.manager_of(pool)
        if jobs is None and manager is None:
            return True
        return self.read(jobs) or self.read(manager) or not _is_listed(manager)


def cancel_jobs_of(pool: Any) -> None:
    """Cancel what this one pool has not begun; safe to call in a signal handler."""
    jobs = pool_internals.queue_of(pool)
    if jobs is not None:
        _cancel_queued(jobs)
    manager = pool_internals.manager_of(pool)
    if manager is not None:
        _cancel_pending(manager)


def _is_listed(manager: Any) -> bool:
    """Other makes of process pools (loky) keep lists of their own."""
    return manager is None or any(manager is known for known in pool_internals.process_pools())


def _cancel_queued(jobs: Any) -> None:
    taken = []
    with suppress(queue.Empty):
        while True:
            taken.append(jobs.get_nowait())
    for job in taken:
        if job is None:  # tells a worker to end
            jobs.put(None)
        else:
            job.future.cancel()


def _cancel_pending(manager: Any) -> None:
    for job in list(getattr(manager, "pending_work_items", {}).values()):
        job.future.cancel()
