"""What messages tell of threads: arrows between them, and states: waiting for work or a pipe, pickling.

Of a pool's jobs the submission and the result are arrows of their own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from concmagic.importing.clock_ids_places import CellClock
from concmagic.importing.import_messages import Messages, Passage, ProcessJob, ThreadKey
from concmagic.importing.tasks.task_flows import Step, task_at
from concmagic.model.reasons import OF_A_LOCK, OF_LOCKS
from concmagic.model.states import cover, within
from concmagic.model.trace import Flow, State, StateInterval, Track
from concmagic.records.handed_over import MessageRecord
from concmagic.records.recording import ProcessRecord

_NOTICED_NS = 2_000_000  # from the end of a wait to reading what ended it
_POLLED_NS = 50_000_000  # joblib looks for results every 10 ms, or a little later on a busy machine


@dataclass(frozen=True, slots=True)
class _Threads:
    """Tracks of threads by pid and native id, with the starts of their states."""

    tracks: Mapping[ThreadKey, Track]
    starts: Mapping[int, Sequence[int]]
    steps: Mapping[int, Sequence[Step]]

    def submitter(self, job: ProcessJob, clock: CellClock) -> int | None:
        """The track of the task, else of the thread, that submitted a job."""
        thread = self.tracks.get((job.giver, job.given.submitter))
        if thread is None:
            return None
        task = task_at(self.steps.get(thread.id, ()), clock.at(job.given.submitted_ns))
        return thread.id if task is None else task

    def end_of_wait(self, place: ThreadKey, at: int) -> int:
        """When the wait was over that a thread was in just before it read something; else that moment."""
        track = self.tracks[place]
        index = bisect_left(self.starts[track.id], at) - 1
        for one in reversed(track.states[max(index - 2, 0) : index + 1]):
            if one.state is State.WAITING and at - one.end_ns <= _NOTICED_NS:
                return min(one.end_ns, at)
        return at

    def noticed(self, place: ThreadKey, at: int) -> int:
        """When a thread noticed what came at that moment: at once, or with its next look."""
        track = self.tracks[place]
        index = bisect_left(self.starts[track.id], at) - 1
        one = track.states[index] if index >= 0 else None
        if one is None or one.state is not State.WAITING or one.reason != "result":
            return at
        return one.end_ns if at <= one.end_ns <= at + _POLLED_NS else at


def message_flows(
    messages: Messages, tracks: Sequence[Track], steps: Mapping[int, Sequence[Step]], clock: CellClock
) -> list[Flow]:
    """Flows between the threads that have tracks, none backwards in time.

    A job that a task submitted is the task's; `steps` are those of tasks, by their thread's track.
    """
    threads = _threads(tracks, steps)
    flows = [flow for job in messages.jobs for flow in _of_job(job, threads, clock)]
    # Of two flows that end a wait the path follows the later in this list: a helper tells more.
    flows += [flow for job in messages.jobs for flow in _through_helpers(job, threads, clock)]
    of_jobs = {id(one) for job in messages.jobs for one in (job.there, job.back)}
    for passage in messages.passages:
        flows += _of_passage(passage, threads, clock, is_job=id(passage) in of_jobs)
    return flows


def _threads(tracks: Sequence[Track], steps: Mapping[int, Sequence[Step]]) -> _Threads:
    by_place = {(track.pid, track.native_id): track for track in tracks if track.kind == "thread"}
    starts = {track.id: [one.start_ns for one in track.states] for track in tracks}
    return _Threads(by_place, starts, steps)


def _of_passage(passage: Passage, threads: _Threads, clock: CellClock, is_job: bool) -> list[Flow]:
    tracks = threads.tracks
    if passage.sender not in tracks or passage.receiver not in tracks or passage.sender == passage.receiver:
        return []
    source, target = tracks[passage.sender], tracks[passage.receiver]
    if is_job and source.role == target.role:
        return []  # no helper between: the job's own arrow says it all
    written, arrived = clock.at(passage.sent.end_ns), clock.at(passage.received.moved_ns)
    noticed = max(threads.end_of_wait(passage.receiver, arrived), clock.at(passage.sent.moved_ns))
    return [_with(passage.sent, Flow("send", source.id, min(written, noticed), target.id, noticed))]


def _of_job(job: ProcessJob, threads: _Threads, clock: CellClock) -> list[Flow]:
    source, runner = threads.submitter(job, clock), job.there.receiver
    if source is None or runner not in threads.tracks:
        return []
    target = threads.tracks[runner].id
    sent, at = job.there.sent, clock.at
    record, label = job.record, job.record.label
    submit = Flow("submit", source, at(record.submitted_ns), target, at(record.started_ns or 0), label)
    flows = [_with(sent, submit)]
    if job.back is None:
        return flows
    sent, read_ns = job.back.sent, at(job.back.received.end_ns)
    noticed = threads.noticed((job.giver, job.given.submitter), read_ns)
    result = Flow("result", target, min(at(sent.begin_ns), read_ns), source, noticed, label)
    return [*flows, _with(sent, result)]


def _with(sent: MessageRecord, flow: Flow) -> Flow:
    """An arrow with what the message says that it stands for."""
    return replace(flow, size=sent.size, pickled_ns=max(sent.moved_ns - sent.begin_ns, 0))


def _through_helpers(job: ProcessJob, threads: _Threads, clock: CellClock) -> list[Flow]:
    """To the thread that pickles and sends it, which may have waited; from the one that reads results."""
    submitter, queuer, helper = (
        (job.giver, job.given.submitter),
        (job.giver, job.given.queuer),
        job.there.sender,
    )
    tracks, flows = threads.tracks, []
    if queuer != helper and queuer in tracks and helper in tracks:
        queued = clock.at(job.given.queued_ns)
        noticed = max(threads.end_of_wait(helper, clock.at(job.there.sent.begin_ns)), queued)
        flows.append(Flow("submit", tracks[queuer].id, queued, tracks[helper].id, noticed, job.record.label))
    if job.back is not None and job.back.receiver != submitter:
        reader = tracks.get(job.back.receiver)
        target = threads.submitter(job, clock)
        if reader is not None and target is not None:
            read_ns = clock.at(job.back.received.end_ns)
            noticed = threads.noticed(submitter, read_ns)
            flows.append(Flow("result", reader.id, read_ns, target, noticed, job.record.label))
    return flows


SHORTEST_NS = 50_000  # pickling that took less is part of the running around it
_WAITS = {"queue": "Queue.get", "pipe": "pipe"}
_UNTOLD = (
    "",
    "read",
    "lock",
    "process lock",
    "socket",
    "select",
)  # what the operating system knows of such a wait

Applies = Callable[[StateInterval], bool]


def with_messages(thread: Track, every: Messages, process: ProcessRecord, clock: CellClock) -> Track:
    """The thread's track, with what its messages tell in its states."""
    messages = every.by_thread.get((process.pid, thread.native_id), ())
    if not messages:
        return thread
    states: Sequence[StateInterval] = thread.states
    states = laid_over(states, _idle(messages, process, clock), lambda one: True)
    states = laid_over(states, _sending(messages, clock), _waits_for_lock)
    states = laid_over(states, _pickling(messages, clock), _computes)
    states = laid_over(states, _waits(messages, clock), _waits_untold)
    return replace(thread, states=tuple(states))


def laid_over(
    states: Sequence[StateInterval], pieces: Sequence[StateInterval], applies: Applies
) -> Sequence[StateInterval]:
    """The pieces over those of the states that they apply to."""
    if not pieces or not states:
        return states
    cut = []
    for piece in pieces:
        for below in within(states, piece.start_ns, piece.end_ns):
            if applies(below):
                cut.append(replace(piece, start_ns=below.start_ns, end_ns=below.end_ns))
    return cover(states[0].start_ns, states[-1].end_ns, states, cut)


def _waits_for_lock(one: StateInterval) -> bool:
    """By samples, that is: what is recorded one by one is over when a message is pickled."""
    return one.state is State.WAITING and (one.reason in OF_LOCKS or one.reason == OF_A_LOCK)


def _computes(one: StateInterval) -> bool:
    return one.state in (State.RUNNING, State.UNKNOWN)


def _waits_untold(one: StateInterval) -> bool:
    return one.state is State.UNKNOWN or (
        one.state is State.WAITING and not one.line and one.reason in _UNTOLD
    )


def _idle(messages: Sequence[MessageRecord], process: ProcessRecord, clock: CellClock) -> list[StateInterval]:
    """A worker waits for work from one job's result to the next job's arrival."""
    found: list[StateInterval] = []
    free_ns = clock.start_ns if process.started_ns is None else None
    is_worker = False
    for one in messages:
        if one.kind in ("job", "item") and not one.sends:
            found += _piece(clock, free_ns or one.begin_ns, one.moved_ns, State.WAITING, "for work")
            free_ns, is_worker = None, True
        elif one.kind == "result" and one.sends:
            free_ns = one.end_ns
    for start_ns, end_ns in _merged(messages, process) if is_worker else ():
        if free_ns is not None:
            found += _piece(clock, free_ns, start_ns, State.WAITING, "for work")
        free_ns = end_ns
    if is_worker and free_ns is not None:
        end_ns = process.done_ns or process.ended_ns or clock.start_ns + clock.wall_ns
        found += _piece(clock, free_ns, end_ns, State.WAITING, "for work")
    return found


def _merged(messages: Sequence[MessageRecord], process: ProcessRecord) -> list[tuple[int, int]]:
    """From and to when it had jobs of which only sums are known, after those that messages tell."""
    merged = process.messages.merged if process.messages is not None else ()
    last = messages[-1]
    return sorted(
        (job.started_ns, job.ended_ns)
        for job in merged
        if job.native_id == last.native_id and job.started_ns is not None and job.ended_ns is not None
    )


def _sending(messages: Sequence[MessageRecord], clock: CellClock) -> list[StateInterval]:
    """When it surely waited for nothing."""
    return [
        piece
        for one in messages
        if one.sends
        for piece in _piece(clock, one.begin_ns, one.moved_ns, State.RUNNING, "")
    ]


def _pickling(messages: Sequence[MessageRecord], clock: CellClock) -> list[StateInterval]:
    found: list[StateInterval] = []
    for one in messages:
        begin, end = (one.begin_ns, one.moved_ns) if one.sends else (one.moved_ns, one.end_ns)
        if end - begin >= SHORTEST_NS:
            found += _piece(clock, begin, end, State.RUNNING, "pickling" if one.sends else "unpickling")
    return found


def _waits(messages: Sequence[MessageRecord], clock: CellClock) -> list[StateInterval]:
    found: list[StateInterval] = []
    for one in messages:
        if not one.sends and one.kind in _WAITS:
            found += _piece(clock, one.begin_ns, one.moved_ns, State.WAITING, _WAITS[one.kind])
    return found


def _piece(clock: CellClock, begin_ns: int, end_ns: int, state: State, reason: str) -> list[StateInterval]:
    begin, end = clock.at(begin_ns), clock.at(end_ns)
    return [StateInterval(begin, end, state, reason)] if end > begin else []
