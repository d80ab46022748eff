"""The recorder of locks: names, what it costs nobody, and that nothing of it is left."""

from __future__ import annotations

import ast
import asyncio
import ctypes
import dis
import errno
import gc
import importlib
import inspect
import json
import os
import queue
import resource
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.unit.lock_programs import (
    EXACT,
    READS_STACKS,
    WAIT_S,
    Recorded,
    Seen,
    check,
    recorded,
    until,
    until_asleep,
)

from concmagic.interpreter import value_stack as stack
from concmagic.interpreter.lock_internals import locks_at
from concmagic.interpreter.value_stack import Frames
from concmagic.problems import Problem
from concmagic.recording import interrupts_kept_back
from concmagic.recording.locks.futex_addresses import LockAddresses
from concmagic.recording.locks.lock_log import names_of
from concmagic.recording.locks.lock_recorder import LockRecorder
from concmagic.recording.locks.lock_sites import Chains
from concmagic.recording.time_budget import TimeBudget

MONITORING: Any = getattr(sys, "monitoring", None)
TOOL_IDS, NAME = (4, 3), "concmagic locks"  # of `monitor.py`, which is there from 3.12 on


class Store:
    def __init__(self) -> None:
        self.guard = threading.Lock()

    def use(self) -> None:
        with self.guard:
            pass


def waited_for(lock: Any, use: Any, **namespace: Any) -> list[str]:
    """The names that one wait for a lock is told with."""

    def waiter() -> None:
        use()

    lock.acquire()
    with recorded(**namespace) as run:
        (thread,) = run.start(waiter)
        until_asleep(getattr(lock, "_lock", lock))
        lock.release()
        thread.join()
    return [one.object for one in run.by("waiter")]


def test_a_global_an_item_and_an_attribute_have_their_names() -> None:
    forks, store = [threading.Lock() for _ in range(3)], Store()
    by_key = {"cache": threading.Lock(), 5: threading.Lock()}
    namespace: dict[str, Any] = {"forks": forks, "store": store, "by_key": by_key, "_hidden": forks[0]}
    wanted = [forks[2], store.guard, by_key["cache"], by_key[5]]
    names = names_of([id(one) for one in wanted], namespace)
    assert [names[id(one)] for one in wanted] == [
        "forks[2]", "store.guard", "by_key['cache']", "by_key[5]",
    ]  # fmt: skip


def test_the_locks_inside_a_queue_or_condition_have_its_name() -> None:
    jobs: queue.Queue[int] = queue.Queue()
    cond = threading.Condition()
    inside = [jobs.mutex, cond._lock]  # type: ignore[attr-defined]
    names = names_of([id(one) for one in inside], {"jobs": jobs, "cond": cond})
    assert [names[id(one)] for one in inside] == ["jobs", "cond"]


def test_looking_for_names_runs_nothing_of_the_users() -> None:
    class Loud:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

        def __eq__(self, other: object) -> bool:
            raise AssertionError

        __hash__ = None  # type: ignore[assignment]

    lock = threading.Lock()
    loud = Loud()
    object.__getattribute__(loud, "__dict__")["guard"] = lock
    assert names_of([id(lock)], {"first": loud, "many": [loud] * 3}) == {id(lock): "first.guard"}


def test_a_lock_without_a_global_is_called_what_the_code_calls_it() -> None:
    local, store = threading.Lock(), Store()

    def enter() -> None:
        with local:
            pass

    assert waited_for(local, enter) == ["local"] * EXACT
    assert waited_for(store.guard, store.use) == ["guard"] * EXACT
    assert waited_for(store.guard, lambda: store.guard.acquire()) == ["store.guard"] * EXACT


def test_two_locks_of_one_name_are_told_apart() -> None:
    def once() -> None:
        mine = threading.Lock()
        mine.acquire()

        def waiter() -> None:
            with mine:
                pass

        (thread,) = run.start(waiter)
        until_asleep(mine)
        mine.release()
        thread.join()

    with recorded() as run:
        once()
        once()
    assert [one.object for one in run.by("waiter")] == ["mine", "mine (2)"] * EXACT


def test_a_place_may_take_a_lock_the_second_time() -> None:
    """A call that was switched off because it took none is looked at again in the next recording."""
    cache = threading.Lock()
    chosen: list[Any] = [print]

    def call() -> None:
        chosen[0]()

    with recorded(cache=cache):
        call()
    chosen[0] = cache.acquire
    assert waited_for(cache, call, cache=cache) == ["cache"] * EXACT


def test_an_acquire_of_the_users_own_does_not_hide_a_locks() -> None:
    class Fake:
        def acquire(self) -> None:
            pass

    cache = threading.Lock()
    chosen: list[Any] = [Fake()]

    def call() -> None:
        chosen[0].acquire()

    cache.acquire()
    with recorded(cache=cache) as run:
        call()
        chosen[0] = cache

        def waiter() -> None:
            call()

        (thread,) = run.start(waiter)
        until_asleep(cache)
        cache.release()
        thread.join()
    assert [one.object for one in run.by("waiter")] == ["cache"] * EXACT


def test_a_wait_in_with_that_an_exception_ends_is_told() -> None:
    cache, outer = threading.Lock(), threading.Lock()
    cache.acquire()

    def stopped() -> None:
        with outer, cache:
            pass

    def other() -> None:
        until_asleep(cache)
        import signal

        signal.raise_signal(signal.SIGINT)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with recorded(cache=cache, outer=outer) as run:
        (thread,) = run.start(other)
        with pytest.raises(KeyboardInterrupt):
            stopped()
        thread.join()
        assert not outer.locked()
    told = [one for one in run.by("main") if one.object == "cache"]
    check(told, Seen("main", "cache", [], False, ""))
    assert all(one.end_ns is not None for one in run.log.waits)


@pytest.mark.skipif(not EXACT, reason="before 3.12 there are no events of locks")
def test_once_its_time_is_spent_nothing_is_watched_and_counts_end() -> None:
    cache, jobs = threading.Lock(), queue.Queue[int]()
    counted = []

    def work() -> None:
        for number in range(20_000):
            with cache:
                pass
            cache.acquire()
            cache.release()
            jobs.put(number)
            jobs.get()

    recorder = LockRecorder({"cache": cache}, time_of_locks=TimeBudget(least_ns=1_000_000))
    recorder.start()
    tool = next(one for one in TOOL_IDS if MONITORING.get_tool(one) == NAME)
    work()
    counted.append(MONITORING.get_events(tool))
    codes = work.__code__, queue.Queue.put.__code__, threading.Condition.__enter__.__code__
    counted += [MONITORING.get_local_events(tool, code) for code in codes]
    log = recorder.stop()
    assert counted == [0, 0, 0, 0]
    assert recorder.problems == []
    ((from_ns, until_ns),) = log.watched
    assert from_ns < until_ns == log.counted_until_ns
    assert 0 < next(one.taken for one in log.objects if one.name == "cache") < 20_000


@contextmanager
def with_a_gap() -> Iterator[tuple[Recorded, Any]]:
    """A recording, and its monitor, whose `rest` and `resume` a test calls itself."""
    recorder, found = LockRecorder({}), Recorded()
    found.names[threading.get_native_id()] = "main"
    recorder.start()
    try:
        yield found, recorder._monitor
    finally:
        found.log = recorder.stop()


@pytest.mark.skipif(not EXACT, reason="before 3.12 there are no events of locks")
def test_who_had_a_lock_before_a_gap_is_not_taken_for_its_holder_after_it() -> None:
    cache, taken, done = threading.Lock(), threading.Event(), threading.Event()

    def other() -> None:
        cache.acquire()
        taken.set()
        done.wait(WAIT_S)
        cache.release()

    def waiter() -> None:
        with cache:
            pass

    with with_a_gap() as (run, monitor):
        cache.acquire()
        monitor.rest()
        cache.release()
        (thread,) = run.start(other)
        taken.wait(WAIT_S)
        monitor.resume()
        (waiting,) = run.start(waiter)
        until_asleep(cache)
        done.set()
        thread.join()
        waiting.join()
    (seen,) = run.by("waiter")
    assert (seen.holders, seen.releaser) == ([], "other")
    assert len(run.log.watched) == 2
    assert run.log.counted_until_ns == run.log.watched[0][1]


@pytest.mark.skipif(not EXACT, reason="before 3.12 there are no events of locks")
@pytest.mark.parametrize("resumes", [False, True])
def test_a_wait_at_the_begin_of_a_gap_is_told_as_far_as_it_was_seen(resumes: bool) -> None:
    cache = threading.Lock()

    def waiter() -> None:
        for _ in range(3):
            with cache:
                pass

    with with_a_gap() as (run, monitor):
        cache.acquire()
        (thread,) = run.start(waiter)
        until_asleep(cache)
        monitor.rest()
        if resumes:
            monitor.resume()
        cache.release()
        thread.join()
    (seen,) = run.by("waiter")
    assert (seen.holders, seen.taken, seen.releaser) == (["main"], False, "")
    (kept,) = (one for one in run.log.waits if run.names.get(one.native_id) == "waiter")
    assert kept.end_ns is not None
    assert abs(kept.end_ns - run.log.watched[0][1]) < 1_000_000_000


def test_after_another_tool_has_taken_its_place_it_does_not_begin_again() -> None:
    if not EXACT:
        return
    with with_a_gap() as (_, monitor):
        monitor.rest()
        number = next(one for one in TOOL_IDS if MONITORING.get_tool(one) == NAME)
        MONITORING.use_tool_id(number, "somebody's")
        try:
            monitor.resume()
            assert MONITORING.get_events(number) == 0
        finally:
            MONITORING.free_tool_id(number)


def test_without_a_place_for_the_tool_locks_are_not_seen_and_that_is_said() -> None:
    taken = [3, 4] if EXACT else []
    for number in taken:
        MONITORING.use_tool_id(number, "somebody's")
    try:
        cache = threading.Lock()
        assert waited_for(cache, lambda: cache.acquire(), cache=cache) == []
        recorder = LockRecorder({})
        recorder.start()
        recorder.stop()
        assert recorder.problems == [Problem.of("no_tool_for_locks")] * EXACT
        assert [MONITORING.get_tool(number) for number in taken] == ["somebody's"] * len(taken)
    finally:
        for number in taken:
            MONITORING.free_tool_id(number)


def traces_left() -> list[Any]:
    """What a tool of ours would still be told, by each id that could be ours."""
    found: list[Any] = [list(interrupts_kept_back._looks)]
    if MONITORING is None:
        return found
    for number in (3, 4):
        found.append(MONITORING.get_tool(number))
        MONITORING.use_tool_id(number, "looking")
        found.append(MONITORING.get_events(number))
        found.append(MONITORING.get_local_events(number, Store.use.__code__))
        for event in (1 << bit for bit in range(15)):
            try:
                callback = MONITORING.register_callback(number, event, None)
            except ValueError:
                continue
            found.append(callback)
        MONITORING.free_tool_id(number)
    return found


def test_nothing_is_left() -> None:
    before, threads = traces_left(), set(threading.enumerate())
    store = Store()
    with recorded():
        store.use()
    assert traces_left() == before
    assert set(threading.enumerate()) <= threads
    code, lock = weakref.ref(Store.use.__code__), weakref.ref(store.guard)
    del store
    gc.collect()
    assert code() is not None
    assert lock() is None


def test_nothing_that_a_cell_made_is_kept_alive_meanwhile() -> None:
    with recorded():
        lock = threading.Lock()
        with lock:
            watched = weakref.ref(lock)
        del lock
        assert watched() is None


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from codes(one)


@pytest.mark.parametrize("name", ["threading", "asyncio.base_events", "zipfile", "unittest.mock", "typing"])
def test_the_depth_of_the_stack_is_known_everywhere(name: str) -> None:
    """Against the compiler's own bound; and it comes out the same however a place is reached."""
    file = importlib.import_module(name).__file__ or ""
    with open(file) as source:
        whole = compile(source.read(), file, "exec")
    for code in codes(whole):
        depths = stack.depths(code)
        seen = [depths[one.offset][1] for one in dis.get_instructions(code) if one.offset in depths]
        assert min(seen) >= 0
        assert max(seen) <= code.co_stacksize
        missing = [one for one in dis.get_instructions(code) if one.offset not in depths]
        assert len(missing) <= 4  # what no path leads to


def test_the_depth_is_what_the_interpreter_says_it_is() -> None:
    """A frame that has called another notes how high its stack is: the arguments are gone from it then."""
    assert (stack.BEFORE_WITH >= 0) == READS_STACKS
    if not READS_STACKS:
        return
    call = dis.opmap["CALL"]
    compared, cache = set(), {}

    def look(frame: types.FrameType, event: str, argument: Any) -> None:
        caller = frame.f_back
        if event != "call" or caller is None or caller.f_lasti < 0:
            return
        code = caller.f_code
        if code not in cache:
            cache[code] = stack.depths(code)
        offset = max(one for one in cache[code] if one <= caller.f_lasti)  # it may stand behind the call
        inner = ctypes.c_void_p.from_address(id(caller) + 24).value or 0
        noted = ctypes.c_int.from_address(inner + 64).value
        if noted < 0 or code.co_code[offset] != call or (code, offset) in compared:
            return
        told = stack.variables(code) + cache[code][offset][1] - code.co_code[offset + 1] - 2
        assert told == noted, (code, offset)
        compared.add((code, offset))

    source = ast.parse(Path(ast.__file__).read_text())
    before = sys.getprofile()
    sys.setprofile(look)
    try:
        ast.unparse(source)
        json.dumps(json.loads(json.dumps({"a": [1, {"b": None}]}, indent=1)), indent=2)
        inspect.signature(Store.use)
        asyncio.run(asyncio.sleep(0))
    finally:
        sys.setprofile(before)
    assert len(compared) > 150


def test_what_a_standing_frame_enters_and_holds_is_read_off_its_stack() -> None:
    outer, inner, third = threading.Lock(), threading.RLock(), threading.Lock()
    third.acquire()

    def enters() -> None:
        for _ in range(1):
            with outer:
                try:
                    with inner, third:
                        pass
                finally:
                    pass

    def calls() -> None:
        with outer, inner:
            third.acquire()

    frames = Frames()
    assert frames.can_read == READS_STACKS
    if not READS_STACKS:
        return
    for program in (enters, calls):
        thread = threading.Thread(target=program, daemon=True)
        thread.start()
        until_asleep(third)
        frame = sys._current_frames()[thread.ident or 0]
        with frames.open():
            entered, held = frames.entered(frame), frames.held(frame)
        assert bool(entered) == (program is enters)  # a call's lock is not read
        assert not entered or locks_at([entered]) == {entered: third}
        assert {id(one) for one in locks_at(held).values()} == {id(outer), id(inner)}
        third.release()
        thread.join()
        third.acquire(blocking=False)


def test_the_look_before_the_end_comes_in_the_midst_of_another() -> None:
    lock = threading.Lock()

    def waits() -> None:
        with lock:
            pass

    with lock:
        thread = threading.Thread(target=waits)
        thread.start()
        until_asleep(lock)
        addresses = LockAddresses(Chains(), repeat=False, failed=print)
        with addresses._frames.open():
            addresses.look_at_end(None, {thread.ident or 0: 41})
    thread.join()
    assert [(one.native_id, one.object) for one in addresses.stopped] == [(41, 0)] * READS_STACKS


@contextmanager
def no_free_descriptor() -> Iterator[None]:
    """Nothing can be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("by_samples", [False, True])
def test_a_look_that_fails_is_told_once_and_raises_nothing(by_samples: bool) -> None:
    recorder = LockRecorder({}, sampled=by_samples)
    recorder.start()
    try:
        with no_free_descriptor():
            interrupts_kept_back.look_before_end(sys._getframe())
            interrupts_kept_back.look_before_end(sys._getframe())
            if by_samples and not EXACT:
                recorder.problems.clear()
                until(lambda: bool(recorder.problems))
    finally:
        recorder.stop()
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/proc/self/mem")
    assert recorder.problems == [Problem.of("look_at_locks_failed", error)] * (not EXACT)
    assert not interrupts_kept_back._looks


def test_a_failure_of_the_watching_is_never_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, done = threading.Lock(), []

    def fails(*arguments: Any) -> None:
        raise LookupError("lost")

    def use() -> None:
        for _ in range(3):
            with lock:
                done.append(1)
            assert lock.acquire()
            lock.release()

    for name in ("begin", "end", "release"):
        monkeypatch.setattr(f"concmagic.recording.locks.lock_holders.LockTable.{name}", fails)
    recorder = LockRecorder({"lock": lock})
    recorder.start()
    try:
        use()
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    finally:
        recorder.stop()
    assert len(done) == 6
    told = [Problem.of("recorder_failed", "locks", LookupError("lost"))]
    assert recorder.problems == (told if EXACT else [])
