"""Messages of a recording: which arrived as which, and the jobs that they carried."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from recordings import at, kernel

from concmagic.importing.import_messages import Messages, match
from concmagic.model.outcomes import LOST
from concmagic.records.handed_over import MessageLog, MessageRecord, SentJob
from concmagic.records.recording import ProcessRecord

PIPE = 7
MAIN, FEEDER, WORKER, OTHER = 40, 41, 50, 60


def sent(ms: float, digest: int = 1, **more: Any) -> MessageRecord:
    """A message that the feeder sent: pickled from then on for 1 ms, written 1 ms later."""
    return message(ms, digest, sends=True, **({"native_id": FEEDER} | more))


def received(ms: float, digest: int = 1, **more: Any) -> MessageRecord:
    """A message that the worker waited for 1 ms until then, and unpickled for 1 ms."""
    return message(ms - 1, digest, sends=False, **({"native_id": WORKER} | more))


def message(begin: float, digest: int, **more: Any) -> MessageRecord:
    values: dict[str, Any] = {"pipe": PIPE, "kind": "pipe", "size": 10}
    times = {"begin_ns": at(begin), "moved_ns": at(begin + 1), "end_ns": at(begin + 2)}
    return MessageRecord(digest=digest, **(values | times | more))


def child(pid: int, *messages: MessageRecord, **more: Any) -> ProcessRecord:
    return kernel(
        pid=pid, parent_pid=MAIN, main_native_id=pid, messages=MessageLog(messages), **({"name": "w"} | more)
    )


def parent(*messages: MessageRecord, **more: Any) -> ProcessRecord:
    return kernel(messages=MessageLog(messages, **more))


def arrivals(found: Messages) -> list[tuple[int, int]]:
    """Of each message when it was written, and when it was there (milliseconds)."""
    begin = at(0)
    return [
        (round((one.sent.end_ns - begin) / 1e6), round((one.received.moved_ns - begin) / 1e6))
        for one in found.passages
    ]


def test_a_message_arrives_where_its_pipe_size_and_beginning_say() -> None:
    senders = parent(sent(0, digest=1), sent(1, digest=2), sent(2, digest=1, pipe=8))
    found = match((senders, child(WORKER, received(10, digest=2), received(12, digest=1))))
    assert arrivals(found) == [(3, 10), (2, 12)]


def test_of_equal_messages_the_first_arrives_first() -> None:
    found = match((parent(sent(0), sent(5)), child(WORKER, received(8), received(20))))
    assert arrivals(found) == [(2, 8), (7, 20)]


def test_one_whose_receiver_was_killed_shifts_nobody_elses() -> None:
    found = match((parent(sent(0, digest=1), sent(1, digest=2)), child(OTHER, received(9, digest=2))))
    assert arrivals(found) == [(3, 9)]


def test_what_was_sent_before_the_cell_is_nobodys() -> None:
    assert match((parent(sent(20)), child(WORKER, received(5)))).passages == ()


def test_a_socket_pair_has_two_inodes() -> None:
    both = parent(sent(0, pipe=8), pairs=((8, 9),))
    assert arrivals(match((both, child(WORKER, received(5, pipe=9))))) == [(2, 5)]
    assert match((both, child(WORKER, received(5, pipe=8)))).passages == ()


JOB = SentJob("fib(7)", at(0), MAIN, "raised BrokenProcessPool", at(0), MAIN)


def pool(*of_worker: MessageRecord, **more: Any) -> Messages:
    giver = parent(sent(1, kind="job", job=0), jobs=(JOB,))
    return match((giver, child(WORKER, received(5, kind="job"), *of_worker, **more)))


def test_a_job_runs_from_its_arrival_to_its_result_and_ends_as_the_worker_says() -> None:
    (job,) = pool(message(30, 3, sends=True, kind="result", native_id=WORKER, outcome="raised E")).jobs
    record = job.record
    assert (record.label, record.submitter, record.pid, record.native_id) == ("fib(7)", MAIN, WORKER, WORKER)
    assert (record.submitted_ns, record.started_ns, record.ended_ns) == (at(0), at(6), at(30))
    assert record.outcome == "raised E"


def test_a_job_whose_worker_died_ends_with_it_as_its_future_says() -> None:
    (job,) = pool(ended_ns=at(17)).jobs
    assert (job.record.ended_ns, job.record.outcome) == (at(17), "raised BrokenProcessPool")


def test_a_job_of_a_dead_worker_whose_future_is_gone_is_lost() -> None:
    silent = SentJob("fib(7)", at(0), MAIN, "")
    giver = parent(sent(1, kind="job", job=0), jobs=(silent,))
    (job,) = match((giver, child(WORKER, received(5, kind="job"), ended_ns=at(17)))).jobs
    assert job.record.outcome == LOST


def test_a_job_that_still_runs_has_no_end() -> None:
    giver = parent(sent(1, kind="job", job=0), jobs=(SentJob("fib(7)", at(0), MAIN, ""),))
    (job,) = match((giver, child(WORKER, received(5, kind="job")))).jobs
    assert (job.record.ended_ns, job.record.outcome) == (None, "left running")


_MOMENTS = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 2)), max_size=20)


@given(_MOMENTS, _MOMENTS)
def test_whatever_was_seen_nothing_arrives_before_it_was_sent_nor_twice(
    out: list[tuple[int, int]], back: list[tuple[int, int]]
) -> None:
    found = match(
        (
            parent(*(sent(ms, digest) for ms, digest in out)),
            child(WORKER, *(received(ms, d) for ms, d in back)),
        )
    )
    assert all(one.sent.moved_ns <= one.received.moved_ns for one in found.passages)
    assert len({id(one.sent) for one in found.passages}) == len(found.passages)
    assert len({id(one.received) for one in found.passages}) == len(found.passages)
