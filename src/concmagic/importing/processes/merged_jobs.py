"""Jobs of pools of processes that were too many to be told one by one: the sums of each worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from concmagic import sentences
from concmagic.records.job_stretches import Worker, outcomes_of, records
from concmagic.records.messages import MessageRecord
from concmagic.records.recording import JobRecord, ProcessRecord

Place = tuple[int, int]  # pid and native id
ByThread = Mapping[Place, Sequence[MessageRecord]]


@dataclass(frozen=True, slots=True)
class Passage:
    """One message on its way from one thread to another."""

    sender: Place
    sent: MessageRecord
    receiver: Place
    received: MessageRecord


def ends_of_jobs(by_thread: ByThread) -> dict[int, MessageRecord]:
    """By the id of the message that brought a job: the one that took its result away."""
    ends: dict[int, MessageRecord] = {}
    for messages in by_thread.values():
        job: MessageRecord | None = None
        for one in messages:
            if one.kind == "job" and not one.sends:
                job = one
            elif one.kind == "result" and one.sends and job is not None:
                ends[id(job)] = one
                job = None
    return ends


def merged_jobs(
    processes: Sequence[ProcessRecord], by_thread: ByThread, passages: Sequence[Passage]
) -> tuple[JobRecord, ...]:
    """What workers added up themselves; and jobs that they told of, but who gave them did not."""
    found = [job for one in processes if one.messages is not None for job in one.messages.merged]
    if any(one.messages is not None and one.messages.later for one in processes):
        found += _given_by_nobody(by_thread, {id(one.received) for one in passages})
    found.sort(key=lambda job: job.started_ns or 0)
    return tuple(replace(job, index=index) for index, job in enumerate(found))


def told_merged(one_by_one: int, later: int, merged: Sequence[JobRecord]) -> str:
    """How many there were, and their sums."""
    running_ns = sum(job.running_ns for job in merged)
    done = sum(job.count for job in merged)
    return sentences.jobs_merged(one_by_one, max(later, done), outcomes_of(merged), running_ns, 0)


def _given_by_nobody(by_thread: ByThread, known: set[int]) -> list[JobRecord]:
    ends = ends_of_jobs(by_thread)
    found: list[JobRecord] = []
    for (pid, native_id), messages in by_thread.items():
        worker = Worker(native_id, messages[0].moved_ns)
        for one in messages:
            end = ends.get(id(one))
            if end is not None and id(one) not in known:
                worker.add(one.end_ns, one.end_ns, end.begin_ns, end.outcome, lambda: sentences.JOB)
        found += records([worker], 0, pid)
    return found
