"""Jobs of pools and of a `for` header, the user's marks, and who printed when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from concmagic.importing.clock_ids_places import CellClock, TrackIds
from concmagic.importing.found import Found
from concmagic.importing.tasks.task_flows import task_at
from concmagic.model.outcomes import outcome_of
from concmagic.model.trace import Flow, Job, Mark, Print
from concmagic.records.recording import JobRecord, Recording


def known_jobs(recording: Recording) -> tuple[JobRecord, ...]:
    """The jobs of the `for` header, and those of pools that only carried such jobs not again."""
    header = recording.jobs
    seen = {(process.pid, job) for process in recording.processes for job in process.jobs}
    of_pools = sorted((job for _, job in seen if job not in header), key=lambda job: job.submitted_ns)
    inside = defaultdict(list)
    for job in header:
        if job.started_ns is not None:
            inside[job.pid, job.native_id].append(job.started_ns)
    return (
        *header,
        *(job for job in of_pools if not _carries(job, inside.get((job.pid, job.native_id), ()))),
    )


def _carries(job: JobRecord, starts: Sequence[int]) -> bool:
    if job.started_ns is None:
        return bool(starts)
    end = job.ended_ns if job.ended_ns is not None else job.started_ns
    return any(job.started_ns <= start <= end for start in starts)


def import_jobs(jobs: Sequence[JobRecord], clock: CellClock, ids: TrackIds) -> tuple[Job, ...]:
    """Jobs with the track that ran them."""
    return tuple(
        Job(
            index=job.index,
            label=job.label,
            track=_runner(job, ids),
            submit_ns=clock.at(job.submitted_ns),
            start_ns=None if job.started_ns is None else clock.at(job.started_ns),
            end_ns=None if job.ended_ns is None else clock.at(job.ended_ns),
            outcome=outcome_of(job.outcome),
            count=job.count,
            running_ns=job.running_ns,
            queued_ns=job.queued_ns,
            items=job.items,
            failed=sum(many for text, many in job.outcomes if outcome_of(text).kind == "raised"),
        )
        for job in jobs
    )


def job_flows(jobs: Sequence[JobRecord], clock: CellClock, ids: TrackIds) -> list[Flow]:
    """From who submitted a job to who ran it, and back with the result."""
    flows = []
    for job in jobs:
        runner = _runner(job, ids)
        if runner is None or job.started_ns is None or job.count > 1:
            continue  # of merged ones no single moment is known
        submitter = _submitter(job, ids)
        if submitter is None or submitter == runner:
            continue
        began = clock.at(job.started_ns)
        flows.append(Flow("submit", submitter, clock.at(job.submitted_ns), runner, began, job.label))
        if job.ended_ns is not None:
            ended = clock.at(job.ended_ns)
            flows.append(Flow("result", runner, ended, submitter, ended, job.label))
    return flows


def to_waiters(flows: Sequence[Flow], of_waits: Sequence[Flow]) -> list[Flow]:
    """The flows; a result goes to who waited for it, to the submitter if nobody is known to have."""
    waited = {(flow.source, flow.source_ns) for flow in of_waits}
    kept = [flow for flow in flows if flow.kind != "result" or (flow.source, flow.source_ns) not in waited]
    return [*kept, *of_waits]


def import_marks(found: Found) -> None:
    """The user's marks, on the task or thread that set them."""
    ids, clock = found.ids, found.clock
    marks = {mark for process in found.recording.processes for mark in process.marks}
    for mark in sorted(marks, key=lambda mark: (mark.start_ns, mark.label)):
        track = ids.known("task", mark.pid, mark.task)
        if track is None:
            track = ids.known("thread", mark.pid, mark.native_id)
        found.marks.append(Mark(mark.label, clock.at(mark.start_ns), clock.at(mark.end_ns), track))


def _runner(job: JobRecord, ids: TrackIds) -> int | None:
    """Its task, else its thread; a process whose main thread does the jobs stands for that thread."""
    if job.task is None and job.native_id and job.native_id == job.pid:
        return ids.known("process", job.pid, 0)
    for key in (("task", job.task), ("thread", job.native_id), ("process", 0)):
        kind, number = key
        track = ids.known(kind, job.pid, number)
        if track is not None:
            return track
    return None


def _submitter(job: JobRecord, ids: TrackIds) -> int | None:
    """The thread that submitted it: of the same process, or of the one where that thread is known."""
    track = ids.known("thread", job.pid, job.submitter)
    if track is None:
        track = ids.thread_anywhere(job.submitter)
    return track


def import_prints(found: Found) -> None:
    """The prints of threads that have a track, in order."""
    clock = found.clock
    for process in found.recording.processes:
        for at_ns, native_id in process.prints:
            thread = found.ids.known("thread", process.pid, native_id)
            if thread is not None and clock.start_ns <= at_ns <= clock.start_ns + clock.wall_ns:
                moment = clock.at(at_ns)
                task = task_at(found.steps.get(thread, ()), moment)
                found.prints.append(Print(moment, thread if task is None else task))
    found.prints.sort(key=lambda one: one.at_ns)
