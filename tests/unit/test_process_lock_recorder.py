"""Locks of multiprocessing as they are recorded in one process; children are in the kernel tests."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from concmagic.recording.locks import process_locks
from concmagic.recording.locks.process_locks import ProcessLockRecorder
from concmagic.recording.time_budget import TimeBudget
from concmagic.records.handed_over import ProcessLockLog

fork = multiprocessing.get_context("fork")
WHOLE = TimeBudget(1.0, 10_000_000_000)


@contextlib.contextmanager
def recording(time: TimeBudget = WHOLE) -> Iterator[list[ProcessLockLog | None]]:
    """Record what happens in the block; the log is the list's one item afterwards."""
    found: list[ProcessLockLog | None] = []
    recorder = ProcessLockRecorder(time)
    recorder.start()
    try:
        yield found
    finally:
        found.append(recorder.stop())


def waits_for(thread: threading.Thread, wait: Any) -> None:
    """Start it, and go on once it surely waits."""
    thread.start()
    while wait._semlock._get_value():
        time.sleep(0.001)
    time.sleep(0.02)


def test_a_lock_that_another_thread_waits_for_is_let_go_by_who_had_it() -> None:
    lock = fork.Lock()
    with recording() as found:
        lock.acquire()
        other = threading.Thread(target=lambda: [lock.acquire(), lock.release()])
        waits_for(other, lock)
        lock.release()
        other.join()
    (log,) = found
    assert log is not None and len(log.locks) == 1
    (wait,) = log.waits
    assert wait.taken and wait.native_id == other.native_id
    mine = [at for _, who, at in log.releases if who == threading.get_native_id()]
    assert len(mine) == 1 and wait.start_ns < mine[0] <= wait.end_ns


@pytest.mark.parametrize("before", [True, False])
def test_a_with_and_what_is_called_by_itself_are_seen_of_locks_made_before_and_since(before: bool) -> None:
    lock = fork.Lock() if before else None
    with recording() as found:
        lock = lock or fork.Lock()
        with lock:
            pass
        lock.acquire()
        lock.release()
        assert lock.acquire(False) is not False
        lock.release()
    (log,) = found
    assert log is not None and len(log.releases) == 3 and not log.waits


@pytest.mark.parametrize("kind", ["Event", "Condition", "Barrier", "JoinableQueue"])
def test_whoever_ends_a_wait_on_what_is_made_of_locks_lets_go_what_it_waited_for(kind: str) -> None:
    made = getattr(fork, kind)(*([2] if kind == "Barrier" else []))
    others_way = {"JoinableQueue": "join"}.get(kind, "wait")

    def waits() -> None:
        with made if kind == "Condition" else contextlib.nullcontext():
            getattr(made, others_way)()

    if kind == "JoinableQueue":
        made.put(1)
    with recording() as found:
        other = threading.Thread(target=waits)
        other.start()
        time.sleep(0.05)
        if kind == "Event":
            made.set()
        elif kind == "Barrier":
            made.wait()
        elif kind == "Condition":
            with made:
                made.notify_all()
        else:
            made.get()
            made.task_done()
        other.join()
    (log,) = found
    assert log is not None
    waited = [wait for wait in log.waits if wait.native_id == other.native_id]
    assert waited and all(wait.taken for wait in waited)
    by_me = [
        at for lock, who, at in log.releases if who == threading.get_native_id() and lock == waited[0].lock
    ]
    assert any(waited[0].start_ns < at <= waited[0].end_ns for at in by_me)


def test_afterwards_locks_are_as_they_were() -> None:
    kind = type(fork.Lock()).__mro__[1]
    before = dict(vars(kind))
    old = fork.Lock()
    with recording():
        new = fork.Lock()
        assert vars(kind)["__enter__"] is not before["__enter__"]
    assert dict(vars(kind)) == before
    for lock in (old, new):
        assert lock.acquire == lock._semlock.acquire and lock.release == lock._semlock.release


def test_errors_and_answers_are_the_locks_own() -> None:
    lock = fork.Lock()
    messages = []
    for _ in range(2):
        with recording() if messages else contextlib.nullcontext():
            with pytest.raises(ValueError) as too_often:
                lock.release()
            with pytest.raises(TypeError) as unknown:
                lock.acquire(unknown=1)
            assert lock.acquire(True, timeout=0.01) is True
            assert lock.acquire(False) is False
            assert lock.acquire(timeout=0.01) is False
            lock.release()
            depth = [len(one.traceback) for one in (too_often, unknown)]
            messages.append((str(too_often.value), str(unknown.value), depth))
    assert messages[0] == messages[1]


def test_once_the_budget_is_spent_nothing_is_watched() -> None:
    lock = fork.Lock()
    with recording(TimeBudget(0.0, 100_000)) as found:
        for _ in range(20_000):
            with lock:
                pass
        assert lock.acquire == lock._semlock.acquire
    (log,) = found
    assert log is not None and log.ended_ns is not None and len(log.releases) < 20_000


def test_only_the_last_releases_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_locks, "MOST", 10)
    lock = fork.Lock()
    with recording() as found:
        for _ in range(30):
            with lock:
                pass
        since = time.monotonic_ns()
        with lock:
            pass
    (log,) = found
    assert log is not None and len(log.releases) == 10
    assert log.releases[-1][2] >= since


def test_a_semaphore_without_a_name_is_told_by_its_address_and_making_one_with_a_name_by_that() -> None:
    spawn = multiprocessing.get_context("spawn")
    with recording() as found:
        for lock in (fork.Lock(), fork.Lock(), spawn.Lock()):
            with lock:
                pass
    (log,) = found
    assert log is not None and len(set(log.locks)) == 3
    assert [name.startswith("/") for name in log.locks] == [False, False, True]


def test_what_saw_nothing_has_no_log() -> None:
    with recording() as found:
        pass
    assert found == [None]


def test_a_log_is_pickled_with_the_standard_library_alone() -> None:
    lock = fork.Lock()
    with recording() as found, lock:
        pass
    assert pickle.loads(pickle.dumps(found)) == found
