"""The sampler: what it sees of threads, against other witnesses, and that nobody sees it."""

from __future__ import annotations

import array
import ctypes
import hashlib
import itertools
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from concmagic.interpreter import gil
from concmagic.recording.sampler import sampler_recorder as sampler
from concmagic.recording.sampler.gil_waits import decode_state
from concmagic.recording.sampler.sampler_recorder import Sampler
from concmagic.recording.sampler.threads_and_gil import Rows, Thread
from concmagic.records.recording import SampleLog

RUNNING, GIL, FUTEX, ASLEEP, CORE, HOLDER = -1, -3, -4, -5, -6, -7
SLEEP_CALL = {"x86_64": 230, "aarch64": 115}[os.uname().machine]
FUTEX_CALL = {"x86_64": "202", "aarch64": "98"}[os.uname().machine]
WAIT_S = 30  # only ever reached by a test that fails


class Row(NamedTuple):
    native_id: int
    start_ns: int
    end_ns: int
    code: int
    argument: int


def rows_of(log: SampleLog | None) -> list[Row]:
    assert log is not None
    names = ("native_id", "start_ns", "end_ns", "code", "argument")
    return [Row(*values) for values in zip(*(array.array("q", getattr(log, n)) for n in names), strict=True)]


def shares(log: SampleLog | None, native_id: int) -> dict[int, float]:
    """Each code's share of a thread's sampled time."""
    sums: Counter[int] = Counter()
    for row in rows_of(log):
        if row.native_id == native_id:
            sums[row.code] += row.end_ns - row.start_ns
    return {code: ns / sums.total() for code, ns in sums.items()}


@contextmanager
def sampled(**options: Any) -> Iterator[list[SampleLog]]:
    """The log of the block is in the list when it is over."""
    logs: list[SampleLog] = []
    watching = Sampler(os.getpid(), **options)
    watching.start()
    try:
        yield logs
    finally:
        log = watching.stop()
        assert watching.problems == []
        assert log is not None
        logs.append(log)


@pytest.fixture(autouse=True, scope="module")
def no_helper_left() -> Iterator[None]:
    yield
    helper = sampler.helper_pid()
    sampler.close()
    if helper is not None:
        assert ended(helper)


def ended(pid: int) -> bool:
    """Whether a process that is no child of ours ends."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], WAIT_S)[0])
    finally:
        os.close(descriptor)


def together(*functions: Callable[[], object]) -> list[threading.Thread]:
    """Run the functions in threads that begin at the same moment; return when all are over."""
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], object]) -> None:
        barrier.wait(WAIT_S)
        function()

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return threads


def compute() -> None:
    """Pure Python for 0.3 s of this thread's own CPU time."""
    while time.thread_time_ns() < 300_000_000:
        sum(range(500))


def until(condition: Callable[[], object]) -> None:
    """Wait for what another process or thread is about to do; pytest's time limit ends it."""
    while not condition():
        time.sleep(0.001)


@pytest.mark.sampled
def test_two_computing_threads_take_turns_at_the_gil():
    with sampled() as logs:
        threads = together(compute, compute)

    for thread in threads:
        share = shares(logs[0], thread.native_id)
        # Half each; on a busy machine the holder's wait for a core is the other's for the GIL.
        assert 0.1 < share[GIL] < 0.7
        assert share[RUNNING] + share.get(CORE, 0) > 0.3
        assert share.get(FUTEX, 0) < 0.05


def test_hashing_threads_do_not_want_the_gil():
    buffer = bytes(1 << 27)
    with sampled() as logs:
        threads = together(*[lambda: hashlib.sha256(buffer).digest()] * 2)

    for thread in threads:
        share = shares(logs[0], thread.native_id)
        assert share[RUNNING] + share.get(CORE, 0) > 0.8
        assert share.get(GIL, 0) < 0.1


def test_sleep_is_its_system_call():
    with sampled() as logs:
        (thread,) = together(lambda: time.sleep(0.2))

    assert shares(logs[0], thread.native_id)[SLEEP_CALL] > 0.5


def test_lock_is_a_futex_that_is_not_the_gils():
    lock = threading.Lock()
    lock.acquire()
    thread = threading.Thread(target=lock.acquire)
    with sampled() as logs:
        thread.start()
        time.sleep(0.1)  # the length of the wait that is to be seen
        lock.release()
        thread.join()

    waits = [row for row in rows_of(logs[0]) if row.native_id == thread.native_id and row.code == FUTEX]
    assert sum(row.end_ns - row.start_ns for row in waits) > 30_000_000
    assert shares(logs[0], thread.native_id).get(GIL, 0) < 0.05
    if sys.version_info < (3, 14):  # the lock object's third machine word is the address waited for
        address = ctypes.c_ulong.from_address(id(lock) + 16).value
        assert {row.argument for row in waits} == {address}


def test_descriptor_of_a_blocking_read_is_told():
    reading, writing = os.pipe()
    thread = threading.Thread(target=os.read, args=(reading, 1))
    with sampled() as logs:
        thread.start()
        time.sleep(0.1)
        os.write(writing, b"x")
        thread.join()
    os.close(writing)
    os.close(reading)

    rows = [row for row in rows_of(logs[0]) if row.native_id == thread.native_id]
    assert max(rows, key=lambda row: row.end_ns - row.start_ns).argument == reading


@pytest.mark.sampled  # how often is asked, too
def test_rows_of_a_thread_follow_each_other_and_lie_in_the_cell():
    start_ns = time.monotonic_ns()
    with sampled() as logs:
        threads = together(compute, compute)
    end_ns = time.monotonic_ns()

    for thread in threads:
        rows = [row for row in rows_of(logs[0]) if row.native_id == thread.native_id]
        assert start_ns <= rows[0].start_ns
        assert rows[-1].end_ns <= end_ns
        for one, other in itertools.pairwise(rows):
            assert one.end_ns == other.start_ns
            assert (one.code, one.argument) != (other.code, other.argument)
    assert 50 < logs[0].rate_hz <= 700
    assert logs[0].cpu_ns > 0


def test_where_system_calls_are_not_shown_there_are_state_letters():
    with sampled(files="stat") as logs:
        sleeper, computer = together(lambda: time.sleep(0.2), compute)

    assert shares(logs[0], sleeper.native_id)[ASLEEP] > 0.5
    share = shares(logs[0], computer.native_id)
    assert share[RUNNING] + share.get(CORE, 0) > 0.5
    assert decode_state(b"7 (a) b) R 1 2") == (RUNNING, 0)
    assert decode_state(b"7 (x) D 1 2") == (ASLEEP, 0)


def test_gil_lies_where_the_interpreters_own_waits_are_seen():
    place = gil.find()
    assert place is not None
    base = next(
        int(line.partition("-")[0], 16)
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(place.file)
    )
    enough = threading.Event()

    def compute_on() -> None:
        while not enough.is_set():
            sum(range(500))

    threads = [threading.Thread(target=compute_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    natives = [str(thread.native_id) for thread in threads]
    arguments = [sys.executable, "-c", WITNESS, str(os.getpid()), FUTEX_CALL, *natives]
    try:
        seen = subprocess.run(arguments, capture_output=True, text=True, timeout=WAIT_S).stdout.split()
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert len(seen) == 50
    assert all(0 <= int(address, 16) - base - place.offset < place.size for address in seen)


# Another process, because one that holds the GIL while it looks seldom sees others wait for it.
WITNESS = """
import sys, time
pid, call, *tids = sys.argv[1:]
left = 50
while left:
    for tid in tids:
        words = open(f"/proc/{pid}/task/{tid}/syscall").read().split()
        if left and words[0] == call and words[4] != "0x0":  # a futex with a timeout
            print(words[1])
            left -= 1
    time.sleep(0.001)
"""


CHILD = """
import sys, threading, time
def compute():
    while time.thread_time() < 0.5: sum(range(500))
threads = [threading.Thread(target=compute) for _ in range(2)]
print("here", flush=True)
sys.stdin.readline()
for thread in threads: thread.start()
print(*[thread.native_id for thread in threads], flush=True)
for thread in threads: thread.join()
"""


@contextmanager
def child(source: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process of its own that has said that it is there."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", source], text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def test_child_that_is_named_is_seen_with_its_own_gil():
    with child(CHILD) as process:
        assert process.stdout.readline() == "here\n"
        watching = Sampler(os.getpid())
        watching.start()
        watching.watch(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        natives = [int(word) for word in process.stdout.readline().split()]
        process.wait(WAIT_S)
        log = watching.stop()

    for native_id in natives:
        share = shares(log, native_id)
        assert 0.1 < share[GIL] < 0.7
        assert share.get(FUTEX, 0) < 0.05


def test_children_are_found_by_themselves():
    with sampled() as logs, child(CHILD) as process:
        assert process.stdout.readline() == "here\n"
        helper = sampler.helper_pid()
        until(lambda: any(f"/proc/{process.pid}/" in target for target in open_files(helper)))
    # It was killed when it was seen, maybe before its only thread was read: but not before its GIL was.
    assert process.pid in {abs(row.native_id) for row in rows_of(logs[0])}


def open_files(pid: int) -> list[str]:
    targets = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            targets.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return targets


ALONE = """
import multiprocessing, os, threading
from concmagic.recording.sampler import sampler_recorder as sampler
watching = sampler.Sampler(os.getpid())
watching.start()
assert threading.active_count() == 1 and multiprocessing.active_children() == []
assert os.getsid(sampler.helper_pid()) != os.getsid(0)
assert os.getpgid(sampler.helper_pid()) != os.getpgid(0)
for wait in (os.wait, lambda: os.waitpid(-1, os.WNOHANG)):
    try: print("a child was seen:", wait())
    except ChildProcessError: print("no child")
assert watching.stop() is not None and watching.problems == []
"""


def test_nobody_sees_the_helper():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=WAIT_S)
    assert (done.stdout, done.stderr) == ("no child\nno child\n", "")


def test_a_program_that_ends_closes_what_the_helper_was_told_through():
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", ALONE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S)
    assert (done.stdout, done.stderr) == ("no child\nno child\n", "")


def test_helper_is_kept_and_costs_nothing_between_cells():
    with sampled():
        first = sampler.helper_pid()
    until(lambda: Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[0] == "S")
    open_between = sorted(open_files(first))
    switches = [line for line in Path(f"/proc/{first}/status").read_text().splitlines() if "ctxt" in line]
    time.sleep(0.2)
    assert switches == [
        line for line in Path(f"/proc/{first}/status").read_text().splitlines() if "ctxt" in line
    ]
    with sampled():
        assert sampler.helper_pid() == first
    # The three standard ones, the control socket, and the kernel's end.
    assert len(open_between) == 5
    assert not any("/proc/" in target for target in open_between)


def test_nothing_inherited_stays_open_in_the_helper(tmp_path: Path):
    sampler.close()
    descriptor = os.open(tmp_path / "leaked", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(descriptor, True)
    try:
        with sampled():
            assert str(tmp_path / "leaked") not in open_files(sampler.helper_pid())
            assert os.readlink(f"/proc/{sampler.helper_pid()}/cwd") == "/"
    finally:
        os.close(descriptor)


def test_dead_helper_costs_its_data_only():
    watching = Sampler(os.getpid())
    watching.start()
    victim = sampler.helper_pid()
    os.kill(victim, signal.SIGKILL)
    assert ended(victim)

    watching.watch(os.getpid())
    assert watching.stop() is None
    assert len(watching.problems) == 1
    assert watching.problems[0].kind == "sampler_lost"

    with sampled():
        assert sampler.helper_pid() != victim


def test_helper_that_died_between_cells_is_replaced():
    with sampled():
        victim = sampler.helper_pid()
    os.kill(victim, signal.SIGKILL)
    assert ended(victim)
    with sampled():
        assert sampler.helper_pid() != victim


KERNEL = """
import os, sys, time
from concmagic.recording.sampler import sampler_recorder as sampler
watching = sampler.Sampler(os.getpid())
watching.start()
if "idle" in sys.argv: watching.stop()
other = os.fork() if "fork" in sys.argv else 0
if "fork" in sys.argv and not other: time.sleep(60)
print(sampler.helper_pid(), other, flush=True)
while True: time.sleep(0.01)  # a signal that comes just before a long sleep would be acted on after it
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("when", ["idle", "sampling", "fork"])
def test_helper_ends_with_the_kernel_however_that_ends(how: signal.Signals, when: str):
    arguments = [sys.executable, "-c", KERNEL, when]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as kernel:
        helper, other = map(int, kernel.stdout.readline().split())
        kernel.send_signal(how)
        kernel.wait(WAIT_S)
        try:
            assert ended(helper)  # also while a forked child still holds the kernel's end of the socket
        finally:
            if other:
                os.kill(other, signal.SIGKILL)


def test_interrupt_of_the_kernels_group_does_not_end_it():
    noting = "import signal; signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))"
    arguments = [sys.executable, "-c", noting + KERNEL, "sampling"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True) as kernel:
        helper, _ = map(int, kernel.stdout.readline().split())
        os.killpg(kernel.pid, signal.SIGINT)
        assert kernel.stdout.readline() == "interrupted\n"
        assert Path(f"/proc/{helper}/stat").read_text().rpartition(")")[2].split()[0] in "RS"
        kernel.kill()
        kernel.wait(WAIT_S)
        assert ended(helper)


def test_stretches_change_half_way_between_samples():
    rows, thread = Rows(), Thread(7, -1)
    texts = {b"r": (RUNNING, 0), b"g1": (GIL, 0), b"g2": (GIL, 0), b"f": (FUTEX, 9)}
    for raw, now_ns in [(b"r", 100), (b"r", 110), (b"g1", 120), (b"g2", 130), (b"f", 140)]:
        thread.see(raw, now_ns, texts.__getitem__, rows)
    thread.end(150, rows)

    found = list(zip(*rows.columns, strict=True))
    assert found == [(7, 100, 115, RUNNING, 0), (7, 115, 135, GIL, 0), (7, 135, 150, FUTEX, 9)]


class Schedule:
    """A thread's `schedstat` as a file that a test writes: times in microseconds."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "schedstat"
        self.path.write_text("0 0 0")
        self.file = os.open(self.path, os.O_RDONLY)

    def says(self, ran: int, delayed: int) -> None:
        self.path.write_text(f"{ran * 1000} {delayed * 1000} 1\n")


def see(folder: Path, samples: list[tuple[bytes, int, int, int]]) -> list[tuple[int, int, int]]:
    """Rows (begin, end, code) in microseconds of samples (text, moment, has run, has had no core)."""
    rows, schedule = Rows(), Schedule(folder)
    thread = Thread(7, -1, schedule.file)
    texts = {b"r": (RUNNING, 0), b"g": (GIL, 0), b"s": (SLEEP_CALL, 0)}
    for raw, now, ran, delayed in samples:
        schedule.says(ran, delayed)
        thread.see(raw, now * 1000, texts.__getitem__, rows)
    thread.end(samples[-1][1] * 1000, rows)
    os.close(schedule.file)
    tids, begins, ends, codes, _ = rows.columns
    assert set(tids) == {7}
    assert list(begins[1:]) == list(ends[:-1])
    return [(b // 1000, e // 1000, c) for b, e, c in zip(begins, ends, codes, strict=True)]


def test_between_two_samples_off_the_cores_it_ran_as_long_as_its_sum_says(tmp_path: Path):
    rows = see(tmp_path, [(b"g", 0, 0, 0), (b"r", 2000, 0, 0), (b"r", 4000, 1500, 0), (b"g", 6000, 2600, 0)])
    assert rows == [(0, 1700, GIL), (1700, 4300, RUNNING), (4300, 6000, GIL)]


def test_a_wait_for_a_core_is_told_from_having_one(tmp_path: Path):
    samples = [(b"g", 0, 0, 0), (b"r", 2000, 0, 0), (b"r", 4000, 1000, 0), (b"r", 12000, 2000, 6000)]
    rows = see(tmp_path, [*samples, (b"g", 14000, 4000, 6000)])
    assert sum(end - begin for begin, end, code in rows if code == RUNNING) == 4000
    assert [end - begin for begin, end, code in rows if code == CORE] == [6000]
    assert sum(end - begin for begin, end, code in rows if code == GIL) == 4000


def test_one_that_was_woken_and_had_no_core_waited_before_it_ran(tmp_path: Path):
    rows = see(tmp_path, [(b"s", 0, 0, 0), (b"r", 10000, 1000, 8000), (b"s", 12000, 2500, 8000)])
    assert [code for _, _, code in rows] == [SLEEP_CALL, CORE, RUNNING, SLEEP_CALL]
    assert [end - begin for begin, end, code in rows if code in (CORE, RUNNING)] == [8000, 2500]


def test_a_run_between_two_samples_off_the_cores_is_seen_by_its_sum(tmp_path: Path):
    rows = see(tmp_path, [(b"g", 0, 0, 0), (b"g", 5000, 2000, 1000), (b"g", 9000, 2000, 1000)])
    assert rows == [(0, 1000, GIL), (1000, 2000, CORE), (2000, 4000, RUNNING), (4000, 9000, GIL)]


def test_far_from_a_sample_it_is_not_told_what_a_thread_waits_for(tmp_path: Path):
    """A sampler that had no core itself saw a thread compute, and 90 ms later wait for the GIL."""
    samples = [(b"s", 0, 0, 0), (b"r", 2000, 1000, 0), (b"r", 4000, 3000, 0), (b"g", 94000, 13000, 0)]
    rows = see(tmp_path, samples)
    assert [code for _, _, code in rows] == [SLEEP_CALL, RUNNING, ASLEEP, GIL]
    assert [end - begin for begin, end, code in rows if code == RUNNING] == [13000]
    assert [end - begin for begin, end, code in rows if code == GIL] == [10000]


def test_two_waits_with_a_long_gap_between_are_each_told_where_they_were_seen(tmp_path: Path):
    rows = see(tmp_path, [(b"s", 0, 0, 0), (b"g", 100_000, 0, 0)])
    assert rows == [(0, 10_000, SLEEP_CALL), (10_000, 90_000, ASLEEP), (90_000, 100_000, GIL)]


def test_who_sleeps_long_is_read_less_often_and_who_runs_never_is():
    thread = Thread(8, -1)
    thread.code, thread.same = SLEEP_CALL, 10_000
    assert sum(thread.due(tick) for tick in range(80)) == 10
    thread.code = RUNNING
    assert all(thread.due(tick) for tick in range(80))
