"""After an interrupt no job of the cell's pools begins any more: their queues are emptied."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class PendingJobs:
    """The jobs that pools used since now have not begun. Pools of earlier cells are left alone."""

    def __init__(self) -> None:
        self._queues_before = list(_thread_pools().values())
        self._managers_before = list(_process_pools())

    def cancel(self) -> None:
        """Cancel them; safe to call in a signal handler."""
        for jobs in list(_thread_pools().values()):
            if not any(jobs is known for known in self._queues_before):
                _cancel_queued(jobs)
        for manager in list(_process_pools()):
            if not any(manager is known for known in self._managers_before):
                _cancel_pending(manager)


def _thread_pools() -> Any:
    module = sys.modules.get("concurrent.futures.thread")
    return getattr(module, "_threads_queues", {})


def _process_pools() -> Any:
    module = sys.modules.get("concurrent.futures.process")
    return getattr(module, "_threads_wakeups", {})


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
    pending = getattr(manager, "pending_work_items", {})
    cancels: list[Callable[[], Any]] = [job.future.cancel for job in list(pending.values())]
    for cancel in cancels:
        cancel()
