"""However a child ends, its record tells how, and what it could hand over is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from children_notebook import check_whole, run_cells

from concmagic.problems import Problem

METHODS = ["fork", "spawn", "forkserver"]

SETUP = """
import os, signal, sys, threading, time
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

def work(x):
    return x + 1

def ready(sender):
    sender.send(os.getpid())
    threading.Event().wait()

def leave(how):
    if how == "exit": sys.exit(3)
    if how == "text": sys.exit("bye")
    if how == "_exit": os._exit(4)
    if how == "error": raise ValueError("no")
    if how == "abort": os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("how", "code"), [("exit", 3), ("text", 1), ("_exit", 4), ("error", 1), ("", 0)])
def test_a_child_that_leaves(method: str, how: str, code: int) -> None:
    cell = f"""
process = mp.get_context("{method}").Process(target=leave, args=("{how}",))
process.start()
process.join()
answer = process.exitcode
"""
    book = run_cells(SETUP, cell)
    (record,) = book.workers
    assert book.last.answer == record.exit_code == code
    check_whole(record)
    assert "leave" in record.functions
    assert "src/concmagic/" not in book.stderr  # no frame of ours in what the child printed
    assert ("ValueError: no" in book.stderr) == (how == "error")


@pytest.mark.parametrize("method", METHODS)
def test_workers_that_the_pool_ends_by_sigterm(method: str) -> None:
    cell = f"""
with mp.get_context("{method}").Pool(2) as pool:
    workers = list(pool._pool)
    pool.map(work, range(8))
answer = sorted(worker.exitcode for worker in workers)
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert sorted(record.exit_code for record in book.workers) == book.last.answer
    assert {record.group for record in book.workers} == {"Pool-1"}
    for record in book.workers:
        if record.target_ns is not None:
            check_whole(record)


# Ended by SIGTERM once it has said that it is ready.
TERMINATED = """
ctx = mp.get_context("{method}")
receiver, sender = ctx.Pipe(False)
process = ctx.Process(target={target}, args=(sender,))
process.start()
receiver.recv()
process.terminate()
process.join()
answer = process.exitcode
"""


@pytest.mark.parametrize("method", METHODS)
def test_sigterm_while_a_system_call_blocks(method: str) -> None:
    book = run_cells(SETUP, TERMINATED.format(method=method, target="ready"))
    (record,) = book.workers
    assert book.last.answer == record.exit_code == -15
    check_whole(record)
    assert "ready" in record.functions


def test_the_users_own_sigterm_handler_wins() -> None:
    cell = """
def polite(sender):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    sender.send(1)
    while True: time.sleep(0.01)
"""
    cell += TERMINATED.format(method="spawn", target="polite")
    (record,) = run_cells(SETUP, cell).workers
    assert record.exit_code == 7
    check_whole(record)


def test_sigterm_after_the_user_took_the_wakeup_descriptor() -> None:
    cell = """
def takes(sender):
    signal.set_wakeup_fd(-1)
    sender.send(1)
    while True: time.sleep(0.01)
"""
    cell += TERMINATED.format(method="spawn", target="takes")
    (record,) = run_cells(SETUP, cell).workers
    assert record.exit_code == -15
    check_whole(record)


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_child_has_its_life(method: str) -> None:
    cell = f"""
process = mp.get_context("{method}").Process(target=leave, args=("abort",), name="victim")
process.start()
process.join()
"""
    (record,) = run_cells(SETUP, cell, detail="states").workers
    assert record.exit_code == -9
    assert record.started_ns < record.begun_ns < record.target_ns < record.ended_ns
    assert record.problems == [
        "victim handed nothing over (killed by SIGKILL): its calls and threads are missing."
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_child_of_a_child_never_waits_for_a_module_that_its_parent_was_importing(method: str) -> None:
    """What threads of the recording import late is there before the fork: none can be amid an import then."""
    cell = f"""
def late():
    return {{name for name in sys.modules if name.startswith("concmagic.records.")}}
def forks(queue):
    before = late()
    pid = os.fork()
    if not pid:
        queue.put((sorted(late() - before), sorted(late())))
        queue.close()
        queue.join_thread()
        os._exit(0)
    os.waitpid(pid, 0)
context = mp.get_context("{method}")
queue = context.Queue()
process = context.Process(target=forks, args=(queue,))
process.start()
new, answer = queue.get()
process.join()
if "{method}" != "fork":  # a forked child has what the notebook had
    assert new, "nothing was late"
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert "concmagic.records.handed_over" in book.last.answer


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_that_is_killed_before_its_work_has_nothing_that_could_be_missing(method: str) -> None:
    """To read its argument would take it an hour."""
    cell = f"""
class Hour:
    def __reduce__(self): return time.sleep, (3600,)
process = mp.get_context("{method}").Process(target=print, args=(Hour(),), name="victim")
process.start()
process.kill()
process.join()
"""
    (record,) = run_cells(SETUP, cell, detail="states").workers
    assert record.target_ns is None
    assert record.problems == ["victim was ended before its work began (killed by SIGKILL)."]


TOIL = """
def step(n):
    return divmod(n, 7)

def toil():
    for n in range(100): step(n)
    endless()

def endless():
    threading.Event().wait()

def handed_over(pid, name):
    # Wait until the child has handed over that it is, or was, in a function of this name.
    from concmagic.recording.children import pickling
    from concmagic.recording.children import handover_files
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        told = handover_files.read_child(pickling.courier().folder, pid)
        parts = handover_files.parts_of(told, handover_files.CALLS_PART)
        if any(code.name == name for part in parts for code in part.codes.values()):
            return
        time.sleep(0.01)
    raise TimeoutError(name)
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_child_has_its_calls_up_to_the_last_hand_over(method: str) -> None:
    cell = f"""
process = mp.get_context("{method}").Process(target=toil, name="victim")
process.start()
handed_over(process.pid, "endless")
process.kill()
process.join()
"""
    book = run_cells(SETUP + TOIL, cell)
    (record,) = book.workers
    assert (book.last.error, record.exit_code) == ("", -9)
    assert record.started_ns < record.begun_ns < record.target_ns < record.ended_ns
    (problem,) = record.problems
    assert problem.startswith(
        "victim handed its jobs, marks and calls over as it ran (killed by SIGKILL): the calls of its last "
    )
    # What had ended, each once, and what the main thread was in.
    assert record.called["step"] == [100, 0] and {"toil", "endless"} <= set(record.functions)
    assert record.called["toil"] == record.called["endless"] == [0, 1]
    assert record.called["divmod"] == [100, 0]


def test_what_was_handed_over_as_it_ran_is_not_handed_over_again() -> None:
    cell = """
def both(sender, receiver):
    for n in range(100): step(n)
    sender.send(1)
    receiver.recv()
    for n in range(50): step(n)
receiver, theirs = mp.Pipe(False)
ours, sender = mp.Pipe(False)
process = mp.get_context("spawn").Process(target=both, args=(theirs, ours))
process.start()
receiver.recv()
handed_over(process.pid, "step")
sender.send(1)
process.join()
"""
    book = run_cells(SETUP + TOIL, cell)
    (record,) = book.workers
    check_whole(record)
    assert (book.last.error, record.called["step"], record.called["both"]) == ("", [150, 0], [1, 0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["deaf", "hears"])
def test_an_interrupt_leaves_no_shared_memory_and_no_semaphore_of_its_children(method: str, how: str) -> None:
    setup = """
from multiprocessing import resource_tracker, shared_memory

def maker(sender, how):
    memory = shared_memory.SharedMemory(create=True, size=10)
    gone = shared_memory.SharedMemory(create=True, size=10)
    gone.unlink()
    lock = mp.get_context("spawn").Lock()
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sender.send((memory._name, lock._semlock.name, gone._name))
    threading.Event().wait()

def there(names):
    # A semaphore's file has a prefix.
    files = os.listdir("/dev/shm")
    return [name for name in names if any(file.endswith(name.lstrip("/")) for file in files)]

resource_tracker.ensure_running()  # before a fork: one for all
"""
    cell = f"""
ctx = mp.get_context("{method}")
receiver, sender = ctx.Pipe(False)
kept = shared_memory.SharedMemory(create=True, size=10)
shared_memory.SharedMemory(create=True, size=10, name="concmagic_test_" + str(os.getpid())).close()
process = ctx.Process(target=maker, args=(sender, "{how}"))
process.start()
names = receiver.recv()
before = there(names)
raise KeyboardInterrupt
"""
    after = """
dropped = there(["concmagic_test_" + str(os.getpid())])
answer = (before == list(names[:2]), there(names), dropped, there([kept._name]) == [kept._name])
process.join()
kept.close()
kept.unlink()
"""
    book = run_cells(SETUP + setup, cell, after)
    assert "KeyboardInterrupt" in book.cells[1].error and book.last.error == ""
    assert book.last.answer == [True, [], [], True]  # what the notebook still has is its own
    assert (
        "leaked" not in book.stderr and "KeyError" not in book.stderr
    )  # the tracker's complaints at the end


def test_an_interrupt_while_python_starts_is_one_line_when_it_has_started(tmp_path: Path) -> None:
    early = tmp_path / "python"
    early.write_text(f'#!/bin/sh\nkill -INT $$\nexec {sys.executable} "$@"\n')
    early.chmod(0o700)
    cell = f"""
context = mp.get_context("spawn")
context.set_executable({str(early)!r})
process = context.Process(target=work, args=(1,))
process.start()
process.join()
context.set_executable(sys.executable)
answer = process.exitcode
"""
    book = run_cells(SETUP, cell)
    # It has started, and ends as a program ends that catches no interrupt.
    plain = subprocess.run([sys.executable, "-c", "raise KeyboardInterrupt"], stderr=subprocess.DEVNULL)
    assert (book.last.error, book.last.answer) == ("", plain.returncode)
    assert book.stderr.splitlines() == ["KeyboardInterrupt"]


@pytest.mark.parametrize("blocked", [False, True])
def test_a_spawned_child_hears_the_signals_that_it_would_hear_without_us(blocked: bool) -> None:
    cell = f"""
def is_blocked():
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
def tell(sender):
    sender.send([is_blocked(), signal.getsignal(signal.SIGINT)])
from multiprocessing import resource_tracker
resource_tracker.ensure_running()  # which lets interrupts in again, blocked or not
if {blocked}:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
receiver, sender = mp.Pipe(False)
process = mp.get_context("spawn").Process(target=tell, args=(sender,))
process.start()
masked, handler = receiver.recv()
process.join()
answer = [masked, handler is signal.default_int_handler, is_blocked()]
"""
    book = run_cells(SETUP, cell)
    assert (book.last.error, book.last.answer) == ("", [blocked, True, blocked])


def test_bare_fork_and_os_wait() -> None:
    cell = """
pid = os.fork()
if pid == 0:
    work(1)
    os._exit(5)
answer = os.waitstatus_to_exitcode(os.wait()[1])
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    (record,) = book.workers
    assert book.last.answer == record.exit_code == 5
    assert (record.name, record.start_method) == ("fork", "fork")
    assert "work" in record.functions


@pytest.mark.parametrize("method", METHODS)
def test_children_of_children(method: str) -> None:
    cell = f"""
def parent(method):
    child = mp.get_context(method).Process(target=work, args=(1,), name="inner")
    child.start()
    child.join()
process = mp.get_context("{method}").Process(target=parent, args=("{method}",), name="outer")
process.start()
process.join()
"""
    book = run_cells(SETUP, cell)
    outer, inner = book.workers
    assert (outer.name, inner.name) == ("outer", "inner")
    assert inner.parent_pid == outer.pid
    assert inner.exit_code == 0
    check_whole(outer)
    check_whole(inner)
    assert outer.started_ns < inner.started_ns < inner.ended_ns < outer.ended_ns


@pytest.mark.parametrize("method", METHODS)
def test_an_executor(method: str) -> None:
    cell = f"""
with ProcessPoolExecutor(2, mp_context=mp.get_context("{method}")) as pool:
    answer = list(pool.map(work, range(4)))
"""
    book = run_cells(SETUP, cell)
    assert book.last.answer == [1, 2, 3, 4]
    assert {record.group for record in book.workers} == {"ProcessPoolExecutor-1"}
    for record in book.workers:
        assert record.exit_code == 0
        check_whole(record)


@pytest.mark.parametrize("method", METHODS)
def test_workers_that_are_replaced(method: str) -> None:
    cell = f"""
with mp.get_context("{method}").Pool(1, maxtasksperchild=1) as pool:
    answer = pool.map(work, range(3), chunksize=1)
    pool.close()
    pool.join()
"""
    book = run_cells(SETUP, cell)
    assert book.last.answer == [1, 2, 3]
    assert len([record for record in book.workers if record.exit_code == 0 and not record.problems]) >= 3


def test_helpers_are_machinery() -> None:
    cell = """
with mp.get_context("forkserver").Manager() as manager:
    shared = manager.list([1])
    shared.append(2)
    answer = list(shared)
"""
    book = run_cells(SETUP, cell)
    assert book.last.answer == [1, 2]
    names = {record.name: record.origin for record in book.last.records}
    assert set(names.values()) == {"machinery"}
    assert {"resource tracker", "forkserver"} <= set(names)


def test_subprocesses_are_plain_records() -> None:
    cell = """
import subprocess
subprocess.run([sys.executable, "-c", "import sys; sys.exit(6)"])
with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as cat:
    cat.terminate()
"""
    book = run_cells(SETUP, cell)
    python, cat = book.workers
    assert (cat.name, cat.start_method, cat.exit_code) == ("cat", "subprocess", -15)
    assert python.exit_code == 6
    assert python.started_ns < python.ended_ns < cat.started_ns < cat.ended_ns


def test_asyncio_subprocess() -> None:
    cell = """
import asyncio
async def main():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(6)")
    return await process.wait()
answer = asyncio.run(main())
"""
    book = run_cells(SETUP + "\nimport asyncio.subprocess", cell)
    (record,) = book.workers
    assert book.last.answer == record.exit_code == 6


def test_a_child_that_outlives_its_cell_is_not_waited_for_and_keeps_its_help() -> None:
    begin = """
pool = ProcessPoolExecutor(1, mp_context=mp.get_context("spawn"))
answer = pool.submit(work, 1).result()
"""
    later = """
def newer(x):
    return work(x) * 10
answer = pool.submit(newer, 1).result()
pool.shutdown()
"""
    book = run_cells(SETUP, begin, later, "answer = None")
    _, begun, ended, after = book.cells
    (record,) = (record for record in begun.records if record.origin == "user")
    assert record.ended_ns is None
    assert not record.problems and "work" in record.functions  # it was asked, and goes on
    (again,) = (record for record in ended.records if record.origin == "user")
    assert (again.pid, again.started_ns, again.exit_code) == (record.pid, None, 0)
    assert "newer" in again.functions and "newer" not in record.functions
    assert (begun.error, ended.error, ended.answer) == ("", "", 20)
    assert after.folders == []
    assert after.hooks_changed == []


def test_a_worker_whose_cell_is_over_before_it_has_started_records_only_the_next_one(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    begin = f"""
class Gate:
    def __reduce__(self):
        return open, ({str(gate)!r},)  # who opens the one end waits for who opens the other
pool = ProcessPoolExecutor(1, mp_context=mp.get_context("spawn"), initializer=id, initargs=(Gate(),))
first = pool.submit(work, 1)
from concmagic.recording.children import pickling
while not [name for name in os.listdir(pickling.courier().folder) if name.endswith(".ask")]:
    time.sleep(0.01)
"""
    later = f"""
def newer(x):
    return work(x) * 10
second = pool.submit(newer, 1)
open({str(gate)!r}, "w").close()
answer = first.result(), second.result()
pool.shutdown()
"""
    book = run_cells(SETUP, begin, later, "answer = None")
    _, begun, ended, after = book.cells
    (record,) = (record for record in begun.records if record.origin == "user")
    assert (record.target_ns, record.functions) == (None, [])
    (again,) = (record for record in ended.records if record.origin == "user")
    assert (begun.error, ended.error, ended.answer) == ("", "", [2, 20])
    assert (again.pid, again.exit_code, again.problems) == (record.pid, 0, [])
    assert "newer" in again.functions
    assert after.folders == []


def test_tasks_and_marks_of_a_child() -> None:
    cell = """
import asyncio, concmagic
async def main():
    with concmagic.mark("inside"):
        await asyncio.sleep(0)
def target():
    asyncio.run(main())
process = mp.get_context("spawn").Process(target=target)
process.start()
process.join()
"""
    (record,) = run_cells(SETUP, cell).workers
    check_whole(record)
    assert record.marks == ["inside"]
    assert "main" in record.tasks


def test_states_only() -> None:
    cell = """
process = mp.get_context("spawn").Process(target=work, args=(1,))
process.start()
process.join()
"""
    (record,) = run_cells(SETUP, cell, detail="states").workers
    check_whole(record)
    assert record.functions == []


def test_many_cells_leave_nothing() -> None:
    cell = """
with mp.get_context("fork").Pool(2) as pool: pool.map(work, range(4))
process = mp.get_context("spawn").Process(target=leave, args=("abort",))
process.start()
process.join()
process.close()
"""
    book = run_cells(SETUP, *[cell] * 6)
    first, *_, last = book.cells[2:]
    assert last.error == ""
    assert all(cell.hooks_changed == [] and cell.folders == [] for cell in book.cells)
    assert last.threads == 1
    assert len(last.files) == len(first.files)


def test_a_child_that_forks_is_not_warned_of_our_threads() -> None:
    setup = """
import warnings
def boss():
    warnings.simplefilter("error")
    pid = os.fork()
    if not pid:
        os._exit(0)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    cell = """
process = mp.get_context("spawn").Process(target=boss)
process.start()
process.join()
answer = process.exitcode
"""
    assert run_cells(SETUP + setup, cell).last.answer == 0


def test_what_a_childs_recorders_left_out_is_told() -> None:
    cell = """
import concmagic
from concmagic.recording import marks
from multiprocessing import connection
real = connection.Pipe
def Pipe(): return *real(), "and more"
connection.Pipe = Pipe  # somebody's own, with another answer
def target():
    marks._MOST_MARKS = 10
    for _ in range(20): concmagic.mark("again")
    assert len(connection.Pipe()) == 3
process = mp.get_context("fork").Process(target=target)
process.start()
process.join()
connection.Pipe = real
"""
    (record,) = run_cells(SETUP, cell).workers
    assert (record.exit_code, record.marks) == (0, ["again"] * 10)
    assert record.problems == [
        Problem.of("marks_left_out", 10).message,
        Problem.of("call_not_noted", "Pipe", "AttributeError").message,
    ]


def test_once_all_is_handed_over_a_child_that_ends_is_ended_as_ever(tmp_path: Path) -> None:
    """A thread that would hand over while the interpreter ends could keep it from ending."""
    program = """
import os, select, signal, sys, time
from pathlib import Path
from concmagic.recording.children.child_listener import Listener
ask = Path(sys.argv[1])
listener = Listener(lambda: print("handed over", flush=True), lambda: None, ask)
listener.start()
listener.leave()
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, signal.set_wakeup_fd(-1), flush=True)
while True:  # until the thread that listened has left its poll()
    try: os.close(os.open(ask, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error: print(type(error).__name__, error.errno, flush=True); break
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGTERM)
select.select([], [], [])
"""
    command = [sys.executable, "-c", program, str(tmp_path / "ask")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (-15, "True -1\nOSError 6\n"), run.stderr
