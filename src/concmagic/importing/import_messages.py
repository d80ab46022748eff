"""Messages between processes: which arrived as which, and the jobs that they carried.

A message is told by its pipe, its size and a digest of its beginning; of equal ones the first sent
arrived first. So one whose receiver was killed shifts nobody else's.
"""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from concmagic.model.outcomes import LEFT_RUNNING, LOST
from concmagic.problems import Problem
from concmagic.records.handed_over import MessageRecord, SentJob
from concmagic.records.job_stretches import Worker, outcomes_of, records
from concmagic.records.recording import JobRecord, ProcessRecord

_A_JOB = "job"  # the label of one of which the call is not known


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
    by_thread: dict[ThreadKey, list[MessageRecord]] = field(default_factory=dict)
    merged: tuple[JobRecord, ...] = ()  # jobs of which only sums are known
    problems: tuple[Problem, ...] = ()


def match(processes: Sequence[ProcessRecord]) -> Messages:
    """Find for each message that was received the one that was sent; linear but for sorting."""
    by_thread: dict[ThreadKey, list[MessageRecord]] = defaultdict(list)
    for process in processes:
        for message in process.messages.messages if process.messages is not None else ():
            by_thread[process.pid, message.native_id].append(message)
    for messages in by_thread.values():
        messages.sort(key=lambda one: one.moved_ns)
    passages = tuple(_passages(by_thread, _other_ends(processes)))
    jobs = tuple(_jobs(processes, by_thread, passages))
    merged = merged_jobs(processes, by_thread, passages)
    later = sum(one.messages.later for one in processes if one.messages is not None)
    problems = (told_merged(len(jobs), later, merged),) if later or merged else ()
    return Messages(passages, jobs, dict(by_thread), merged, problems)


def _other_ends(processes: Iterable[ProcessRecord]) -> dict[int, int]:
    """What goes into one end of a socket pair comes out at the other."""
    ends = {}
    for process in processes:
        for first, second in process.messages.pairs if process.messages is not None else ():
            ends[first], ends[second] = second, first
    return ends


def _passages(by_thread: dict[ThreadKey, list[MessageRecord]], other_ends: dict[int, int]) -> list[Passage]:
    waiting: dict[tuple[int, int, int], deque[tuple[ThreadKey, MessageRecord]]] = defaultdict(deque)
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
    by_thread: dict[ThreadKey, list[MessageRecord]],
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
            items=given.items,
        )
        back = None if end is None else results.get(id(end))
        found.append(ProcessJob(record, given, there.sender[0], there, back))
    return sorted(found, key=lambda job: job.record.submitted_ns)


def _outcome(end: MessageRecord | None, given: SentJob, worker: ProcessRecord) -> str:
    """The worker's own word; else what the future says of a job whose worker died."""
    if end is not None:
        return end.outcome
    return given.outcome or str(LEFT_RUNNING if worker.ended_ns is None else LOST)


ThreadKey = tuple[int, int]  # pid and native id
ByThread = Mapping[ThreadKey, Sequence[MessageRecord]]


@dataclass(frozen=True, slots=True)
class Passage:
    """One message on its way from one thread to another."""

    sender: ThreadKey
    sent: MessageRecord
    receiver: ThreadKey
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
    logs = [one.messages for one in processes if one.messages is not None]
    if any(log.later or log.counted_until_ns is not None for log in logs):
        found += _given_by_nobody(by_thread, {id(one.received) for one in passages}, tuple(found))
    found.sort(key=lambda job: job.started_ns or 0)
    return tuple(replace(job, index=index) for index, job in enumerate(found))


def told_merged(one_by_one: int, later: int, merged: Sequence[JobRecord]) -> Problem:
    """How many there were, and their sums."""
    running_ns = sum(job.running_ns for job in merged)
    done = sum(job.count for job in merged)
    return Problem.of("jobs_merged", one_by_one, max(later, done), outcomes_of(merged), running_ns, 0)


def _given_by_nobody(by_thread: ByThread, known: set[int], merged: Sequence[JobRecord]) -> list[JobRecord]:
    others: dict[ThreadKey, list[int]] = defaultdict(list)  # when what the worker itself has merged begins
    for job in merged:
        others[job.pid, job.native_id].append(job.started_ns or 0)
    ends = ends_of_jobs(by_thread)
    found: list[JobRecord] = []
    for (pid, native_id), messages in by_thread.items():
        worker, until_ns, starts = Worker(native_id, messages[0].moved_ns), 0, sorted(others[pid, native_id])
        for one in messages:
            end = ends.get(id(one))
            if end is None:
                continue
            if id(one) in known or bisect(starts, until_ns) != bisect(starts, one.end_ns):
                worker.cut()
            if id(one) not in known:
                worker.add(one.end_ns, one.end_ns, end.begin_ns, end.outcome, str, _A_JOB)
            until_ns = end.begin_ns
        found += records([worker], 0, pid)
    return found
