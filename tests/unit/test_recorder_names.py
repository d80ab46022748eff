"""Names of C functions, also of types that were collected meanwhile; what outlives a recording."""

from __future__ import annotations

import collections
import os
import queue
import select
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from concmagic.importing.call_columns import Calls
from concmagic.importing.decode_calls import decode
from concmagic.interpreter.event_nodes import ThreadNode
from concmagic.recording.calls import call_recorder
from concmagic.recording.calls.call_recorder import CallRecorder


def recorded(program) -> Calls:
    calls = CallRecorder("auto")
    calls.start()
    try:
        program()
    finally:
        raw = calls.stop()
    assert raw is not None and raw.problems == ()
    return decode(raw)


def native_names(program) -> set[str]:
    calls = recorded(program)
    return {calls.functions[number].name for number in calls.function[calls.is_c].tolist()}


def run(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=120
    )


def test_blocking_calls_have_their_names() -> None:
    lock, relock, simple = threading.Lock(), threading.RLock(), queue.SimpleQueue()
    one, other = socket.socketpair()
    reader, writer = os.pipe()

    def program() -> None:
        lock.acquire()
        lock.release()
        relock.acquire()
        simple.put(1)
        simple.get()
        other.send(b"x")
        one.recv(1)
        other.sendall(b"y")
        one.recv_into(bytearray(1))
        os.write(writer, b"z")
        select.select([reader], [], [], 0)
        select.poll().poll(0)
        os.read(reader, 1)
        time.sleep(0)
        socket.getaddrinfo("127.0.0.1", 80)
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        with open(os.devnull) as file:
            file.read()

    try:
        found = native_names(program)
    finally:
        one.close()
        other.close()
        os.close(reader)
        os.close(writer)
    wanted = """_thread.lock.acquire _thread.lock.release _thread.RLock.acquire _queue.SimpleQueue.put
        _queue.SimpleQueue.get socket.send socket.recv socket.sendall socket.recv_into posix.write
        posix.read select.select select.poll.poll time.sleep _socket.getaddrinfo _io.TextIOWrapper.read"""
    assert set(wanted.split()) - found == set()
    if sys.version_info >= (3, 13):
        assert "_thread._ThreadHandle.join" in found


def test_methods_of_lasting_types_and_of_blocking_types_subclasses_are_named() -> None:
    class Connection(socket.socket):
        pass

    def program() -> None:
        with Connection() as connection:
            connection.setblocking(False)
        [].append(1)
        collections.deque().popleft if False else collections.deque([1]).popleft()
        "a".upper()

    found = native_names(program)
    assert {"socket.setblocking", "list.append", "collections.deque.popleft", "str.upper"} <= found


def test_a_collected_class_leaves_no_name_and_no_other_is_put_in_its_place() -> None:
    def program() -> None:
        for number in range(50):
            cls = type(f"Passing{number}", (list,), {})
            cls().append(number)
            del cls

    found = native_names(program)
    assert not any("Passing" in name for name in found)
    assert all(name.isprintable() and name.isascii() for name in found)


TRAP = """
    import gc, sys
    from concmagic.recording.calls.call_recorder import CallRecorder
    from concmagic.importing.decode_calls import decode

    for turn in range(30):
        calls = CallRecorder("auto")
        calls.start()
        for number in range(40):
            L = type("L" * (number + 1), (list,), {})
            L().append(1)
            del L
        gc.collect()
        filler = [bytes(number) for number in range(2000)]  # what was freed is written over
        raw = calls.stop()
        decoded = decode(raw)
        names = {decoded.functions[n].name for n in decoded.function[decoded.is_c].tolist()}
        bad = [name for name in names if not (name.isascii() and name.isprintable())]
        assert not bad, bad
        assert not any("LL" in name or name.startswith("L.") for name in names), names
        anonymous = sum(1 for n in decoded.function.tolist() if not decoded.functions[n].name)
        assert 40 <= anonymous < 50, anonymous  # a call of the recorder's own, if it was held up
        assert "gc.collect" in names, names
    print("survived")
"""


def test_the_trap_of_collected_types_costs_neither_the_process_nor_a_name() -> None:
    result = run(TRAP)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "survived", "")


def test_more_recordings_than_thread_keys() -> None:
    # Each VizTracer takes one of 1,024 keys for good and ends the process when there is none left.
    result = run("""
        from concmagic.recording.calls.call_recorder import CallRecorder
        for turn in range(1100):
            calls = CallRecorder("auto")
            calls.start()
            abs(turn)
            assert calls.stop().events
        print("alive")
    """)
    assert (result.returncode, result.stdout.strip()) == (0, "alive"), result.stderr


def test_threads_of_native_code_come_to_python_while_all_threads_are_entered() -> None:
    # Such a thread enters the list of threads without the GIL, and the list is walked meanwhile.
    result = run("""
        import ctypes, threading
        from concmagic.recording.calls.call_recorder import CallRecorder
        libc, over = ctypes.CDLL(None), threading.Event()
        enter = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda nothing: None)

        def native_threads():
            made = ctypes.c_void_p()
            while not over.is_set():
                assert libc.pthread_create(ctypes.byref(made), None, enter, None) == 0
                libc.pthread_join(made, None)

        makers = [threading.Thread(target=native_threads) for _ in range(3)]
        for maker in makers:
            maker.start()
        for turn in range(400):
            calls = CallRecorder("auto")
            calls.start()
            calls.stop()
        over.set()
        for maker in makers:
            maker.join()
        print("alive")
    """)
    assert (result.returncode, result.stdout.strip()) == (0, "alive"), result.stderr


@pytest.mark.parametrize("recording", [True, False], ids=["still recording", "recorded before"])
def test_the_interpreter_ends_well_with_recorded_threads_still_alive(recording: bool) -> None:
    stop = "" if recording else "calls.stop()"
    result = run(f"""
        import threading
        from concmagic.recording.calls.call_recorder import CallRecorder
        for turn in range(3):
            calls = CallRecorder("auto")
            calls.start()
            begun = threading.Event()
            def wait():
                begun.set()
                threading.Event().wait()
            threading.Thread(target=wait, daemon=True).start()
            begun.wait()
            if turn < 2:
                calls.stop()
        {stop}
        print("end")
    """)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "end", "")


if sys.version_info < (3, 12):

    def test_viztracer_meets_no_thread_of_ours() -> None:
        """When a thread that it has met ends, it asks for the GIL, also of an interpreter that has ended."""
        calls = CallRecorder("auto")
        calls.start()
        abs(1)
        raw = calls.stop()
        met, address = set(), call_recorder.process_tracers[0].head.threads
        while address:
            node = ThreadNode.from_address(address)
            met.add(node.native_id)
            address = node.next
        assert threading.get_native_id() in met
        assert raw is not None and raw.own_threads and not met & set(raw.own_threads)


def test_threads_that_end_after_their_recording_leave_the_next_one_whole() -> None:
    leave = threading.Event()
    threads = [threading.Thread(target=leave.wait) for _ in range(8)]
    recorded(lambda: [thread.start() for thread in threads])
    leave.set()
    for thread in threads:
        thread.join()

    def again() -> None:
        more = [threading.Thread(target=len, args=("ab",)) for _ in range(8)]
        for thread in more:
            thread.start()
        for thread in more:
            thread.join()

    calls = recorded(again)
    assert len(set(calls.native_id.tolist())) == 9


def test_the_memory_of_the_events_is_given_back() -> None:
    result = run("""
        import sys
        from concmagic.recording.calls.call_recorder import CallRecorder

        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096

        def record(turns):
            calls = CallRecorder("calls")
            calls.start()
            for turn in range(turns):
                abs(turn)
            return calls.stop().events

        record(200_000)  # malloc keeps one such block for the next time
        record(200_000)
        before = resident()
        for _ in range(6):
            assert record(200_000) >= 200_000
        print((resident() - before) // 2**20)
    """)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 40, "six times 18 MB of events, and a copy of them, were recorded"
