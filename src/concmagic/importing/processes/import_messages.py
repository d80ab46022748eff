"""Messages between processes: which arrived as which, and the jobs that they carried.

A message is told by its pipe, its size and a digest of its beginning; of equal ones the first sent
arrived first. So one whose receiver was killed shifts nobody else's.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from concmagic import sentences
from concmagic.importing.processes.merged_jobs import Passage, Place, ends_of_jobs, merged_jobs, told_merged
from concmagic.records.messages import MessageRecord, SentJob
from concmagic.records.recording import JobRecord, ProcessRecord


@dataclass(frozen=True, slots=True)
class ProcessJob:
    """A job of a pool of processes: where it was submitted, how it travelled, where it ran."""

    record: JobRecord
    given: SentJob
    giver: int  # pid of the process that submitted it
    there: Passage
    back: Passage | None


@dataclass(frozen=True, slots=True)
class Messages:
    """All messages of a recording, matched."""

    passages: tuple[Passage, ...] = ()
    jobs: tuple[ProcessJob, ...] = ()
    by_thread: dict[Place, list[MessageRecord]] = field(default_factory=dict)
    merged: tuple[JobRecord, ...] = ()  # jobs of which only sums are known
    problems: tuple[str, ...] = ()


def match(processes: Sequence[ProcessRecord]) -> Messages:
    """Find for each message that was received the one that was sent; linear but for sorting."""
    by_thread: dict[Place, list[MessageRecord]] = defaultdict(list)
    for process in processes:
        for message in process.messages.messages if process.messages is not None else ():
            by_thread[process.pid, message.native_id].append(message)
    for messages in by_thread.values():
        messages.sort(key=lambda one: one.moved_ns)
    passages = tuple(_passages(by_thread, _other_ends(processes)))
    jobs = tuple(_jobs(processes, by_thread, passages))
    merged = merged_jobs(processes, by_thread, passages)
    later = sum(one.messages.later for one in processes if one.messages is not None)
    problems = (told_merged(len(jobs), later, merged),) if later else ()
    return Messages(passages, jobs, dict(by_thread), merged, problems)


def _other_ends(processes: Iterable[ProcessRecord]) -> dict[int, int]:
    """What goes into one end of a socket pair comes out at the other."""
    ends = {}
    for process in processes:
        for first, second in process.messages.pairs if process.messages is not None else ():
            ends[first], ends[second] = second, first
    return ends


def _passages(by_thread: dict[Place, list[MessageRecord]], other_ends: dict[int, int]) -> list[Passage]:
    waiting: dict[tuple[int, int, int], deque[tuple[Place, MessageRecord]]] = defaultdict(deque)
    every = [(one, place) for place, messages in by_thread.items() for one in messages]
    for one, place in sorted(every, key=lambda pair: pair[0].end_ns):
        if one.sends:
            pipe = other_ends.get(one.pipe, one.pipe)
            waiting[pipe, one.size, one.digest].append((place, one))
    found = []
    for one, place in sorted(every, key=lambda pair: pair[0].moved_ns):
        sent = waiting.get((one.pipe, one.size, one.digest))
        if not one.sends and sent and sent[0][1].moved_ns <= one.moved_ns:
            found.append(Passage(*sent.popleft(), place, one))
    return found


def _jobs(
    processes: Sequence[ProcessRecord],
    by_thread: dict[Place, list[MessageRecord]],
    passages: Sequence[Passage],
) -> list[ProcessJob]:
    by_pid = {process.pid: process for process in processes}
    results = {id(one.sent): one for one in passages if one.sent.kind == "result"}
    ends = ends_of_jobs(by_thread)
    found: list[ProcessJob] = []
    for there in passages:
        log = by_pid[there.sender[0]].messages
        if there.sent.job is None or there.received.kind != "job" or log is None:
            continue
        given, end = log.jobs[there.sent.job], ends.get(id(there.received))
        record = JobRecord(
            index=len(found),
            label=given.label,
            submitted_ns=given.submitted_ns,
            started_ns=there.received.end_ns,
            ended_ns=by_pid[there.receiver[0]].ended_ns if end is None else end.begin_ns,
            outcome=_outcome(end, given, by_pid[there.receiver[0]]),
            pid=there.receiver[0],
            native_id=there.receiver[1],
            submitter=given.submitter,
        )
        back = None if end is None else results.get(id(end))
        found.append(ProcessJob(record, given, there.sender[0], there, back))
    return sorted(found, key=lambda job: job.record.submitted_ns)


def _outcome(end: MessageRecord | None, given: SentJob, worker: ProcessRecord) -> str:
    """The worker's own word; else what the future says of a job whose worker died."""
    if end is not None:
        return end.outcome
    return given.outcome or ("left running" if worker.ended_ns is None else sentences.JOB_LOST)
