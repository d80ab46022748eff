"""Jobs of pools of processes: where they ran, how they went there and back, and the path through them."""

from __future__ import annotations

import re

import pytest

from conftest import Kernel

METHODS = ["fork", "spawn", "forkserver"]

SETUP = r"""
import asyncio, os, re, signal, sys, time
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor, as_completed
from concmagic.model.trace import State

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def spin(n):
    return sum(range(n * 3_000_000))  # computes long enough to outweigh what the pool does between jobs

def echo(data):
    return data

def pids(trace):
    return {t.id: t.pid for t in trace.tracks}

def jobs(trace):
    return sorted((job.label, str(job.outcome)) for job in trace.jobs)

def ran_in_children(trace):
    children = {t.pid for t in trace.tracks if t.kind == "process" and t.parent is not None}
    return all(pids(trace)[job.track] in children for job in trace.jobs)

def in_order(trace):
    return all(job.submit_ns <= job.start_ns <= job.end_ns for job in trace.jobs)

def arrows(trace, kind):
    # From whom to whom, by process: "kernel" or "child".
    whose = {t.id: "kernel" if t.pid == os.getpid() else "child" for t in trace.tracks}
    sized = [f for f in trace.flows if f.kind == kind and f.size is not None]
    return sorted((whose[f.source], whose[f.target]) for f in sized)

def in_children_on_the_path(trace):
    # From the first job's start to the last one's end: the share of the path that lies in children.
    mine = {t.id for t in trace.tracks if t.pid != os.getpid()}
    begin, end = min(job.start_ns for job in trace.jobs), max(job.end_ns for job in trace.jobs)
    spent = sum(max(0, min(p.end_ns, end) - max(p.start_ns, begin))
                for p in trace.metrics.path if p.track in mine)
    return spent / (end - begin)

def waits_on_the_path(trace):
    long = trace.wall_ns / 5
    return {p.reason for p in trace.metrics.path if p.state is State.WAITING and p.length_ns > long}

def ends_unknown(trace):
    # Children of which it is not known what they did first, or last.
    return [t.name for t in trace.tracks if t.kind == "process" and t.parent is not None and t.role == "work"
            and State.UNKNOWN in (t.states[0].state, t.states[-1].state)]

# The first child by forkserver waits for the server itself to start.
first = mp.get_context("forkserver").Process(target=abs, args=(1,))
first.start()
first.join()
"""

POOLS = {
    "an executor's map": (
        'with ProcessPoolExecutor(2, mp_context=mp.get_context("{method}")) as pool:\n'
        "    answers = list(pool.map(spin, [3, 4, 5]))"
    ),
    "an executor's results": (
        'with ProcessPoolExecutor(2, mp_context=mp.get_context("{method}")) as pool:\n'
        "    answers = [f.result() for f in as_completed([pool.submit(spin, n) for n in (3, 4, 5)])]"
    ),
    "an executor that is only left": (
        'with ProcessPoolExecutor(2, mp_context=mp.get_context("{method}")) as pool:\n'
        "    for n in (3, 4, 5): pool.submit(spin, n)"
    ),
    "a pool's map": (
        'with mp.get_context("{method}").Pool(2) as pool:\n    answers = pool.map(spin, [3, 4, 5], 1)'
    ),
    "a pool's imap": (
        'with mp.get_context("{method}").Pool(2) as pool:\n    answers = list(pool.imap(spin, [3, 4, 5]))'
    ),
    "a pool's apply_async": (
        'pool = mp.get_context("{method}").Pool(2)\n'
        "answers = [r.get() for r in [pool.apply_async(spin, (n,)) for n in (3, 4, 5)]]\n"
        "pool.close(); pool.join()"
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", POOLS)
def test_jobs_and_path_lead_into_the_children(kernel: Kernel, method: str, how: str) -> None:
    kernel.check(SETUP)
    kernel.check("%%procs -q -o trace\n" + POOLS[how].format(method=method))
    assert kernel.value("jobs(trace)") == [(f"spin({n})", "returned") for n in (3, 4, 5)]
    assert kernel.value("ran_in_children(trace) and in_order(trace)")
    # One arrow for each job from who submitted it, and one back with its result.
    assert kernel.value("arrows(trace, 'submit')") == [("kernel", "child")] * 3
    assert kernel.value("arrows(trace, 'result')") == [("child", "kernel")] * 3
    # What took the time was in the children: their start, or their work. Waiting for them explains nothing.
    # About one run of fifty has a wait for a result there all the same: it is asked of two runs, one after
    # the other, until the path is followed from who ended a wait.
    waits = {"join", "Condition", "result", "pool", "subprocess"}
    if (
        kernel.value("in_children_on_the_path(trace)") <= 0.5
        or kernel.value("waits_on_the_path(trace)") & waits
    ):
        kernel.check("%%procs -q -o trace\n" + POOLS[how].format(method=method))
    assert kernel.value("in_children_on_the_path(trace)") > 0.5
    assert kernel.value("waits_on_the_path(trace)") & waits == set()
    assert kernel.value("ends_unknown(trace)") == []
    assert kernel.value("{t.outcome for t in trace.tracks if t.group} <= {'returned', 'ended by its pool'}")
    assert kernel.value("[f.lint for f in trace.findings if f.lint in ('child-died', 'left-running')]") == []


def test_jobs_whose_arguments_ask_a_manager_as_they_are_unpickled(kernel: Kernel) -> None:
    """A proxy sends and receives messages of its own while the job's message is still being unpickled."""
    kernel.check(SETUP)
    kernel.check(
        "%%procs -q -o trace\n"
        "with mp.Manager() as manager, mp.Pool(2) as pool:\n"
        "    value, lock = manager.Value('i', 0), manager.Lock()\n"
        "    answers = pool.map(len, [(n, value, lock) for n in range(6)], chunksize=1)"
    )
    assert kernel.value("answers") == [3] * 6
    assert kernel.value("[str(job.outcome) for job in trace.jobs]") == ["returned"] * 6
    assert kernel.value("ran_in_children(trace) and in_order(trace)")


@pytest.mark.parametrize("method", METHODS)
def test_jobs_that_a_task_submits_come_back_to_the_task(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q -o trace
loop = asyncio.get_running_loop()
pool = ProcessPoolExecutor(2, mp.get_context("{method}"))
answers = await asyncio.gather(*(loop.run_in_executor(pool, fib, n) for n in (20, 21, 22)))
await loop.run_in_executor(None, pool.shutdown)
""")
    assert kernel.value("jobs(trace)[-3:]") == [(f"fib({n})", "returned") for n in (20, 21, 22)]
    sources = "{f.source for f in trace.flows if f.kind == 'submit' and f.size is not None}"
    assert kernel.value(f"{{t.kind for t in trace.tracks if t.id in {sources}}}") == {"task"}


def test_the_size_and_time_of_pickling_stand_on_the_flow_and_in_the_states(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("""%%procs -q -o trace
with ProcessPoolExecutor(1) as pool:
    answer = pool.submit(echo, [float(n) for n in range(1_000_000)]).result()
""")
    details = kernel.value(
        "[trace.detail_of(f) for f in trace.flows if f.kind in ('submit', 'result') and f.size is not None]"
    )
    # Lists are written in batches, whose marks from 3.14 on make it 9.01.
    assert len(details) == 2
    assert all(re.search(r"9(\.01)? MB, pickled in", detail) for detail in details), details
    # The feeder pickled it, the worker unpickled it: as far as they had a core and the GIL.
    seen = kernel.value(
        "sorted({(t.role, s.reason) for t in trace.tracks if t.kind == 'thread' for s in t.states"
        " if s.reason in ('pickling', 'unpickling')})"
    )
    assert {("machinery", "pickling"), ("work", "unpickling"), ("work", "pickling")} <= set(seen)


@pytest.mark.parametrize("method", METHODS)
def test_a_workers_life_is_told_from_its_start_to_its_exit(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q -o trace
with mp.get_context("{method}").Pool(1) as pool:
    answers = pool.map(fib, [20, 21], 1)
    pool.close(); pool.join()
""")
    kernel.check("""
(worker,) = (t for t in trace.tracks if t.kind == "process" and t.group)
told = [(s.state.value, s.reason or trace.detail_of(s)) for s in worker.states]
starts = [what for state, what in told if state in ("starting", "tracing")]
""")
    told = kernel.value("told")
    assert kernel.value("starts")[0] == "a process"
    starts = {"fork": set(), "spawn": {"Python", "starting its tracer", "unpickling"}}
    # A fork server's child can be at its work before its parent, without a core, reads the pid.
    starts["forkserver"] = {"starting its tracer", "unpickling"}
    assert starts[method] <= set(kernel.value("starts"))
    assert told[0][0] == "starting" and told[-1] == ("tracing", "handing the recording over")
    # Idle until the first job; two jobs; idle until the pool is closed.
    assert ("waiting", "for work") in told and ("running", "") in told
    assert told.index(("running", "")) < len(told) - 1
    assert kernel.value("str(worker.outcome)") == "returned"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_what_a_child_imports_to_unpickle_its_target_is_a_part_of_its_start(
    kernel: Kernel, method: str
) -> None:
    kernel.check(SETUP)
    kernel.check(f"""
for name in ("outer", "inner"):
    with open(f"{{name}}_{method}.py", "w") as file:
        file.write("import time\\n" + ("import inner_{method}\\n" if name == "outer" else "")
                   + "time.sleep(0.02)\\ndef work(x): pass\\n")
import outer_{method} as outer
""")
    kernel.check(f"""%%procs -q -o trace
process = mp.get_context("{method}").Process(target=outer.work, args=([float(n) for n in range(100_000)],))
process.start()
process.join()
""")
    kernel.check("""
(child,) = (t for t in trace.tracks if t.kind == "process" and t.name.startswith(("Spawn", "ForkServer")))
told = [s for s in child.states if s.state in (State.STARTING, State.TRACING) and s.phase != "recording"]
starts = [(trace.detail_of(s), s.length_ns) for s in told]
""")
    told = kernel.value("starts")
    # Unpickling calls for a module, which calls for another: one stretch; then the arguments.
    assert [what for what, _ in told][-4:] == [
        "unpickling",
        f"imports of outer_{method}",
        "unpickling",
        "starting its tracer",
    ]
    assert dict(told)[f"imports of outer_{method}"] > 40_000_000  # both modules sleep in it


def test_a_message_is_never_drawn_backwards(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("""
def answer(connection):
    for _ in range(20):
        connection.send(connection.recv() + 1)
""")
    kernel.check("""%%procs -q -o trace
ours, theirs = mp.get_context("spawn").Pipe()
process = mp.get_context("spawn").Process(target=answer, args=(theirs,))
process.start()
for n in range(20):
    ours.send(n)
    assert ours.recv() == n + 1
process.join()
""")
    assert kernel.value("len([f for f in trace.flows if f.kind == 'send'])") == 40
    assert kernel.value("min(f.target_ns - f.source_ns for f in trace.flows)") >= 0
    # Question and answer take turns: so do the arrows, there and back, in the order of the exchanges.
    kernel.check("""
sends = sorted((f for f in trace.flows if f.kind == "send"), key=lambda f: f.source_ns)
turns = [f.source for f in sends]
ordered = all(one.target_ns <= following.source_ns for one, following in zip(sends, sends[1:]))
""")
    assert kernel.value("turns[0::2] == [turns[0]] * 20 and turns[1::2] == [turns[1]] * 20")
    assert kernel.value("turns[0] != turns[1] and ordered")


@pytest.mark.parametrize("method", METHODS)
def test_what_is_put_into_a_queue_is_an_arrow_to_who_gets_it(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP)
    kernel.check("""
def consume(queue, answers):
    while (n := queue.get()) is not None:
        answers.put(fib(n))
""")
    kernel.check(f"""%%procs -q -o trace
context = mp.get_context("{method}")
queue, answers = context.Queue(), context.SimpleQueue()
process = context.Process(target=consume, args=(queue, answers))
process.start()
for n in (18, 19, None): queue.put(n)
got = [answers.get(), answers.get()]
process.join()
""")
    assert kernel.value("got") == [2584, 4181]
    assert kernel.value(
        "sorted((pids(trace)[f.source] == os.getpid(), pids(trace)[f.target] == os.getpid())"
        " for f in trace.flows if f.kind == 'send')"
    ) == [(False, True), (False, True), (True, False), (True, False), (True, False)]


def test_a_killed_workers_job_is_known_from_what_it_told_as_it_ran(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("""
def die(n):
    if n == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return n
""")
    run = kernel.check("""%%procs -o trace
with ProcessPoolExecutor(1) as pool:
    first, second = pool.submit(die, 1), pool.submit(die, 2)
    try:
        second.result()
    except Exception as error:
        print(type(error).__name__)
""")
    assert run.stdout.strip() == "BrokenProcessPool"
    assert kernel.value("jobs(trace)") == [("die(1)", "returned"), ("die(2)", "raised BrokenProcessPool")]
    assert kernel.value("ran_in_children(trace) and in_order(trace)")
    (finding,) = kernel.value("[f.message for f in trace.findings if f.lint == 'child-died']")
    assert "was killed by SIGKILL while it ran die(2)" in finding
    text = run.displays[-1]["text/plain"].replace("\n  ", " ")
    assert re.search(
        r"handed its jobs(, marks and calls| and marks) over as it ran \(killed by SIGKILL\)", text
    )


CHANGES = """
counter, seen, base = 0, [], 0

def begin():
    global base
    base = 1

def job(n):
    global counter
    counter += n + base
    seen.append(n)
    return n

def read(n):
    return n + counter + len(seen)
"""
WAYS = {
    "a process": "p = mp.get_context('{method}').Process(target=job, args=(1,)); p.start(); p.join()",
    "a pool": "with mp.get_context('{method}').Pool(1, begin) as pool: pool.map(job, range(3))",
    "an executor": (
        "with ProcessPoolExecutor(1, mp.get_context('{method}'), begin) as pool: list(pool.map(job, [1, 2]))"
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", WAYS)
def test_what_a_child_changes_in_its_copy_is_told(kernel: Kernel, method: str, how: str) -> None:
    kernel.check(SETUP + CHANGES)
    told = "[f.message for f in trace.findings if f.lint == 'copies-changed']"
    kernel.check("%%procs -q -o trace\n" + WAYS[how].format(method=method))
    (message,) = kernel.value(told)
    assert "`counter` and `seen` changed in 1 child process only" in message  # not what an initializer set
    assert kernel.value("(counter, seen)") == (0, [])
    kernel.check("%%procs -q -o trace\n" + WAYS[how].format(method=method).replace("job", "read"))
    assert kernel.value(told) == []


@pytest.mark.parametrize("method", METHODS)
def test_what_a_loop_body_changes_in_its_copy_is_told(kernel: Kernel, method: str) -> None:
    kernel.check(SETUP + CHANGES)
    kernel.check(
        f"%%procs -q -o trace --start-method {method} -w 1 for n in range(3)\nglobal counter\ncounter += 1"
    )
    (message,) = kernel.value("[f.message for f in trace.findings if f.lint == 'copies-changed']")
    assert "`counter` changed in 1 child process only" in message


def test_a_fork_beside_a_thread_of_the_cell_is_told_and_one_beside_helpers_is_not(kernel: Kernel) -> None:
    kernel.check(SETUP)
    told = "[f.lint for f in trace.findings if f.lint == 'fork-with-threads']"
    kernel.check("""%%procs -q -o trace
import threading
done = threading.Event()
thread = threading.Thread(target=done.wait)
thread.start()
process = mp.get_context("fork").Process(target=fib, args=(10,))
process.start()
process.join()
done.set()
thread.join()
""")
    assert kernel.value(told) == ["fork-with-threads"]
    kernel.check("""%%procs -q -o trace
with mp.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
    pool.map(fib, [10] * 4, 1)
""")
    assert kernel.value(told) == []


def test_a_killed_child_shows_its_calls_up_to_the_last_hand_over(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("""
from concmagic.recording.children import pickling
from concmagic.recording.children import handover_files

def step(n):
    return n

def toil():
    for n in range(100): step(n)
    last()

def last():
    while True: time.sleep(60)

def handed_over(pid):
    whole = handover_files.read_child(pickling.courier().folder, pid)
    parts = handover_files.parts_of(whole, handover_files.CALLS_PART)
    return {code.name for part in parts for code in part.codes.values()}
""")
    run = kernel.check("""%%procs -o trace
process = mp.get_context("spawn").Process(target=toil, name="victim")
process.start()
while "last" not in handed_over(process.pid): time.sleep(0.01)
process.kill()
process.join()
""")
    kernel.check("""
(victim,) = (t for t in trace.tracks if t.kind == "process" and t.name == "victim")
inside = {t.id for t in trace.tracks if t.pid == victim.pid}
frame = trace.to_pandas("slices")
frame = frame[frame["track"].isin(inside)]
names, ends = list(frame["name"]), dict(zip(frame["name"], frame["end_ns"]))
""")
    assert kernel.value("names.count('step')") == 100
    assert kernel.value("(names.count('toil'), names.count('last'))") == (1, 1)
    assert kernel.value("ends['toil'] == ends['last'] <= victim.end_ns")  # not drawn beyond what is known
    assert kernel.value("(str(victim.outcome), victim.end_ns is not None)") == ("ended by the cell", True)
    text = " ".join(run.displays[-1]["text/plain"].split())
    assert re.search(
        r"victim handed its jobs, marks and calls over as it ran \(killed by SIGKILL\): the calls of its last"
        r" [\d.]+ (ms|s|µs) are missing\.",
        text,
    )


@pytest.mark.parametrize("detail", ["calls", "states"])
@pytest.mark.parametrize("method", METHODS)
def test_a_killed_child_shows_its_marks(kernel: Kernel, method: str, detail: str) -> None:
    """Also a stretch that it was in: that ended with it."""
    kernel.check(SETUP)
    kernel.check(f"""%%procs -q -o trace --detail {detail}
import concmagic

def toil(told):
    with concmagic.mark("whole"):
        concmagic.mark("moment")
    with concmagic.mark("open"):
        told.send("inside")
        time.sleep(3600)

told, tell = mp.get_context("{method}").Pipe(False)
process = mp.get_context("{method}").Process(target=toil, args=(tell,), name="victim")
process.start()
told.recv()
process.kill()
process.join()
""")
    kernel.check("""
(victim,) = (t for t in trace.tracks if t.kind == "process" and t.name == "victim")
marks = {m.label: m for m in trace.marks}
""")
    assert kernel.value("list(marks)") == ["whole", "moment", "open"]
    assert kernel.value("marks['whole'].start_ns <= marks['moment'].start_ns <= marks['whole'].end_ns")
    assert kernel.value("marks['whole'].end_ns <= marks['open'].start_ns < marks['open'].end_ns")
    assert kernel.value("marks['open'].end_ns == victim.end_ns")
    assert kernel.value("{t.pid for t in trace.tracks if t.id in {m.track for m in trace.marks}}") == {
        kernel.value("victim.pid")
    }


@pytest.mark.parametrize("method", METHODS)
def test_many_children_share_the_budget_of_calls(kernel: Kernel, method: str) -> None:
    """Each has its first calls; together they are no more than their parent can read."""
    kernel.check(SETUP)
    kernel.check("""
from collections import Counter

def step(n):
    return n

def toil():
    for n in range(400_000): step(n)

def steps(trace):
    of_track = Counter(trace.slices.track.tolist())
    threads = {t.parent: t.id for t in trace.tracks if t.kind == "thread"}
    children = [t for t in trace.tracks if t.kind == "process" and t.role == "work" and t.parent is not None]
    return [of_track[threads.get(t.id, -1)] for t in sorted(children, key=lambda t: t.start_ns)]
""")
    cell = f"""
for _ in range(8):
    process = mp.get_context("{method}").Process(target=toil)
    process.start()
    process.join()
"""
    kernel.check(f"%%procs -q -o trace\n{cell}")
    shares = [300_000 // part for part in (1, 1, 2, 3, 4, 5, 6, 7)]
    found = kernel.value("steps(trace)")
    assert len(found) == 8
    # Who watches the budget looks every few milliseconds.
    enough = [0.5 * share < steps < share + 150_000 for share, steps in zip(shares, found, strict=True)]
    assert all(enough), (found, kernel.value("[(p.kind, p.values) for p in trace.cost.problems]"))
    assert kernel.value("trace.cost.calls_until_ns is not None")  # that some are missing is said
    kernel.check(f"%%procs -q -o whole --detail calls\n{cell}")
    first, second, *others = kernel.value("steps(whole)")
    assert first == second == 400_001 and min(others) > 100_000
