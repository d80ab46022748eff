"""What processes wait for: a pipe, a queue, a lock between processes, a core, each other's end."""

from __future__ import annotations

import pytest

from conftest import Kernel

METHODS = ["fork", "spawn", "forkserver"]

SETUP = """
import multiprocessing as mp, os, threading, time

def hold(lock, tell, go):
    with lock:
        tell.send("has it")
        go.recv()

def want(lock, tell):
    tell.send("wants it")
    with lock:
        pass

def take(queue, tell):
    tell.send("takes")
    queue.get()

def read(connection, tell):
    tell.send("reads")
    connection.recv()

def spin(n):
    return sum(range(n * 1_000_000))

def end(go):
    go.recv()

def waits(trace, name):
    (process,) = (t for t in trace.tracks if t.kind == "process" and t.name == name)
    threads = [t for t in trace.tracks if t.parent == process.id and t.name == "MainThread"]
    waiting = [s for s in threads[0].states if s.state.value == "waiting"]
    longest = max(waiting, key=lambda s: s.length_ns)  # of what its target does
    return longest.reason, longest.line

def joins(trace):
    names = {t.id: t.name for t in trace.tracks}
    return [(names[f.source], names[f.target]) for f in trace.flows if f.kind == "join"]

def details(trace):
    (main,) = (t for t in trace.tracks if t.host)
    return list(dict.fromkeys(trace.detail_of(s) for s in main.states if s.reason == "join" and s.waits_for))
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_child_tells_what_it_waits_for(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q -o trace
context = mp.get_context("{method}")
lock, queue = context.Lock(), context.Queue()
told, tell = context.Pipe(False)
gone, go = context.Pipe(False)
asked, ask = context.Pipe(False)
def started(name, target, *args):
    process = context.Process(target=target, args=args, name=name)
    process.start()
    told.recv()
    return process
processes = [started("holder", hold, lock, tell, gone), started("wanter", want, lock, tell),
             started("taker", take, queue, tell), started("reader", read, asked, tell)]
time.sleep(0.2)  # so long each of them waits
go.send(1); queue.put(1); ask.send(1)
for process in processes: process.join()
""")
    assert kernel.value("[waits(trace, name) for name in ('holder', 'wanter', 'taker', 'reader')]") == [
        ("pipe", 6),
        ("process lock", 10),
        ("Queue.get", 15),
        ("pipe", 19),
    ]


@pytest.mark.parametrize("method", METHODS)
def test_who_joins_a_process_waits_for_it_and_its_end_leads_there(kernel: Kernel, method: str) -> None:
    """Not for a thread that ended meanwhile; the same with a timeout that was long enough."""
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q -o trace
context = mp.get_context("{method}")
gone, go = context.Pipe(False)
first, second = (context.Process(target=end, args=(gone,), name=name) for name in ("first", "second"))
first.start()
beside = threading.Thread(target=lambda: (time.sleep(0.1), go.send(1)), name="beside")
beside.start()
first.join(60)
second.start()
later = threading.Timer(0.1, go.send, (2,))
later.start()
second.join()
later.join()
""")
    # IPython, too, may join a thread of its own, its history's, before a fork.
    kernel.check(
        "of_processes = [one for one in details(trace) if one in ('of first', 'of second', 'of beside')]"
    )
    assert kernel.value("of_processes") == ["of first", "of second"]
    assert kernel.value("[pair for pair in joins(trace) if pair[0] in ('first', 'second')]") == [
        ("first", "MainThread"),
        ("second", "MainThread"),
    ]
    assert kernel.value("('beside', 'MainThread') not in joins(trace)")


@pytest.mark.parametrize("method", METHODS)
def test_more_processes_than_cores_wait_for_a_core(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q -o trace
context = mp.get_context("{method}")
many = [context.Process(target=spin, args=(20,)) for _ in range(2 * len(os.sched_getaffinity(0)))]
for process in many: process.start()
for process in many: process.join()
""")
    kernel.check("""
children = [t for t in trace.tracks if t.kind == "process" and t.role == "work" and t.parent is not None]
wanted = [{s.reason for s in t.states if s.state.value == "ready"} for t in children]
""")
    assert kernel.value("sum('core' in reasons for reasons in wanted) >= len(os.sched_getaffinity(0))")
    assert kernel.value("trace.metrics.parallelism <= len(os.sched_getaffinity(0))")
