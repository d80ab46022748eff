"""When children fail: the cell ends as it would without us, is told why, and nothing is left."""

from __future__ import annotations

import time

import pytest

from conftest import Kernel, Run, plain

METHODS = ["fork", "spawn", "forkserver"]

SETUP = """
import multiprocessing as mp, os, resource, signal, sys, threading, time
from concurrent.futures import ProcessPoolExecutor

def busy(say=None):
    if say is not None:
        say.send(os.getpid())
    while True:
        pass

def deaf(say):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say.send(os.getpid())
    while True:
        time.sleep(1)

def receive(say, connection):
    say.send(os.getpid())
    connection.recv()

def grow(limit):
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return bytes(1 << 33)

def children(trace):
    return [(t.name, str(t.outcome)) for t in trace.tracks if t.kind == "process" and t.parent is not None]
"""


def gone(pid: int) -> bool:
    """Whether a process ends within a moment: it was sent a signal, and may still be a zombie."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def interrupted(kernel: Kernel, cell: str, pids: int) -> Run:
    """Interrupt a cell that prints `pids` process ids, and check that it ended with all of them."""
    kernel.check(SETUP)
    run = kernel.interrupted("%%procs -o trace\n" + cell)
    assert (run.status, run.ename) == ("error", "KeyboardInterrupt")
    assert run.displays, "no picture"
    told = [int(word) for word in run.stdout.split() if word.isdigit()]
    assert len(told) == pids and all(map(gone, told))
    assert kernel.value("mp.active_children()") == []
    assert "src/concmagic/" not in run.stderr  # no frame of ours in what children printed
    assert kernel.value("str(trace.outcome)") == "interrupted"
    assert kernel.check("print('next')").stdout == "next\n"
    return run


JOIN = """
receiver, sender = mp.Pipe(False)
ours, theirs = mp.Pipe()
process = mp.get_context("{method}").Process(target={target})
process.start()
print(receiver.recv(), "here", flush=True)
process.join()
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "target", ["busy, args=(sender,)", "deaf, args=(sender,)", "receive, args=(sender, theirs)"]
)
def test_an_interrupt_while_joining_ends_the_child(kernel: Kernel, method: str, target: str) -> None:
    run = interrupted(kernel, JOIN.format(method=method, target=target), pids=1)
    # It reaches the whole process group: a line for each child is enough.
    assert "Traceback" not in run.stderr and run.stderr.count("KeyboardInterrupt") <= 1


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupt_while_a_pool_runs(kernel: Kernel, method: str) -> None:
    cell = f"""
receiver, sender = mp.Pipe(False)
def begin(sender):
    sender.send(os.getpid())
with mp.get_context("{method}").Pool(2, begin, (sender,)) as pool:
    jobs = pool.map_async(busy, [None, None], 1)
    print(receiver.recv(), receiver.recv(), "here", flush=True)
    jobs.get()
"""
    interrupted(kernel, cell, pids=2)


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupt_ends_a_pool_that_a_thread_waits_for(kernel: Kernel, method: str) -> None:
    # The pool is in use still, and would replace each worker that has ended.
    cell = f"""
receiver, sender = mp.Pipe(False)
found = []
def begin(sender):
    sender.send(os.getpid())
def in_thread():
    with mp.get_context("{method}").Pool(2, begin, (sender,)) as pool:
        try:
            pool.map(busy, [None, None], 1)
        except Exception as error:
            found.append(repr(error))
thread = threading.Thread(target=in_thread)
thread.start()
print(receiver.recv(), receiver.recv(), "here", flush=True)
thread.join()
"""
    interrupted(kernel, cell, pids=2)
    kernel.check("thread.join(10)")
    assert kernel.value("(thread.is_alive(), mp.active_children())") == (False, [])
    (told,) = kernel.value("found")
    assert told.startswith("ChildEndedError('the cell was interrupted")
    workers = kernel.value("[str(t.outcome) for t in trace.tracks if t.group and t.kind == 'process']")
    # A worker that the pool has begun in place of one that the click ended may be ended by the pool itself.
    assert {"ended by the interrupt"} <= set(workers) <= {"ended by the interrupt", "ended by its pool"}
    assert "child-died" not in kernel.value("[f.lint for f in trace.findings]")


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupt_while_children_start(kernel: Kernel, method: str) -> None:
    cell = f"""
processes = [mp.get_context("{method}").Process(target=busy) for _ in range(8)]
for process in processes[:4]: process.start()
print(*(process.pid for process in processes[:4]), "here", flush=True)
for process in processes[4:]: process.start()
for process in processes: process.join()
"""
    kernel.check(SETUP)
    run = kernel.interrupted("%%procs -o trace\n" + cell)
    assert run.ename == "KeyboardInterrupt" and run.displays
    assert all(gone(int(word)) for word in run.stdout.split() if word.isdigit())
    assert kernel.value("mp.active_children()") == []
    assert kernel.check("print('next')").stdout == "next\n"


def test_an_interrupt_ends_children_of_children(kernel: Kernel) -> None:
    kernel.check("""
def boss(sender):
    child = mp.get_context("fork").Process(target=deaf, args=(sender,))
    child.start()
    sender.send(os.getpid())
    child.join()
""")
    cell = """
receiver, sender = mp.Pipe(False)
process = mp.get_context("fork").Process(target=boss, args=(sender,))
process.start()
print(receiver.recv(), receiver.recv(), "here", flush=True)
process.join()
"""
    interrupted(kernel, cell, pids=2)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_whose_module_fails_at_its_import(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    kernel.check("""
with open("only_here.py", "w") as file:
    file.write(f"import os\\nif os.getpid() != {os.getpid()}: raise ImportError('no library here')\\n"
               "def work(): pass\\n")
import only_here
""")
    run = kernel.check(f"""%%procs -o trace
process = mp.get_context("{method}").Process(target=only_here.work, name="failing")
process.start()
process.join()
""")
    assert plain(run.stderr).count("ImportError: no library here") == 1
    assert ("failing", "exit code 1") in kernel.value("children(trace)")
    (told,) = kernel.value("[f.message for f in trace.findings if f.lint == 'child-died']")
    assert "failing" in told and "ImportError: no library here" in told


@pytest.mark.parametrize("method", METHODS)
def test_an_argument_that_cannot_be_pickled(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    run = kernel.run(f"""%%procs -o trace
with ProcessPoolExecutor(1, mp_context=mp.get_context("{method}")) as pool:
    pool.submit(print, threading.Lock()).result()
""")
    assert (run.ename, run.status) == ("TypeError", "error")
    assert "cannot pickle '_thread.lock'" in run.evalue
    assert run.displays and kernel.value("mp.active_children()") == []


@pytest.mark.parametrize("method", METHODS)
def test_a_result_that_is_too_large_for_the_memory(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    run = kernel.run(f"""%%procs -o trace
with ProcessPoolExecutor(1, mp_context=mp.get_context("{method}")) as pool:
    pool.submit(grow, 6_000_000_000).result()
""")
    assert run.ename == "MemoryError" and run.displays
    assert kernel.value("[(job.label, str(job.outcome)) for job in trace.jobs]") == [
        ("grow(6000000000)", "raised MemoryError")
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_cell_that_fails_while_its_children_run(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    run = kernel.run(f"""%%procs -o trace
receiver, sender = mp.Pipe(False)
process = mp.get_context("{method}").Process(target=busy, args=(sender,), daemon=True, name="busy")
process.start()
receiver.recv()
1 / 0
""")
    assert run.ename == "ZeroDivisionError" and run.displays
    assert ("busy", "left running") in kernel.value("children(trace)")
    assert "left-running" in kernel.value("[f.lint for f in trace.findings]")
    assert kernel.value("process.is_alive()")  # it was the cell's, and is not ours to end
    kernel.check("process.kill(); process.join()")


RUNS = """
import gc, re, tempfile
from collections import Counter
from contextlib import suppress
from IPython import get_ipython
CELL = '''
with mp.get_context("fork").Pool(2) as pool:
    pool.map(abs, range(4))
queue = mp.SimpleQueue()
process = mp.Process(target=queue.put, args=(1,))
process.start()
queue.get()
process.join()
queue.close()
del pool, process, queue
'''
OWN = get_ipython().ipython_dir
def files():
    # What every open descriptor is, without the numbers of pipes and sockets. IPython's own thread opens
    # the history's file and journal anew for each cell that it writes down: those come and go by themselves.
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of this very list
            file = os.readlink(f"/proc/self/fd/{number}")
            if not file.startswith(OWN):
                yield "open " + re.sub(r"\\[\\d+\\]", "", file)
def held():
    gc.collect()
    found = Counter(files())
    found["threads"] = threading.active_count()
    found["children"] = len(mp.active_children())
    found["semaphores"] = open("/proc/self/maps").read().count("/dev/shm/")
    found.update(name for name in os.listdir(tempfile.gettempdir()) if name.startswith("concmagic"))
    return found
def run(times):
    for _ in range(times):
        get_ipython().run_cell_magic("procs", "-q", CELL)
"""

# Longer than ipykernel takes to close what it keeps for a thread that has printed and is gone: 10 s.
SETTLED_S = 30


def test_fifty_runs_leave_nothing(fresh_kernel: Kernel) -> None:
    # A kernel in which nothing went before: what ipykernel closes late would hide that as much was left.
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check(SETUP + RUNS)
    fresh_kernel.check("run(2)\nbefore = held()")
    assert fresh_kernel.value("[name for name in before if name.startswith('concmagic')]") == []
    fresh_kernel.check("run(50)", timeout=150)
    limit = time.monotonic() + SETTLED_S
    while (more := fresh_kernel.value("dict(held() - before)")) and time.monotonic() < limit:
        time.sleep(0.1)
    assert more == {}
