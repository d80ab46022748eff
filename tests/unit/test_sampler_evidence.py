"""What the sampler tells beside states: waits for a core, who has the GIL, what threads wait at, its cost."""

from __future__ import annotations

import ctypes
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from test_sampler import CORE, GIL, HOLDER, RUNNING, Row, open_files, rows_of, sampled, together, until

from concmagic.interpreter import gil
from concmagic.recording.sampler.process_clock import CLOCK
from concmagic.recording.sampler.process_view import Descriptors, Process, _address
from concmagic.recording.sampler.sampler_recorder import helper_pid
from concmagic.recording.sampler.sampling_rate import Budget
from concmagic.recording.sampler.threads_and_gil import UNTOLD, Rows


def lengths(rows: list[Row], native_id: int, argument: bool = False) -> Counter[int]:
    """Nanoseconds of a thread by code, or of a process's GIL by holder."""
    sums: Counter[int] = Counter()
    for row in rows:
        if row.native_id == native_id:
            sums[row.argument if argument else row.code] += row.end_ns - row.start_ns
    return sums


class Witness(NamedTuple):
    """What the kernel's own accounts say of a thread, from a moment when it had been seen to the last."""

    start_ns: int
    end_ns: int
    cpu_ns: int
    delay_ns: int  # how long it had no core


def witnessed(work: Callable[[], object], into: dict[int, Witness]) -> Callable[[], None]:
    """Work once the sampler looks at this thread, however late that is; note the accounts meanwhile."""

    def run() -> None:
        native_id = threading.get_native_id()
        until(lambda: any(f"/task/{native_id}/sc" in file for file in open_files(helper_pid() or 0)))
        until_sampled()
        before = accounts()
        work()
        after = accounts()
        until_sampled()  # how long a thread ran is exact where it was seen off the cores again
        into[native_id] = Witness(before[0], after[0], after[1] - before[1], after[2] - before[2])

    return run


def until_sampled() -> None:
    """Wait until the helper has slept between its looks a few times more."""
    enough = pauses() + 3
    until(lambda: pauses() >= enough)


def pauses() -> int:
    """How often the helper has given up its core so far."""
    status = Path(f"/proc/{helper_pid()}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def accounts() -> tuple[int, int, int]:
    """The time, this thread's CPU time, and how long it had no core."""
    delay = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()[1]
    return time.monotonic_ns(), time.thread_time_ns(), int(delay)


def within(rows: list[Row], witness: Witness) -> list[Row]:
    """What lies between the witness's first moment and its last."""
    cut = [
        row._replace(start_ns=max(row.start_ns, witness.start_ns), end_ns=min(row.end_ns, witness.end_ns))
        for row in rows
    ]
    return [row for row in cut if row.start_ns < row.end_ns]


def compute_for(cpu_ns: int, step: Callable[[], object]) -> None:
    """Repeat a step for so much of this thread's own CPU time."""
    end_ns = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < end_ns:
        step()


def hashing() -> None:
    data = bytes(1 << 20)
    compute_for(200_000_000, lambda: hashlib.sha256(data).digest())


def test_two_threads_on_one_core_wait_for_it_in_turn() -> None:
    witness: dict[int, Witness] = {}
    allowed = os.sched_getaffinity(0)
    with sampled() as logs:
        os.sched_setaffinity(0, {min(allowed)})  # of this thread, and of those that it starts
        try:
            threads = together(*[witnessed(hashing, witness)] * 2)
        finally:
            os.sched_setaffinity(0, allowed)
    rows = rows_of(logs[0])
    for thread in threads:
        seen = witness[thread.native_id or 0]
        spent = lengths(within(rows, seen), thread.native_id or 0)
        assert seen.delay_ns > 0.5 * seen.cpu_ns  # the other had the core meanwhile
        assert spent[CORE] == pytest.approx(seen.delay_ns, rel=0.1, abs=20_000_000)
        # What it computed just before and afterwards may be told as a part of it, and what is missing above.
        assert spent[RUNNING] == pytest.approx(seen.cpu_ns, abs=50_000_000 + 0.1 * seen.delay_ns)


def spin() -> None:
    compute_for(200_000_000, lambda: sum(range(500)))


@pytest.mark.sampled
def test_who_holds_the_gil_is_read_and_how_often_it_went_on() -> None:
    witness: dict[int, Witness] = {}
    with sampled() as logs:
        threads = together(*[witnessed(spin, witness)] * 2)
    for thread in threads:
        seen = witness[thread.native_id or 0]
        rows = [row for row in rows_of(logs[0]) if row.code != CLOCK]
        held = lengths(within(rows, seen), -os.getpid(), argument=True)
        # Where looks are far apart nobody knows who had it meanwhile.
        known = 1 - held[UNTOLD] / (seen.end_ns - seen.start_ns)
        known *= held.total() / (seen.end_ns - seen.start_ns)
        # It computed with the GIL, and had no core with it or without.
        assert 0.6 * known * seen.cpu_ns < held[thread.native_id or 0] < 1.3 * (seen.cpu_ns + seen.delay_ns)
    assert logs[0].gil_switches is not None
    assert logs[0].gil_switches > 20


@pytest.mark.sampled
def test_a_holder_off_the_cores_is_seen_too() -> None:
    nap = ctypes.PyDLL(None).usleep  # keeps the GIL
    with sampled() as logs:
        (thread,) = together(lambda: nap(300_000))
    held = lengths(rows_of(logs[0]), -os.getpid(), argument=True)
    assert held[thread.native_id or 0] > 200_000_000
    assert lengths(rows_of(logs[0]), thread.native_id or 0)[RUNNING] < 50_000_000


def test_the_holders_words_are_found_once_in_this_interpreter() -> None:
    place = gil.find()
    assert place is not None
    assert place.holder > 0 and place.native > 0


def waiting_at(work: Callable[[], object], end: Callable[[], object]) -> list[str]:
    """What a thread waited at, for 0.2 s until it is let go."""
    with sampled() as logs:
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.2)  # the length of the wait that is to be named
        end()
        thread.join()
    return [words for native_id, _, words in logs[0].details if native_id == thread.native_id]


def test_a_pipe_a_file_and_a_socket_have_their_names(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    assert waiting_at(lambda: os.read(reading, 1), lambda: os.write(writing, b"x")) == ["pipe"]
    os.close(reading)
    os.close(writing)
    os.mkfifo(tmp_path / "data.csv")

    def read() -> None:
        (tmp_path / "data.csv").read_bytes()

    held = []
    opened = threading.Thread(target=lambda: held.append((tmp_path / "data.csv").open("wb")))
    opened.start()
    assert waiting_at(read, lambda: held[0].close()) == ["data.csv"]
    opened.join()
    for family, host, shown in (
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "[::1]"),
    ):
        with socket.create_server((host, 0), family=family) as server:
            port = server.getsockname()[1]
            with socket.create_connection((host, port)) as there, server.accept()[0] as here:
                assert waiting_at(lambda s=there: s.recv(1), lambda s=here: s.send(b"x")) == [
                    f"{shown}:{port}"
                ]
            client: list[socket.socket] = []
            connect = lambda at=(host, port), into=client: into.append(socket.create_connection(at))  # noqa: E731
            assert waiting_at(lambda s=server: s.accept()[0].close(), connect) == [f"port {port}"]
            client[0].close()


def test_a_socket_that_is_waited_at_by_its_timeout_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=60) as there, server.accept()[0] as here:
            assert waiting_at(lambda: there.recv(1), lambda: here.send(b"x")) == [f"127.0.0.1:{port}"]


def test_addresses_are_read_as_the_kernels_tables_write_them() -> None:
    if sys.byteorder == "little":
        assert _address("0100007F:01BB") == "127.0.0.1:443"
        assert _address("00000000000000000000000001000000:0050") == "[::1]:80"
        assert _address("0000000000000000FFFF00000100007F:0050") == "127.0.0.1:80"


def test_a_descriptor_that_is_gone_has_no_name() -> None:
    assert Descriptors(os.getpid()).of_call(b"0 0xffff 0x1 0x0 0x0 0x0 0x0 0x0 0x0") == ""
    assert Descriptors(os.getpid()).of_call(b"running") == ""


def test_with_sixteen_threads_it_takes_at_most_8_percent_of_a_core() -> None:
    enough = threading.Event()

    def computing() -> None:
        while not enough.is_set():
            sum(range(500))

    begun_ns = time.monotonic_ns()
    with sampled() as logs:
        threads = [threading.Thread(target=computing) for _ in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(1)  # how long it is measured
        enough.set()
        for thread in threads:
            thread.join()
        lasted_ns = time.monotonic_ns() - begun_ns
    assert logs[0].cpu_ns <= 0.08 * lasted_ns
    assert any(row.code == GIL for row in rows_of(logs[0]))


# The sampler's own loop beside cores enough, as on a machine that does nothing else: what it took, what it
# asked for, and how long the machine kept it from running.
SAMPLING = """
import select, sys, time
from concmagic.recording.sampler.sampling_rate import FASTEST_S, FREE_SHARE
from concmagic.recording.sampler.process import Session
pid, offset, size, holder, native, file = sys.argv[1:]
session = Session(int(pid), "syscall", (int(offset), int(size), int(holder), int(native), file), 1000)
session.budget.all_cores = 1000
pause = late = wanted = 0.0
taken_before = session.ticks
began = time.monotonic()
while time.monotonic() < began + 1:
    slept = time.monotonic()
    select.select([], [], [], pause)
    woke, used = time.monotonic(), time.process_time()
    late += woke - slept - pause
    pause = session.take()
    wanted += max(FASTEST_S, session.budget.tick_ns / 1e9 / FREE_SHARE)
    late += time.monotonic() - woke - (time.process_time() - used)
seen = {abs(native_id) for native_id in session.rows.columns[0]}
lasted = time.monotonic() - began
ticks = session.ticks - taken_before
print(ticks, session.budget.asked_hz(), ticks / wanted, lasted, late, *seen)
"""


def test_a_busy_cell_is_sampled_500_times_a_second_but_for_what_the_machine_takes() -> None:
    enough = threading.Event()

    def computing() -> None:
        while not enough.is_set():
            sum(range(500))

    place = gil.find()
    assert place is not None
    where = [str(os.getpid()), *map(str, (place.offset, place.size, place.holder, place.native)), place.file]
    threads = [threading.Thread(target=computing) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        done = subprocess.run(
            [sys.executable, "-c", SAMPLING, *where], capture_output=True, text=True, timeout=30
        )
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    ticks, asked_hz, wanted_hz, lasted_s, late_s, *seen = map(float, done.stdout.split())
    # 500 a second but for moments in which one sample took more of a core than 500 of them may.
    assert wanted_hz <= 500.1
    assert asked_hz == pytest.approx(wanted_hz, rel=0.02)
    # Whatever keeps it from running cuts a pause in two: on a busy machine some of few samples.
    assert ticks == pytest.approx(asked_hz * (lasted_s - late_s), rel=0.1, abs=10)
    assert {thread.native_id for thread in threads} <= {int(native_id) for native_id in seen}


def test_samples_that_are_left_out_on_a_busy_machine_are_counted() -> None:
    budget = Budget(cores=1)
    try:
        for running in [0] * 50 + [2] * 50:
            until = time.process_time_ns() + 300_000
            while time.process_time_ns() < until:
                pass
            budget.pause(running, rows=0)
    finally:
        budget.close()
    assert budget.asked_hz() < 300


def test_where_there_is_no_file_that_tells_the_call_there_are_state_letters(tmp_path: Path) -> None:
    """As in sandboxes that imitate Linux."""
    rows = Rows()
    process = Process(os.getpid(), "syscall", (0, 0, 0, 0, ""))
    process.folder = str(tmp_path)
    real = Path(f"/proc/self/task/{threading.get_native_id()}").resolve()
    (tmp_path / real.name).mkdir()
    for name in ("stat", "schedstat"):
        (tmp_path / real.name / name).symlink_to(real / name)
    process.list_threads(800, rows)
    assert process.hides_calls
    assert process.threads == {}
    process.use_state_letters(rows)
    process.list_threads(800, rows)
    assert not process.hides_calls
    assert [thread.tid for thread in process.threads.values()] == [threading.get_native_id()]
    process.close(rows)


# Root may look at everybody, but for one who has given that right up.
SHY = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
if "again" not in sys.argv:
    libc.prctl(24, 19, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_SYS_PTRACE
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "again"])
libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: nobody is to look in
import threading, time
from concmagic.recording.sampler.sampler_recorder import Sampler
watching = Sampler(os.getpid())
watching.start()
thread = threading.Thread(target=time.sleep, args=(0.2,))
thread.start()
thread.join()
log = watching.stop()
codes = set(memoryview(log.code).cast("q"))
print(*watching.problems, codes <= {-1, -2, -5, -6, -7, -9}, -5 in codes, log.knows_gil)
"""


def test_a_system_that_hides_calls_is_said_to(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SHY], capture_output=True, text=True, timeout=30)
    assert done.stdout == (
        "This system does not show in which call a thread waits: "
        "waits for the GIL and for locks are not told apart. True True False\n"
    )


def test_the_pause_makes_the_cost_of_a_tick_its_share() -> None:
    """Dearer ticks are further apart, and those of a busy machine further still."""
    budget = Budget(cores=1)
    try:
        pauses = []
        for running in [0] * 40 + [2] * 80:
            until = time.process_time_ns() + 1_000_000
            while time.process_time_ns() < until:
                pass
            budget.pause(running, rows=0)
            pauses.append(budget.pause_s)
        assert budget.tick_ns > 1_000_000
        assert pauses[-1] > 0.05  # a millisecond is 2 % of it
        assert pauses[-1] >= pauses[39] >= 0.012  # … or, with a core free, 8 %
    finally:
        budget.close()


def test_looking_at_nothing_but_new_threads_is_said_once_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with sampled():
        from concmagic.recording.sampler import sampler_recorder

        monkeypatch.setattr(sampler_recorder.Helper, "say", lambda self, command: said.append(command))
        watching = sampler_recorder.Sampler(os.getpid())
        watching._running = sampler_recorder._helper
        for _ in range(100):
            watching.look()
        watching._running = None
    assert 1 <= len(said) < 100


def test_a_thread_is_seen_at_once_when_it_says_so() -> None:
    """Without being told, threads are listed every few milliseconds."""
    from concmagic.recording.sampler.sampler_recorder import Sampler

    watching = Sampler(os.getpid())
    watching.start()
    go = threading.Event()
    threads = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: (watching.look(), go.wait()))
        thread.start()
        threads.append(thread)
        time.sleep(0.02)
    go.set()
    for thread in threads:
        thread.join()
    log = watching.stop()
    seen = {row.native_id for row in rows_of(log)}
    assert {thread.native_id for thread in threads} <= seen
    assert HOLDER in {row.code for row in rows_of(log)}


def test_the_number_of_threads_is_told_without_listing_them() -> None:
    rows = Rows()
    process = Process(os.getpid(), "syscall", (0, 0, 0, 0, ""))
    process.list_threads(800, rows)
    assert process.has_as_many()
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    assert not process.has_as_many()
    process.list_threads(800, rows)
    assert process.has_as_many()
    assert thread.native_id in process.threads
    over.set()
    thread.join()
    while os.path.exists(f"/proc/self/task/{thread.native_id}"):
        time.sleep(0.001)
    assert not process.has_as_many()
    process.close(rows)


def test_children_are_those_of_threads_that_moved_and_now_and_then_everybodys() -> None:
    """A thread that slept all the while has no new child; one that was missed is found in time."""
    process, rows = Process(os.getpid(), "syscall", (0, 0, 0, 0, "")), Rows()
    process.list_threads(800, rows)
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid in list(process.children())  # the first look is at everybody
        for thread in process.threads.values():
            thread.begin(0, 0, time.monotonic_ns())
        assert child.pid in list(process.children())
        assert child.pid in list(process.children())
        looks = 0
        while child.pid not in list(process.children()):
            looks += 1
        assert 0 < looks < 8
    finally:
        child.kill()
        child.wait()
        process.close(rows)
