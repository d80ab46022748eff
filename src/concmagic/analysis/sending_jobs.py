"""What it costs to send a pool one job after the other: the time that a worker needs from one to the next.

Only where the next one had been handed over before the last was done: else a worker waits for whoever hands
over, and not for the sending. Medians: few jobs that were kept from their core tell nothing of the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from concmagic.model.trace import Job

Weighted = tuple[float, int]  # a time, and of how many jobs


@dataclass(frozen=True, slots=True)
class Sending:
    """How long jobs took, and how long a worker was at none though one was there."""

    job_ns: float
    gap_ns: float
    idle_ns: int  # all such time, of all workers


def sending(jobs: Sequence[Job]) -> Sending | None:
    """Of the jobs of one pool, all of which ran; None if none was handed over ahead."""
    of_worker: dict[int | None, list[Job]] = defaultdict(list)
    for job in sorted(jobs, key=lambda one: one.start_ns or 0):
        of_worker[job.track].append(job)
    gaps: list[Weighted] = []
    idle = 0
    for row in of_worker.values():
        for before, job in pairwise(row):
            gap = (job.start_ns or 0) - (before.end_ns or 0)
            if job.submit_ns <= (before.end_ns or 0) and gap >= 0:
                gaps.append((gap, 1))
                idle += gap
        for job in row:
            if job.count > 1:
                between = (job.end_ns or 0) - (job.start_ns or 0) - job.running_ns
                gaps.append((between / (job.count - 1), job.count - 1))
                idle += between
    if not gaps:
        return None
    return Sending(_median([(job.work_ns / job.count, job.count) for job in jobs]), _median(gaps), idle)


def _median(values: Sequence[Weighted]) -> float:
    """The value in the middle of so many."""
    half = sum(many for _, many in values) / 2
    for value, many in sorted(values):
        half -= many
        if half <= 0:
            return value
    return 0.0
