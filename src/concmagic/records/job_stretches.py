"""Very many jobs of pools, merged: per worker a record for a stretch of time, whose sums are exact."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concmagic.records.handed_over import JobRecord

MOST_JOBS = 10_000  # of one process that are kept one by one; later ones are merged
_GAP_NS = 1_000_000  # between two jobs of one stretch, at most
_GAP_SHARE = 0.001  # … or this share of what has passed: a long cell has no more stretches than a short one
_GAPS = 10  # so many times as long is a stretch, at most


class _Stretch:
    """Jobs of one worker, one after the other."""

    __slots__ = ("count", "end_ns", "label", "limit_ns", "outcomes", "queued_ns", "running_ns", "start_ns")

    def __init__(self, label: str, start_ns: int, limit_ns: int) -> None:
        self.label = label
        self.start_ns = self.end_ns = start_ns
        self.limit_ns = limit_ns  # no job that begins later belongs to it
        self.count = self.running_ns = self.queued_ns = 0
        self.outcomes: dict[str, int] = {}


class Worker:
    """What one thread has done."""

    __slots__ = ("_began_ns", "native_id", "stretches")

    def __init__(self, native_id: int, began_ns: int) -> None:
        self.native_id = native_id
        self._began_ns = began_ns
        self.stretches: list[_Stretch] = []

    def add(
        self, submitted_ns: int, start_ns: int, end_ns: int, outcome: str, label: Callable[[], str]
    ) -> bool:
        """A job is over; `label` is asked for the first of a stretch. Whether that was one."""
        one = self.stretches[-1] if self.stretches else None
        gap_ns = max(_GAP_NS, int(_GAP_SHARE * (start_ns - self._began_ns)))
        is_new = one is None or start_ns > one.limit_ns or start_ns - one.end_ns > gap_ns
        if one is None or is_new:
            one = _Stretch(label(), start_ns, start_ns + _GAPS * gap_ns)
            self.stretches.append(one)
        one.end_ns = end_ns
        one.count += 1
        one.running_ns += end_ns - start_ns
        one.queued_ns += start_ns - submitted_ns
        one.outcomes[outcome] = one.outcomes.get(outcome, 0) + 1
        return is_new


class JobStretches:
    """Adds up jobs; each worker adds its own, so there is nothing to lock."""

    def __init__(self, began_ns: int, on_stretch: Callable[[], None] = lambda: None) -> None:
        self._began_ns = began_ns
        self._on_stretch = on_stretch  # called where a worker begins a stretch
        self._workers: list[Worker] = []
        self._local = threading.local()

    def add(
        self, submitted_ns: int, start_ns: int, end_ns: int, outcome: str, label: Callable[[], str]
    ) -> None:
        """A job is over, on the calling thread."""
        try:
            worker: Worker = self._local.worker
        except AttributeError:
            worker = self._local.worker = Worker(threading.get_native_id(), self._began_ns)
            self._workers.append(worker)
        if worker.add(submitted_ns, start_ns, end_ns, outcome, label):
            self._on_stretch()

    def records(self, first: int, pid: int) -> list[JobRecord]:
        """See the function of this name."""
        return records(self._workers, first, pid)


def records(workers: Sequence[Worker], first: int, pid: int) -> list[JobRecord]:
    """One record per stretch, in order of time, numbered from `first` on."""
    from concmagic.records.handed_over import JobRecord

    every = [(one, worker.native_id) for worker in workers for one in worker.stretches]
    every.sort(key=lambda pair: pair[0].start_ns)
    return [
        JobRecord(
            index=first + number,
            label=one.label,
            submitted_ns=one.start_ns - one.queued_ns // one.count,
            started_ns=one.start_ns,
            ended_ns=one.end_ns,
            outcome=_worst(one.outcomes),
            pid=pid,
            native_id=native_id,
            count=one.count,
            running_ns=one.running_ns,
            queued_ns=one.queued_ns,
            outcomes=tuple(one.outcomes.items()),
        )
        for number, (one, native_id) in enumerate(every)
    ]


def outcomes_of(jobs: Sequence[JobRecord]) -> tuple[tuple[str, int], ...]:
    """How many came out how."""
    found: Counter[str] = Counter()
    for job in jobs:
        found.update(dict(job.outcomes))
    return tuple(found.items())


def _worst(outcomes: dict[str, int]) -> str:
    """One that is no good where there is any: the stretch is marked then."""
    return max(outcomes, key=lambda outcome: (outcome.startswith("raised "), outcome != "returned"))
