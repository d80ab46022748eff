"""The thread recorder: names, lives, who made whom, and nothing left behind."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import functools
import multiprocessing
import multiprocessing.pool
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from concmagic.recording import own_threads
from concmagic.recording.threads import thread_life as thread_clock
from concmagic.recording.threads.thread_jobs import PoolJobRecorder
from concmagic.recording.threads.thread_recorder import ThreadRecorder
from concmagic.records.recording import ThreadRecord

WAIT_S = 30  # only ever reached by a test that fails


@contextmanager
def recorded() -> Iterator[list[ThreadRecord]]:
    """The records of what the block does are in the list when it is over."""
    records: list[ThreadRecord] = []
    recorder = ThreadRecorder()
    recorder.start()
    try:
        yield records
    finally:
        records.extend(recorder.stop())
        assert recorder.problems == []


def named(records: list[ThreadRecord], name: str) -> ThreadRecord:
    (record,) = [record for record in records if record.name == name]
    return record


def hooks() -> dict[str, Any]:
    state = {f"Thread.{name}": value for name, value in vars(threading.Thread).items()}
    state |= {f"threading.{name}": value for name, value in vars(threading).items() if callable(value)}
    state |= {f"_thread.{name}": value for name, value in vars(_thread).items()}
    state |= {"sys.excepthook": sys.excepthook, "sys.unraisablehook": sys.unraisablehook}
    return state


def test_everything_is_put_back_and_no_thread_is_added():
    before, threads = hooks(), set(threading.enumerate())

    with recorded():
        assert hooks() != before
        assert set(threading.enumerate()) <= threads

    assert hooks() == before
    assert set(threading.enumerate()) <= threads


def test_someone_elses_hook_put_over_ours_stays():
    with recorded():
        over = functools.partial(_thread.start_new_thread)
        ours_below = _thread.start_new_thread
        _thread.start_new_thread = over
    try:
        assert _thread.start_new_thread is over
    finally:
        _thread.start_new_thread = ours_below.__wrapped__


def test_life_of_a_thread_stands_in_order():
    with recorded() as records:
        asked_ns = time.monotonic_ns()
        thread = threading.Thread(target=int, name="worker", daemon=True)
        thread.start()
        thread.join()
        joined_ns = time.monotonic_ns()

    record = named(records, "worker")
    assert asked_ns <= record.started_ns <= record.begun_ns <= record.ended_ns <= joined_ns
    assert record.starter == threading.get_native_id()
    assert (record.native_id, record.ident) == (thread.native_id, thread.ident)
    assert record.daemon
    assert record.origin == "user"
    assert record.group == record.exception == ""


def test_name_is_the_one_at_the_end_of_its_life():
    class Renaming(threading.Thread):
        def run(self) -> None:
            self.name = "renamed"

    with recorded() as records:
        thread = Renaming(name="first")
        thread.start()
        thread.join()

    assert named(records, "renamed").origin == "user"
    assert not any(record.name == "first" for record in records)


def test_thread_started_by_a_thread_names_its_starter():
    inner = threading.Thread(target=int, name="inner")

    def start_inner() -> None:
        inner.start()
        inner.join()

    with recorded() as records:
        outer = threading.Thread(target=start_inner, name="outer")
        outer.start()
        outer.join()

    assert named(records, "inner").starter == named(records, "outer").native_id


def test_thread_still_alive_has_no_end_and_is_clean_of_hooks():
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, args=(WAIT_S,), name="lasting")
    hook = thread._invoke_excepthook
    with recorded() as records:
        thread.start()

    assert named(records, "lasting").ended_ns is None
    assert thread._invoke_excepthook is hook
    assert named(records, "lasting").cpu_ns is not None
    go_on.set()
    thread.join()


def test_thread_that_ends_after_the_cell_does_so_as_ever():
    reports: list[Any] = []
    go_on = threading.Event()

    def fail_later() -> None:
        go_on.wait(WAIT_S)
        raise ValueError("late")

    with recorded() as records:
        thread = threading.Thread(target=fail_later)
        thread.start()
    with excepthook(reports.append):
        go_on.set()
        thread.join()

    assert [report.exc_type for report in reports] == [ValueError]
    assert all(record.exception == "" for record in records)


@contextmanager
def excepthook(hook: Callable[[Any], Any]) -> Iterator[None]:
    saved, threading.excepthook = threading.excepthook, hook
    try:
        yield
    finally:
        threading.excepthook = saved


def fail() -> None:
    raise ValueError("no such page")


def test_exception_is_noted_and_reported_without_a_frame_of_ours():
    frames: list[str] = []
    failing = threading.Thread(target=fail, name="failing")

    def hook(args: Any) -> None:
        assert args.thread is failing
        frames.extend(frame.filename for frame in traceback.extract_tb(args.exc_traceback))

    with excepthook(hook), recorded() as records:
        failing.start()
        failing.join()

    assert named(records, "failing").exception == "ValueError: no such page"
    assert frames
    assert set(frames) == {threading.__file__, __file__}


def test_an_exception_that_cannot_be_written_is_still_named():
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fail_unspeakably() -> None:
        raise Unspeakable

    with excepthook(lambda args: None), recorded() as records:
        thread = threading.Thread(target=fail_unspeakably, name="odd")
        thread.start()
        thread.join()

    assert named(records, "odd").exception.endswith("Unspeakable: …")


def test_system_exit_is_no_death_by_exception():
    with excepthook(threading.__excepthook__), recorded() as records:
        thread = threading.Thread(target=sys.exit, name="leaving")
        thread.start()
        thread.join()

    assert named(records, "leaving").exception == ""


def test_start_errors_are_a_plain_cells():
    with recorded():
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="once") as caught:
            thread.start()

    files = {frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)}
    assert files == {__file__, threading.__file__}


def test_a_thousand_short_threads_are_all_there():
    with recorded() as records:
        for _ in range(1000):
            thread = threading.Thread(target=int, name="short")
            thread.start()
            thread.join()

    short = [record for record in records if record.name == "short"]
    assert len(short) == 1000
    assert all(record.ended_ns is not None for record in short)


def test_cpu_time_is_the_threads_own_clock():
    used: list[int] = []

    def compute() -> None:
        while time.thread_time_ns() < 50_000_000:
            sum(range(1000))
        used.append(time.thread_time_ns())

    with recorded() as records:
        thread = threading.Thread(target=compute, name="computing")
        thread.start()
        thread.join()

    record = named(records, "computing")
    assert used[0] <= record.cpu_ns <= used[0] + 20_000_000
    assert record.cpu_by_moment[-1] == (record.ended_ns, record.cpu_ns)
    assert [moment for moment, _ in record.cpu_by_moment] == sorted(m for m, _ in record.cpu_by_moment)


def test_cpu_clock_of_others_agrees_with_the_c_librarys_and_survives_their_end():
    go_on, begun = threading.Event(), threading.Event()

    def run() -> None:
        begun.set()
        go_on.wait(WAIT_S)

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(WAIT_S)
    low = time.clock_gettime_ns(time.pthread_getcpuclockid(thread.ident))
    ours_ns = thread_clock.cpu_ns(thread.native_id)
    high = time.clock_gettime_ns(time.pthread_getcpuclockid(thread.ident))
    assert low <= ours_ns <= high
    go_on.set()
    thread.join()
    wait_for_end(thread.native_id)
    assert thread_clock.cpu_ns(thread.native_id) is None


@contextmanager
def computing_on(at_least_ns: int) -> Iterator[threading.Thread]:
    """A thread that has computed so long and waits, for the length of the block."""
    go_on, computed = threading.Event(), threading.Event()

    def run() -> None:
        while time.thread_time_ns() < at_least_ns:
            sum(range(1000))
        computed.set()
        go_on.wait(WAIT_S)

    thread = threading.Thread(target=run, name="computing on")
    thread.start()
    try:
        assert computed.wait(WAIT_S)
        yield thread
    finally:
        go_on.set()
        thread.join()


CLOCK_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def test_psutils_list_of_threads_agrees_with_their_own_clocks():
    with computing_on(100_000_000) as thread:
        listed = thread_clock.listed()
        assert thread.native_id is not None
        own_ns = thread_clock.cpu_ns(thread.native_id)
    assert own_ns is not None
    # Of two sums, in and outside of the system, each is cut down to a tick of the clock.
    assert listed[thread.native_id] == pytest.approx(own_ns, abs=2 * CLOCK_TICK_NS)
    assert threading.get_native_id() in listed


def test_numbers_that_are_no_native_ids_tell_nothing(monkeypatch: pytest.MonkeyPatch):
    """As psutil numbers them on macOS."""
    import psutil

    numbered = [one._replace(id=1 + place) for place, one in enumerate(psutil.Process().threads())]
    monkeypatch.setattr(psutil.Process, "threads", lambda self: numbered)
    assert thread_clock.listed() == {}


def test_where_clocks_are_not_read_by_number_a_thread_that_goes_on_has_its_cpu_time_from_psutil(
    monkeypatch: pytest.MonkeyPatch,
):
    recorder = ThreadRecorder()
    recorder.start()
    with computing_on(100_000_000) as thread, monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "win32")
        assert thread_clock.cpu_ns(thread.native_id or 0) is not None
        records = recorder.stop()
    record = named(list(records), "computing on")
    assert record.ended_ns is None
    assert record.cpu_ns == pytest.approx(100_000_000, abs=3 * CLOCK_TICK_NS)
    assert [cpu_ns for _, cpu_ns in record.cpu_by_moment] == sorted(cpu for _, cpu in record.cpu_by_moment)


def test_pool_workers_stand_in_their_pools_group():
    both = threading.Barrier(2)
    with (
        recorded() as records,
        concurrent.futures.ThreadPoolExecutor(2, "reader_of") as pool,
    ):
        for future in [pool.submit(both.wait, WAIT_S) for _ in range(2)]:
            future.result()

    assert {record.name for record in records if record.group == "reader_of"} == {
        "reader_of_0",
        "reader_of_1",
    }


def test_asyncio_worker_is_named_and_its_helper_is_machinery():
    with recorded() as records:
        asyncio.run(asyncio.to_thread(int))

    worker = named(records, "asyncio_0")
    assert (worker.origin, worker.group) == ("user", "asyncio")
    assert all(record.origin == "machinery" for record in records if "_do_shutdown" in record.name)


def test_thread_pool_of_multiprocessing_is_a_group_and_its_handlers_are_machinery():
    with recorded() as records, multiprocessing.pool.ThreadPool(2) as pool:
        pool.map(int, range(4))

    workers = [record for record in records if record.group]
    assert len(workers) == 2
    assert len({record.group for record in workers}) == 1
    assert {record.origin for record in workers} == {"user"}
    assert len([record for record in records if record.origin == "machinery"]) == 3


def test_queue_feeder_and_executor_manager_are_machinery():
    with recorded() as records:
        queue: Any = multiprocessing.get_context("spawn").Queue()
        queue.put(1)
        assert queue.get(timeout=WAIT_S) == 1
        queue.close()
        queue.join_thread()
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            assert pool.submit(int, "7").result() == 7

    made = [record for record in records if record.started_ns is not None]
    assert len(made) >= 3
    assert {record.origin for record in made} == {"machinery"}


def test_threads_of_earlier_cells_are_theirs_until_a_job_of_this_one_runs_on_them():
    with concurrent.futures.ThreadPoolExecutor(1, "early") as pool:
        pool.submit(int).result()
        with recorded() as idle:
            pass
        jobs = PoolJobRecorder()
        jobs.start()
        with recorded() as working:
            pool.submit(int).result()
        jobs.stop()

    assert named(idle, "early_0").origin == "earlier"
    assert named(working, "early_0").origin == "user"
    assert named(working, "early_0").started_ns is None


def test_end_of_a_thread_from_before_is_seen():
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, args=(WAIT_S,), name="early")
    thread.start()
    with recorded() as records:
        go_on.set()
        thread.join()

    record = named(records, "early")
    assert record.started_ns is None
    assert record.ended_ns is not None
    assert record.cpu_ns is not None


class KernelThread(threading.Thread):
    """One of ipykernel's, by its module."""

    __module__ = "ipykernel.heartbeat"


@pytest.mark.parametrize(("kind", "origin"), [(KernelThread, "kernel"), (threading.Thread, "earlier")])
def test_what_threads_from_before_start_is_of_whom_they_are(kind: type[threading.Thread], origin: str):
    go_on = threading.Event()

    def start_helper() -> None:
        go_on.wait(WAIT_S)
        helper = threading.Thread(target=int, name="helper")
        helper.start()
        helper.join()

    class Starting(kind):
        __module__ = kind.__module__

        def run(self) -> None:
            start_helper()

    thread = Starting(name="from before")
    thread.start()
    with recorded() as records:
        go_on.set()
        thread.join()

    assert {named(records, name).origin for name in ("from before", "helper")} == {origin}


def test_thread_of_the_cell_itself_is_the_users():
    with recorded() as records:
        pass

    record = named(records, threading.current_thread().name)
    assert record.origin == "user"
    assert record.cpu_ns is not None
    assert record.native_id == threading.get_native_id()


def test_bare_thread_is_seen_by_its_functions_name():
    native_ids: list[int] = []
    begun = _thread.allocate_lock()
    begun.acquire()

    def below_threading(number: int, *, word: str) -> None:
        assert (number, word) == (1, "one")
        native_ids.append(threading.get_native_id())
        begun.release()

    with recorded() as records:
        _thread.start_new_thread(below_threading, (1,), {"word": "one"})
        begun.acquire()
        wait_for_end(native_ids[0])

    record = named(records, "below_threading")
    assert record.started_ns <= record.begun_ns <= record.ended_ns
    assert record.starter == threading.get_native_id()
    assert record.native_id == native_ids[0]


def wait_for_end(native_id: int) -> None:
    """Python's own end of a thread comes a moment before the system's, which is waited for here."""
    while os.path.exists(f"/proc/self/task/{native_id}"):
        time.sleep(0.001)


def test_bare_thread_that_fails_is_reported_without_a_frame_of_ours():
    reports: list[tuple[list[str], str]] = []
    reported = threading.Event()

    def hook(args: Any) -> None:
        files = [frame.filename for frame in traceback.extract_tb(args.exc_traceback)]
        reports.append((files, f"{args.err_msg} {args.object!r}"))
        reported.set()

    saved, sys.unraisablehook = sys.unraisablehook, hook
    try:
        with recorded():
            _thread.start_new_thread(fail, ())
            assert reported.wait(WAIT_S)
    finally:
        sys.unraisablehook = saved

    ((files, text),) = reports
    assert files == [__file__]
    assert "function fail at" in text


def test_bare_thread_with_wrong_arguments_fails_as_ever():
    with recorded(), pytest.raises(TypeError):
        _thread.start_new_thread(1, ())


def test_stand_in_of_a_bare_thread_is_not_called_dummy():
    ready, go_on = threading.Event(), threading.Event()

    def unknown_to_threading() -> None:
        threading.current_thread()
        ready.set()
        go_on.wait(WAIT_S)

    with recorded() as records:
        _thread.start_new_thread(unknown_to_threading, ())
        ready.wait(WAIT_S)
    with recorded() as later:
        pass
    go_on.set()

    assert named(records, "unknown_to_threading").ended_ns is None
    assert not any("Dummy" in record.name for record in [*records, *later])


def test_threads_of_ours_say_so():
    ready, go_on = threading.Event(), threading.Event()

    def helper() -> None:
        own_threads.add(threading.get_native_id())
        ready.set()
        go_on.wait(WAIT_S)
        own_threads.remove(threading.get_native_id())
        ready.set()

    with recorded() as records:
        _thread.start_new_thread(helper, ())
        ready.wait(WAIT_S)
    ready.clear()
    go_on.set()
    ready.wait(WAIT_S)

    assert named(records, "helper").origin == "ours"


def test_forked_child_starts_anew():
    before = hooks()
    with recorded() as records, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 3.12 warns of a fork while there are threads
        child = os.fork()
        if child == 0:
            os._exit(_records_of_a_forked_child(before))
        _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert len(records) >= 1


def _records_of_a_forked_child(before: dict[str, Any]) -> int:
    recorder = ThreadRecorder()
    recorder.start()
    thread = threading.Thread(target=int, name="in the child")
    thread.start()
    thread.join()
    records = recorder.stop()
    main = next(record for record in records if record.name == threading.main_thread().name)
    right = [
        sorted(record.name for record in records) == sorted([main.name, "in the child"]),
        main.native_id == os.getpid(),
        main.origin == "user",
        hooks() == before,
    ]
    return right.index(False) + 1 if False in right else 0
