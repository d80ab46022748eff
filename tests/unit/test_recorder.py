"""What the recorder hands over, and that nothing of it stays behind."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from concmagic.importing.call_columns import ANONYMOUS, Calls
from concmagic.importing.decode_calls import decode
from concmagic.interpreter import viztracer_tracer as process_tracer
from concmagic.problems import Problem
from concmagic.recording import own_threads, profiles
from concmagic.recording.calls import call_recorder
from concmagic.recording.calls.call_recorder import CallRecorder, hook_name
from concmagic.records.recording import RawCalls

MONITORING = sys.version_info >= (3, 12)


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def record(program, detail: str = "auto", budget: int = 300_000) -> RawCalls:
    calls = CallRecorder(detail, budget)
    calls.start()
    try:
        program()
    finally:
        raw = calls.stop()
    assert raw is not None
    return raw


def names(calls: Calls) -> list[str]:
    return [calls.functions[number].name for number in calls.function.tolist()]


def of(calls: Calls, name: str) -> list[int]:
    return [at for at, found in enumerate(names(calls)) if found == name]


def assert_nothing_left() -> None:
    assert sys.getprofile() is None
    assert threading.getprofile() is None
    if MONITORING:
        for number in range(6):
            assert sys.monitoring.get_tool(number) is None
            callback = sys.monitoring.register_callback(number, sys.monitoring.events.PY_START, None)
            assert (
                type(getattr(callback, "__self__", None)).__name__ != "Tracer"
            )  # a VizTracer of theirs is none
        assert type(sys.monitoring.use_tool_id) is type(len)  # no wrapper of ours


@pytest.fixture
def untrusted_layout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose layout check finds a flaw; the real tracer waits aside."""
    aside = call_recorder.process_tracers[:]
    call_recorder.process_tracers.clear()
    monkeypatch.setattr(process_tracer.viztracer_check, "_MARK", "not a number")
    yield
    call_recorder.process_tracers[:] = aside


def test_the_layout_of_this_viztracer_is_known_and_checked_quickly() -> None:
    record(lambda: None)
    assert call_recorder.process_tracers[0].flaw == ""


def test_busy_threads_do_not_disturb_the_check() -> None:
    aside = call_recorder.process_tracers[:]
    call_recorder.process_tracers.clear()
    end = threading.Event()

    def busy() -> None:
        while not end.is_set():
            fib(8)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        assert record(lambda: fib(3)).problems == ()
        assert call_recorder.process_tracers[0].flaw == ""
    finally:
        end.set()
        for thread in threads:
            thread.join()
        call_recorder.process_tracers[:] = aside


def test_python_and_native_calls_are_recorded_in_their_order() -> None:
    lock = threading.Lock()

    def program() -> None:
        fib(5)
        lock.acquire()
        time.sleep(0.001)

    calls = decode(record(program))
    found = names(calls)
    assert found.count("fib") == 15
    top = of(calls, f"{test_python_and_native_calls_are_recorded_in_their_order.__name__}.<locals>.program")[
        0
    ]
    assert calls.depth[of(calls, "fib")[0]] == calls.depth[top] + 1
    assert found.index("fib") < found.index("_thread.lock.acquire") < found.index("time.sleep")
    slept = of(calls, "time.sleep")[0]
    assert calls.is_c[slept]
    assert calls.functions[calls.function[slept]].file == ""
    assert calls.end_ns[slept] - calls.start_ns[slept] >= 1_000_000
    assert set(calls.native_id.tolist()) == {threading.get_native_id()}


def test_times_are_monotonic_nanoseconds() -> None:
    seen: list[int] = []

    def program() -> None:
        seen.append(time.monotonic_ns())
        fib(2)
        seen.append(time.monotonic_ns())

    for _ in range(3):  # the second and third take the process's first clock reading as anchor
        seen.clear()
        calls = decode(record(program))
        at = of(calls, "fib")[0]
        # The recorder reads the clock between two of the interpreter's: a few microseconds apart.
        assert seen[0] - 20_000 <= calls.start_ns[at] < calls.end_ns[at] <= seen[1] + 20_000


def test_a_call_in_progress_at_the_end_is_marked_open() -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait_inside() -> None:
        entered.set()
        leave.wait()

    thread = threading.Thread(target=wait_inside)

    def program() -> None:
        thread.start()
        entered.wait()

    raw = record(program)
    leave.set()
    thread.join()
    calls = decode(raw)
    inside = of(calls, f"{program.__qualname__[:-7]}wait_inside")
    assert len(inside) == 1
    assert calls.open[inside[0]]
    assert calls.end_ns[inside[0]] == raw.clock[1][1]
    assert not calls.open[of(calls, program.__qualname__)[0]]


def test_what_concmagic_runs_itself_is_left_out_unless_asked_for() -> None:
    raw = record(lambda: own_threads.contains(0))
    assert all("concmagic/recording" not in code.file for code in _called(decode(raw)))
    assert any(code.name == "contains" for code in _called(decode(raw, keep_own=True)))


def _called(calls: Calls) -> list:
    return [calls.functions[number] for number in set(calls.function.tolist())]


def test_states_record_no_calls_and_ask_for_nothing() -> None:
    calls = CallRecorder("states")
    calls.start()
    fib(3)
    assert calls.stop() is None
    assert_nothing_left()


def test_stop_twice_is_the_same_as_once_and_a_recorder_never_started_has_nothing() -> None:
    calls = CallRecorder("auto")
    assert calls.stop() is None
    calls.start()
    fib(3)
    raw = calls.stop()
    assert calls.stop() is raw
    assert_nothing_left()


def test_recordings_follow_each_other_without_a_trace_of_the_one_before() -> None:
    for n in (3, 4, 5):
        found = names(decode(record(lambda n=n: fib(n))))
        assert found.count("fib") == {3: 5, 4: 9, 5: 15}[n]
    assert call_recorder.process_tracers[0].head.buffer is None
    assert_nothing_left()


def test_the_budget_ends_the_calls_and_keeps_the_first_ones() -> None:
    stopped = threading.Event()

    def first() -> None:
        fib(2)

    def program() -> None:
        first()
        while not halted():
            fib(12)
        stopped.set()

    calls = CallRecorder("auto", budget=5_000)

    def halted() -> bool:
        return calls._end_pair is not None

    calls.start()
    program()
    after = time.monotonic_ns()
    raw = calls.stop()
    assert raw is not None and stopped.is_set()
    assert raw.events >= 5_000
    assert raw.stopped_ns is not None and raw.clock[0][1] < raw.stopped_ns <= after
    assert raw.problems == ()
    decoded = decode(raw)
    assert len(of(decoded, first.__qualname__)) == 1
    assert decoded.end_ns.max() <= raw.stopped_ns
    assert_nothing_left()


def test_the_watcher_is_in_no_list_and_gone_afterwards() -> None:
    seen: list[set[threading.Thread]] = []
    thread = threading.Thread(target=fib, args=(3,))

    def program() -> None:
        thread.start()
        thread.join()
        seen.append(set(threading.enumerate()))
        assert threading.active_count() <= len(before)

    before = set(threading.enumerate())
    raw = record(program)
    (during,) = seen
    assert during <= before
    assert raw.own_threads and not any(own_threads.contains(native_id) for native_id in raw.own_threads)
    assert not set(raw.own_threads) & set(decode(raw).native_id.tolist())


def test_no_dummy_thread_is_made_and_no_thread_number_used_up() -> None:
    made: list[str] = []

    def program() -> None:
        threads = [
            threading.Thread(target=lambda: made.append(threading.current_thread().name)) for _ in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    numbers = [int(threading.Thread(target=fib).name.split("-")[1].split()[0])]
    record(program)
    numbers.append(int(threading.Thread(target=fib).name.split("-")[1].split()[0]))
    assert numbers[1] == numbers[0] + 3
    assert all(name.startswith("Thread-") for name in made)


def test_threads_that_were_there_before_are_recorded_and_released() -> None:
    wake, done, end = threading.Semaphore(0), threading.Semaphore(0), threading.Event()
    profiles: list[object] = []

    def serve() -> None:
        while True:
            wake.acquire()
            if end.is_set():
                return
            fib(6)
            profiles.append(sys.getprofile())
            done.release()

    thread = threading.Thread(target=serve)
    thread.start()

    def ask() -> None:
        wake.release()
        done.acquire()

    calls = decode(record(ask))
    ask()  # after the end
    end.set()
    wake.release()
    thread.join()
    theirs = calls.native_id[of(calls, "fib")].tolist()
    assert len(theirs) == 25 and threading.get_native_id() not in theirs
    assert profiles[-1] is None
    assert_nothing_left()


def no_calls_beside(tool: str, is_hook: bool) -> None:
    """Where this tool records calls already there are none, and it is said."""
    calls = CallRecorder("auto")
    calls.start()
    fib(3)
    assert calls.stop() is None
    assert calls.problems == [Problem.of("tool_is_busy", tool, is_hook)]


def test_the_users_profile_hook_for_threads_is_as_before() -> None:
    def hook(frame: object, event: str, argument: object) -> None:
        return None

    threading.setprofile(hook)
    try:
        if MONITORING:  # there the two do not meet
            record(lambda: fib(3))
        else:
            no_calls_beside(hook_name(hook), is_hook=True)
        assert threading.getprofile() is hook
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]


def test_a_profile_hook_that_the_cell_sets_is_its_own() -> None:
    def hook(*_: object) -> None:
        return None

    def program() -> None:
        sys.setprofile(hook)
        threading.setprofile(hook)

    try:
        raw = record(program)
        assert len(raw.problems) == (0 if MONITORING else 1)
        assert (sys.getprofile(), threading.getprofile()) == (hook, hook)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


if MONITORING:

    @contextmanager
    def taken(*numbers: int) -> Iterator[None]:
        """Another tool has these numbers."""
        for number in numbers:
            sys.monitoring.use_tool_id(number, f"tool {number}")
        try:
            yield
            assert [sys.monitoring.get_tool(number) for number in numbers] == [f"tool {n}" for n in numbers]
        finally:
            for number in numbers:
                sys.monitoring.free_tool_id(number)

    @pytest.mark.parametrize("numbers", [(2,), (5,), (5, 3), (5, 3, 4)])
    def test_calls_are_recorded_at_any_number_that_is_free(numbers: tuple[int, ...]) -> None:
        with taken(*numbers):
            raw = record(lambda: fib(5))
        assert (names(decode(raw)).count("fib"), raw.problems) == (15, ())
        assert_nothing_left()

    def test_without_a_free_number_there_are_no_calls_and_it_is_said() -> None:
        with taken(*range(6)):
            calls = CallRecorder("auto")
            calls.start()
            assert calls.stop() is None
        assert calls.problems == [Problem.of("no_place_for_calls")]
        assert names(decode(record(lambda: fib(3)))).count("fib") == 5

    @pytest.mark.parametrize("frees", [False, True])
    def test_who_takes_or_frees_the_number_of_the_calls_gets_it(frees: bool) -> None:
        def program() -> None:
            fib(4)
            if frees:
                sys.monitoring.free_tool_id(5)
            else:
                sys.monitoring.use_tool_id(5, "greedy")
            fib(5)

        try:
            raw = record(program)
            assert sys.monitoring.get_tool(5) == (None if frees else "greedy")
        finally:
            sys.monitoring.free_tool_id(5)
        assert names(decode(raw)).count("fib") == 9
        assert raw.problems == (Problem.of("calls_step_back", "" if frees else "greedy"),)
        assert raw.stopped_ns is not None
        assert names(decode(record(lambda: fib(3)))).count("fib") == 5
        assert_nothing_left()

    def test_what_is_wrong_with_a_number_fails_as_ever() -> None:
        def program() -> None:
            for wrong in ((7, "x"), ("2", "x"), (2,), ()):
                with pytest.raises((TypeError, ValueError)) as told:
                    sys.monitoring.use_tool_id(*wrong)
                assert "src/concmagic/" not in "".join(traceback.format_exception(told.value))

        record(program)

else:

    def test_a_profile_hook_is_named() -> None:
        def hook(*_: object) -> None:
            return None

        sys.setprofile(hook)
        try:
            no_calls_beside(hook_name(hook), is_hook=True)
            assert sys.getprofile() is hook
        finally:
            sys.setprofile(None)
        assert names(decode(record(lambda: fib(3)))).count("fib") == 5


@pytest.mark.parametrize("in_thread", [False, True])
def test_cprofile_inside_has_all_that_it_has_without_us(in_thread: bool) -> None:
    import cProfile
    import pstats

    def program() -> None:
        fib(4)
        profile.enable()
        fib(6)
        if in_thread:
            thread = threading.Thread(target=fib, args=(5,))
            thread.start()
            thread.join()
        profile.disable()
        fib(3)

    def calls_of_fib() -> int:
        stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
        return sum(row[1] for (_, _, name), row in stats.items() if name == "fib")

    profile = cProfile.Profile()
    program()
    plain = calls_of_fib()
    profile = cProfile.Profile()
    raw = record(program)
    assert calls_of_fib() == plain
    if MONITORING:
        assert names(decode(raw)).count("fib") == 9 + 25 + 5 + 15 * in_thread
        assert raw.problems == ()
    else:
        assert len(raw.problems) == 1
    assert_nothing_left()


def test_a_viztracer_that_collects_is_named_and_an_idle_one_is_no_hindrance() -> None:
    from viztracer import VizTracer

    tracer = VizTracer(verbose=0, register_global=False, tracer_entries=1000)
    try:
        tracer.start()
        try:
            no_calls_beside("VizTracer", is_hook=False)
        finally:
            tracer.stop()
        assert names(decode(record(lambda: fib(3)))).count("fib") == 5
    finally:
        if not MONITORING:  # its own constructor's doing
            threading.setprofile(None)  # type: ignore[arg-type]
            sys.setprofile(None)


def test_an_idle_viztracer_that_is_collected_leaves_the_hook_for_new_threads() -> None:
    from viztracer import VizTracer

    theirs = [VizTracer(verbose=0, register_global=False, tracer_entries=1000)]
    if not MONITORING:  # its own constructor's doing
        threading.setprofile(None)  # type: ignore[arg-type]
        sys.setprofile(None)

    def program() -> None:
        theirs.clear()
        gc.collect()
        thread = threading.Thread(target=fib, args=(4,))
        thread.start()
        thread.join()

    assert names(decode(record(program))).count("fib") == 9
    assert_nothing_left()


def test_another_viztracer_inside_the_cell_costs_the_calls_and_nothing_else() -> None:
    from viztracer import VizTracer

    def program() -> None:
        fib(4)
        tracer = VizTracer(verbose=0, register_global=False, tracer_entries=1000)
        tracer.start()
        fib(5)
        tracer.stop()

    calls = CallRecorder("auto")
    calls.start()
    program()
    raw = calls.stop()
    if not MONITORING:
        threading.setprofile(None)  # type: ignore[arg-type]
    assert raw is not None
    told = [problem for problem in raw.problems if problem.kind == "tracer_evicted"]
    assert told == list(raw.problems)
    assert bool(told) is not MONITORING  # from 3.12 on there is room for both
    assert names(decode(raw)).count("fib") >= 9
    assert names(decode(record(lambda: fib(3)))).count("fib") == 5


def test_without_the_known_layout_python_functions_are_recorded_and_it_is_said(
    untrusted_layout: None,
) -> None:
    thread = threading.Thread(target=fib, args=(4,))

    def program() -> None:
        thread.start()
        thread.join()
        fib(5)
        time.sleep(0.001)

    raw = record(program)
    assert not raw.native_calls
    assert len(raw.problems) == 1 and raw.problems[0].kind == "native_calls_not_recorded"
    calls = decode(raw)
    assert names(calls).count("fib") == 9 + 15
    assert "time.sleep" not in names(calls)
    assert not calls.is_c.any()
    top = of(calls, program.__qualname__)[0]
    assert calls.end_ns[top] - calls.start_ns[top] >= 1_000_000
    assert abs(int(calls.end_ns[top]) - time.monotonic_ns()) < 60_000_000_000
    assert calls.functions[calls.function[top]].line == program.__code__.co_firstlineno
    assert_nothing_left()


def test_functions_without_a_known_name_stay_anonymous_calls() -> None:
    made = type("Made", (list,), {})
    calls = decode(record(lambda: made().append(1)))
    assert ANONYMOUS in _called(calls)


def test_a_forked_child_makes_a_recorder_of_its_own() -> None:
    reader, writer = os.pipe()
    calls = CallRecorder("auto")
    calls.start()
    fib(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a thread of ours runs; from 3.15 on it raises
        child = os.fork()
    if child == 0:
        try:
            os.write(writer, _in_child(calls).encode())
        finally:
            os._exit(0)
    os.close(writer)
    raw = calls.stop()
    said = b"".join(iter(lambda: os.read(reader, 1000), b"")).decode()
    os.close(reader)
    os.waitpid(child, 0)
    assert said == "ok"
    assert raw is not None and names(decode(raw)).count("fib") == 5


def _in_child(inherited: CallRecorder) -> str:
    call_recorder.abandon_after_fork()
    if sys.getprofile() is not None or threading.getprofile() is not None:
        return "a profile function stayed"
    raw = record(lambda: fib(6))
    found = decode(raw)
    if names(found).count("fib") != 25 or set(found.native_id.tolist()) != {os.getpid()}:
        return f"{names(found).count('fib')} calls of {set(found.native_id.tolist())}"
    if inherited.stop() is not None:
        return "the parent's events were handed over"
    return "ok"


def test_a_recording_whose_end_failed_is_ended_as_the_next_begins() -> None:
    def fails(budget_used: bool) -> None:
        raise TimeoutError

    left = CallRecorder("auto")
    left.start()
    left._halt = fails  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        left.stop()
    assert left._process is not None and left._process.head.collecting
    assert names(decode(record(lambda: fib(3)))).count("fib") == 5
    assert left._watcher is not None
    left._watcher.stop()
    assert profiles.unrecorded == []
    assert_nothing_left()


def test_a_recording_that_cannot_begin_keeps_no_buffer() -> None:
    calls = CallRecorder("auto")
    before = threading.stack_size(1 << 46)  # of a size that no thread can have
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            calls.start()
    finally:
        threading.stack_size(before)
    process = call_recorder.process_tracers[0]
    assert not process.head.buffer and not process.head.collecting
    assert calls.stop() is None
    assert_nothing_left()


def test_a_viztracer_still_running_at_the_end_is_the_cells_own_and_goes_on() -> None:
    from viztracer import VizTracer

    calls = CallRecorder("auto")
    calls.start()
    fib(4)
    tracer = VizTracer(verbose=0, register_global=False, tracer_entries=1000)
    tracer.start()
    raw = calls.stop()
    fib(5)
    tracer.stop()
    if not MONITORING:
        threading.setprofile(None)  # type: ignore[arg-type]
    assert raw is not None and len(raw.problems) == (0 if MONITORING else 1)
    theirs = [event["name"] for event in tracer.load() if event["ph"] == "X"]
    assert sum(name.startswith("fib ") for name in theirs) == 15
    assert names(decode(record(lambda: fib(3)))).count("fib") == 5
    assert_nothing_left()
