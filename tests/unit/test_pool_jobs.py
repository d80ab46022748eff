"""The pool job recorder: who submitted what when, where it ran, how it came out."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import gc
import itertools
import multiprocessing.pool
import os
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import _WorkItem
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest

from concmagic.recording.labels import call_label, shorten, value_label
from concmagic.recording.threads.thread_jobs import PoolJobRecorder
from concmagic.recording.threads.thread_recorder import ThreadRecorder
from concmagic.recording.time_budget import EVERY, TimeBudget
from concmagic.records.job_stretches import MOST_JOBS
from concmagic.records.recording import JobRecord

WAIT_S = 30  # only ever reached by a test that fails


@contextmanager
def recorded() -> Iterator[list[JobRecord]]:
    """The jobs of the block are in the list when it is over."""
    jobs: list[JobRecord] = []
    recorder = PoolJobRecorder()
    recorder.start()
    try:
        yield jobs
    finally:
        jobs.extend(recorder.stop())


def test_class_is_as_before_when_it_is_over():
    before = dict(vars(_WorkItem))
    with recorded():
        assert dict(vars(_WorkItem)) != before
    assert dict(vars(_WorkItem)) == before


def test_job_has_its_times_worker_and_submitter():
    with recorded() as jobs, ThreadPoolExecutor(1) as pool:
        asked_ns = time.monotonic_ns()
        worker = pool.submit(threading.get_native_id).result()

    (job,) = jobs
    assert asked_ns <= job.submitted_ns <= job.started_ns <= job.ended_ns
    assert (job.native_id, job.pid) == (worker, os.getpid())
    assert job.submitter == threading.get_native_id()
    assert (job.index, job.label, job.outcome) == (0, "get_native_id()", "returned")


def test_one_worker_runs_its_jobs_one_after_the_other():
    with recorded() as jobs, ThreadPoolExecutor(1) as pool:
        assert list(pool.map(abs, [-1, -2, -3])) == [1, 2, 3]

    assert [job.label for job in jobs] == ["abs(-1)", "abs(-2)", "abs(-3)"]
    assert [job.index for job in jobs] == [0, 1, 2]
    assert jobs[0].ended_ns <= jobs[1].started_ns
    assert jobs[1].ended_ns <= jobs[2].started_ns


def test_exception_reaches_its_future_without_a_frame_of_ours():
    with recorded() as jobs, ThreadPoolExecutor(1) as pool:
        future = pool.submit(int, "seven")
        with pytest.raises(ValueError, match="seven") as caught:
            future.result()

    assert jobs[0].outcome == "raised ValueError"
    assert not [entry for entry in caught.traceback if "src/concmagic/" in str(entry.path)]
    assert "pool_jobs.py" not in {Path(str(entry.path)).name for entry in caught.traceback}


def test_outcomes_of_jobs_that_did_not_run_to_their_end():
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(WAIT_S)

    pool = ThreadPoolExecutor(1)
    with recorded() as jobs:
        pool.submit(hold)
        begun.wait(WAIT_S)
        waiting = pool.submit(int)
        pool.submit(str).cancel()
    go_on.set()
    waiting.result()
    pool.shutdown()

    assert [job.outcome for job in jobs] == ["left running", "not started", "cancelled"]
    assert [job.ended_ns for job in jobs] == [None, None, None]
    assert jobs[0].native_id
    assert [(job.started_ns, job.native_id, job.pid) for job in jobs[1:]] == [(None, 0, 0)] * 2


def test_jobs_that_shutdown_drops_are_cancelled():
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(WAIT_S)

    with recorded() as jobs:
        pool = ThreadPoolExecutor(1)
        pool.submit(hold)
        begun.wait(WAIT_S)
        for _ in range(3):
            pool.submit(int)
        pool.shutdown(wait=False, cancel_futures=True)
        go_on.set()
        pool.shutdown()

    assert [job.outcome for job in jobs] == ["returned", "cancelled", "cancelled", "cancelled"]


def test_cancelled_job_that_a_worker_took_off_the_queue_has_not_run():
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(WAIT_S)

    with recorded() as jobs, ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        begun.wait(WAIT_S)
        assert pool.submit(int).cancel()
        go_on.set()

    assert (jobs[1].outcome, jobs[1].started_ns, jobs[1].native_id) == ("cancelled", None, 0)


def test_job_submitted_by_another_thread_names_it():
    with recorded() as jobs, ThreadPoolExecutor(1) as pool:
        thread = threading.Thread(target=lambda: pool.submit(int).result())
        thread.start()
        thread.join()

    assert jobs[0].submitter == thread.native_id


def test_to_thread_is_a_job_of_the_function_it_was_given():
    with recorded() as jobs:
        asyncio.run(asyncio.to_thread(abs, -7))

    assert [job.label for job in jobs] == ["abs(-7)"]


def test_jobs_from_before_the_cell_run_unseen():
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> int:
        begun.set()
        go_on.wait(WAIT_S)
        return 7

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(hold)
        late = pool.submit(int, "8")
        begun.wait(WAIT_S)
        with recorded() as jobs:
            go_on.set()
            assert (future.result(), late.result()) == (7, 8)

    assert jobs == []


def test_ten_thousand_jobs():
    with recorded() as jobs, ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(abs, range(10_000))) == sum(range(10_000))

    assert len(jobs) == 10_000
    assert {job.outcome for job in jobs} == {"returned"}


def test_nothing_of_the_users_is_kept():
    class Mine:
        def __call__(self, other: Any) -> Any:
            return other

    function, argument = Mine(), Mine()
    watched = [weakref.ref(function), weakref.ref(argument)]
    recorder = PoolJobRecorder()
    recorder.start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function, argument).result()
    del function, argument
    gc.collect()
    assert [reference() for reference in watched] == [None, None]
    recorder.stop()


def test_process_pool_is_not_taken_for_a_thread_pool():
    import multiprocessing

    with recorded() as jobs:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            assert pool.submit(abs, -1).result() == 1
    assert jobs == []


class Hostile:
    def __repr__(self) -> str:
        raise AssertionError("the label has called the user's code")

    __str__ = __len__ = __iter__ = __hash__ = __repr__  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the label has asked the user's object for {name}")


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (None, "None"),
        (1.5, "1.5"),
        ("a.org", "'a.org'"),
        ("x" * 50 + "end", "'xxxxxxxxxxxxxxxx…xxxxxend'"),
        ("it's " * 9, "\"it's it's it's i…'s it's \""),
        (b"ab" * 50, "b'abababababababab…abababab'"),
        (10**1000, "int of 3322 bits"),
        ([1, 2, 3, 4], "[1, 2, 3, …]"),
        ((), "()"),
        ({"a": 1}, "{'a': 1}"),
        ([[1], []], "[[…], []]"),
        (Path("/tmp/a"), "'/tmp/a'"),
        (len, "len"),
        (int, "int"),
    ],
)
def test_label_of_a_value(value: Any, label: str):
    assert value_label(value) == label


def test_label_never_runs_the_users_code():
    assert value_label(Hostile()) == "Hostile(…)"
    assert value_label([Hostile()]) == "[Hostile(…)]"
    assert call_label(Hostile(), (Hostile(),)) == "Hostile(Hostile(…))"


def test_label_of_a_call():
    def outer() -> Any:
        return lambda: None

    assert call_label(functools.partial(pow, 2), (3,), {"mod": 5}) == "pow(2, 3, mod=5)"
    assert call_label(print, range(9)) == "print(0, 1, 2, …)"
    assert call_label(outer()) == "<lambda>()"
    assert len(call_label(print, ["x" * 99] * 3)) == 60


def test_long_text_loses_its_middle():
    assert shorten("abcdefghij", 10) == "abcdefghij"
    assert shorten("abcdefghijk", 7) == "abcd…jk"


def test_very_many_jobs_are_merged_with_exact_sums():
    many, failed = MOST_JOBS + 2_500, 7

    def work(number: int) -> int:
        if number >= many - failed:
            raise KeyError(number)
        return number

    recorder = PoolJobRecorder()
    recorder.start()
    try:
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(work, number) for number in range(many)]
    finally:
        jobs = recorder.stop()

    one_by_one, merged = jobs[:MOST_JOBS], jobs[MOST_JOBS:]
    assert {job.count for job in one_by_one} == {1}
    assert sum(job.count for job in jobs) == many
    outcomes: Counter[str] = Counter()
    for job in merged:
        outcomes.update(dict(job.outcomes))
        assert job.started_ns <= job.ended_ns
        assert 0 < job.running_ns <= job.ended_ns - job.started_ns
    assert outcomes == {"returned": 2_500 - failed, "raised KeyError": failed}
    assert len(merged) < 1_000
    assert {job.native_id for job in merged} <= {job.native_id for job in one_by_one}
    assert [future.result() for future in futures[: many - failed]] == list(range(many - failed))
    (told,) = recorder.problems
    assert "Of 12,500 jobs" in told.message and "2,500 merged, with exact sums" in told.message
    assert "7 raised KeyError" in told.message


def test_of_merged_jobs_those_that_were_dropped_are_counted():
    gate = threading.Event()
    recorder = PoolJobRecorder()
    recorder.start()
    try:
        pool = ThreadPoolExecutor(1)
        pool.submit(gate.wait, WAIT_S)
        for _ in range(MOST_JOBS + 100):
            pool.submit(int)
        pool.shutdown(wait=False, cancel_futures=True)
        gate.set()
        pool.shutdown()
    finally:
        gate.set()
        recorder.stop()

    (told,) = recorder.problems
    assert "0 merged" in told.message and "101 did not end" in told.message


def recorded_with(budget: TimeBudget, work: Callable[[], object]) -> tuple[PoolJobRecorder, list[JobRecord]]:
    recorder = PoolJobRecorder(budget)
    recorder.start()
    try:
        work()
    finally:
        jobs = recorder.stop()
    return recorder, list(jobs)


def test_jobs_beyond_the_budget_of_time_are_merged_with_exact_sums() -> None:
    def work(number: int) -> int:
        if number >= 2_990:
            raise KeyError(number)
        return number

    def submit() -> None:
        with ThreadPoolExecutor(2) as pool:
            for number in range(3_000):
                pool.submit(work, number)

    recorder, jobs = recorded_with(TimeBudget(share=1e-9, least_ns=0), submit)
    merged = [job for job in jobs if job.count > 1 or job.outcomes]
    assert len(jobs) - len(merged) <= EVERY
    assert sum(job.count for job in jobs) == 3_000
    outcomes: Counter[str] = Counter()
    for job in merged:
        outcomes.update(dict(job.outcomes))
        assert 0 < job.running_ns <= job.ended_ns - job.started_ns
    assert outcomes["raised KeyError"] == 10
    (told,) = recorder.problems
    assert "Of 3,000 jobs" in told.message and "10 raised KeyError" in told.message
    assert "queued" not in told.message  # that is not known of all of them


def test_of_jobs_that_were_only_counted_those_that_were_dropped_are_told() -> None:
    gate, began = threading.Event(), threading.Event()

    def submit() -> None:
        pool = ThreadPoolExecutor(1)
        pool.submit(lambda: (began.set(), gate.wait(WAIT_S)))
        assert began.wait(WAIT_S)
        for _ in range(200):
            pool.submit(int)
        pool.shutdown(wait=False, cancel_futures=True)
        gate.set()
        pool.shutdown()

    recorder, jobs = recorded_with(TimeBudget(share=1e-9, least_ns=0), submit)
    (told,) = recorder.problems
    kept = sum(job.outcome == "cancelled" for job in jobs)
    assert "0 merged" in told.message and f"{200 - kept} did not end" in told.message


def test_once_the_budget_suffices_again_jobs_are_told_one_by_one() -> None:
    budget = TimeBudget(share=1e-9, least_ns=0)

    def submit() -> None:
        with ThreadPoolExecutor(1) as pool:
            for _ in range(100):
                pool.submit(int).result()
            budget._share = 1e9  # as if so much time had passed
            until = time.monotonic() + WAIT_S
            # A stretch of merged jobs has to end before it is looked at.
            while recorders[-1].only_counts and time.monotonic() < until:
                pool.submit(int).result()
            pool.submit(str, 1).result()

    recorders = []
    budget_of = PoolJobRecorder.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PoolJobRecorder, "start", lambda one: (recorders.append(one), budget_of(one))[1])
        _, jobs = recorded_with(budget, submit)
    assert "str(1)" in [job.label for job in jobs if job.count == 1 and not job.outcomes]


def test_what_an_earlier_cells_thread_submits_is_counted_with_none_of_this_cells() -> None:
    go, done, earlier_pool = threading.Event(), threading.Event(), ThreadPoolExecutor(1)

    def in_thread() -> None:
        go.wait(WAIT_S)
        for _ in range(50):
            earlier_pool.submit(int).result()
        done.set()

    thread = threading.Thread(target=in_thread)
    thread.start()
    threads = ThreadRecorder()
    threads.start()

    def submit() -> None:
        with ThreadPoolExecutor(1) as pool:
            for _ in range(100):
                pool.submit(int).result()
            go.set()
            assert done.wait(WAIT_S)

    try:
        _, jobs = recorded_with(TimeBudget(share=1e-9, least_ns=0), submit)
    finally:
        threads.stop()
        go.set()
        thread.join()
        earlier_pool.shutdown()
    assert sum(job.count for job in jobs) == 100


# ---- multiprocessing.pool.ThreadPool, which is multiprocessing.dummy.Pool, too

HOW = {
    "map": lambda pool: pool.map(abs, [-1, -2, -3], 1),
    "imap": lambda pool: list(pool.imap(abs, iter([-1, -2, -3]))),
    "imap_unordered": lambda pool: sorted(pool.imap_unordered(abs, [-1, -2, -3])),
    "starmap": lambda pool: pool.starmap(abs, [(-1,), (-2,), (-3,)], 1),
    "apply": lambda pool: [pool.apply(abs, (number,)) for number in (-1, -2, -3)],
    "apply_async": lambda pool: [
        job.get(WAIT_S) for job in [pool.apply_async(abs, [number]) for number in (-1, -2, -3)]
    ],
}


@pytest.mark.parametrize("is_older", [False, True])
@pytest.mark.parametrize("how", HOW)
def test_jobs_of_a_thread_pool_are_known_like_those_of_an_executor(how: str, is_older: bool) -> None:
    pool = ThreadPool(1) if is_older else None
    with recorded() as jobs, pool or ThreadPool(1) as pool:
        asked_ns = time.monotonic_ns()
        assert HOW[how](pool) == [1, 2, 3]
        worker = pool.apply(threading.get_native_id)

    assert [job.label for job in jobs] == ["abs(-1)", "abs(-2)", "abs(-3)", "get_native_id()"]
    assert {(job.native_id, job.pid, job.outcome) for job in jobs} == {(worker, os.getpid(), "returned")}
    assert {job.submitter for job in jobs} == {threading.get_native_id()}
    assert all(asked_ns <= job.submitted_ns <= job.started_ns <= job.ended_ns for job in jobs)
    assert all(job.ended_ns <= other.started_ns for job, other in itertools.pairwise(jobs))


def test_a_chunk_of_a_thread_pool_is_one_job() -> None:
    with recorded() as jobs, ThreadPool(2) as pool:
        pool.map(abs, range(8), chunksize=4)
        list(pool.imap(abs, range(8), chunksize=4))
    assert [job.label for job in jobs] == ["abs(0) + 3 more", "abs(4) + 3 more"] * 2


@pytest.mark.parametrize(
    "fails",
    [
        lambda pool: pool.apply(int, ("seven",)),
        lambda pool: pool.map(int, ["seven"]),
        lambda pool: list(pool.imap(int, ["seven"])),
        lambda pool: list(pool.imap_unordered(int, ["seven"])),
        lambda pool: pool.apply(int, (), {"base": "ten"}),
    ],
)
def test_an_exception_of_a_thread_pools_job_is_the_plain_one(fails: Callable[[Any], Any]) -> None:
    told: list[tuple[str, list[tuple[str, int]]]] = []
    with ThreadPool(1) as pool:
        for how in (nullcontext([]), recorded()):
            with how as jobs, pytest.raises((ValueError, TypeError)) as caught:
                fails(pool)
            told.append((str(caught.value), [(e.frame.code.name, e.lineno) for e in caught.traceback[1:]]))
    assert told[0] == told[1]
    (job,) = jobs
    assert job.outcome == f"raised {caught.type.__name__}" and job.ended_ns is not None


def test_what_a_thread_pools_job_raised_is_known_before_its_result_is() -> None:
    """Whoever waits for it may end the recording at once."""
    recording, over = recorded(), threading.Event()
    jobs = recording.__enter__()

    def ends(error: BaseException) -> None:
        recording.__exit__(None, None, None)
        over.set()

    with ThreadPool(1) as pool:
        pool.apply_async(int, ("seven",), error_callback=ends)
        assert over.wait(60)
    assert [job.outcome for job in jobs] == ["raised ValueError"]


def test_a_job_of_a_thread_pool_sees_no_frame_of_ours_on_its_stack() -> None:
    def stack() -> list[str]:
        frame, names = sys._getframe(), []
        while frame is not None:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        return names

    with ThreadPool(1) as pool:
        plain = pool.apply(stack), pool.map(lambda _: stack(), [0])
        with recorded() as jobs:
            assert (pool.apply(stack), pool.map(lambda _: stack(), [0])) == plain
    assert len(jobs) == 2


def test_the_end_of_a_failed_job_is_told_by_its_worker_before_its_next_begins() -> None:
    def fail(number: int) -> None:
        raise KeyError(number)

    with recorded() as jobs, ThreadPool(1) as pool:
        for one in [pool.apply_async(fail, (number,)) for number in range(3)]:
            with suppress(KeyError):
                one.get(WAIT_S)
    assert [job.outcome for job in jobs] == ["raised KeyError"] * 3
    assert all(job.ended_ns <= other.started_ns for job, other in itertools.pairwise(jobs))


def test_what_a_thread_pool_cannot_call_fails_as_it_does_plainly() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    with recorded() as jobs, ThreadPool(1) as pool:
        with pytest.raises(TypeError, match="not callable"):
            pool.apply(7)
        results = pool.imap(abs, broken())
        assert next(results) == 1
        with pytest.raises(LookupError, match="no more"):
            next(results)
    assert [(job.label, job.outcome) for job in jobs] == [("abs(1)", "returned")]


def test_jobs_of_a_thread_pool_that_did_not_run_to_their_end() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> int:
        begun.set()
        go_on.wait(WAIT_S)
        return 7

    with ThreadPool(1) as pool:
        with recorded() as jobs:
            held, later = pool.apply_async(hold), pool.apply_async(abs, (-1,))
            begun.wait(WAIT_S)
        go_on.set()
        assert (held.get(WAIT_S), later.get(WAIT_S)) == (7, 1)
    assert [job.outcome for job in jobs] == ["left running", "not started"]
    assert (jobs[0].ended_ns, jobs[1].started_ns) == (None, None)


def test_a_thread_pools_job_keeps_nothing_alive_when_it_is_over() -> None:
    class Big: ...

    with ThreadPool(1) as pool, recorded():
        big = Big()
        there = weakref.ref(big)
        pool.apply(id, (big,))
        with suppress(TypeError):
            pool.apply(int, (big,))
        pool.apply(id, (0,))
        pool.apply(id, (0,))
        del big
        gc.collect()
        assert there() is None


def test_a_thread_pools_classes_are_as_before_when_it_is_over() -> None:
    kinds = ThreadPool, multiprocessing.pool.ApplyResult, multiprocessing.pool.IMapIterator
    before = [dict(vars(kind)) for kind in kinds]
    with recorded():
        assert [dict(vars(kind)) for kind in kinds] != before
    assert [dict(vars(kind)) for kind in kinds] == before


def test_very_many_jobs_of_a_thread_pool_are_merged_with_exact_sums() -> None:
    def fail_last(number: int) -> None:
        if number == MOST_JOBS + 499:
            raise KeyError(number)

    with recorded() as jobs, ThreadPool(2) as pool:
        results = pool.imap_unordered(fail_last, range(MOST_JOBS + 500))
        for _ in range(MOST_JOBS + 500):
            with suppress(KeyError):
                next(results)
    assert sum(job.count for job in jobs) == MOST_JOBS + 500
    assert len(jobs) < MOST_JOBS + 400
    outcomes: Counter[str] = Counter()
    for job in jobs:
        outcomes.update(dict(job.outcomes))
    assert outcomes == {"returned": 499, "raised Exception": 1}
