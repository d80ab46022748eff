"""Whatever starts processes: each child has a track with its start, its end and how it ended."""

from __future__ import annotations

import pytest

from conftest import Kernel

METHODS = ["fork", "spawn", "forkserver"]

SETUP = """
import asyncio, os, subprocess, sys, threading, time
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def children(trace, role="work"):
    found = [t for t in trace.tracks if t.kind == "process" and t.parent is not None and t.role == role]
    return [(t.name, str(t.outcome)) for t in found]

def calls_in(trace):
    # The names of the functions of the notebook that are shown in children.
    pid = {t.id: t.pid for t in trace.tracks}
    pairs = zip(trace.slices.function.tolist(), trace.slices.track.tolist())
    return sorted({trace.slices.functions[f].name for f, t in pairs if pid[t] != os.getpid()})

def spawned(trace):
    # Every child has one arrow from who started it.
    targets = [f.target for f in trace.flows if f.kind == "spawn"]
    return all(targets.count(t.id) == 1 for t in trace.tracks if t.kind == "process" and t.parent is not None)

def covered(trace):
    for t in trace.tracks:
        end = trace.wall_ns if t.end_ns is None else t.end_ns
        if t.states and (t.states[0].start_ns, t.states[-1].end_ns) != (t.start_ns, end):
            return False
        if any(one.end_ns != other.start_ns for one, other in zip(t.states, t.states[1:])):
            return False
    return True
"""


def run(kernel: Kernel, cell: str, *before: str) -> None:
    kernel.check(SETUP)
    for one in before:
        kernel.check(one)
    kernel.check("%%procs -q -o trace\n" + cell)
    assert kernel.value("spawned(trace) and covered(trace)")


@pytest.mark.parametrize("method", METHODS)
def test_a_process_and_one_that_overrides_run(kernel: Kernel, method: str) -> None:
    own = f"""
class Own(mp.get_context("{method}").Process):
    def run(self):
        fib(15)
"""
    cell = f"""
first = mp.get_context("{method}").Process(target=fib, args=(15,), name="plain")
second = Own(name="own")
for one in (first, second): one.start()
for one in (first, second): one.join()
"""
    run(kernel, cell, own)
    assert kernel.value("children(trace)") == [("plain", "returned"), ("own", "returned")]
    assert kernel.value("calls_in(trace)") == ["Own.run", "fib"]


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_that_replaces_its_workers(kernel: Kernel, method: str) -> None:
    run(
        kernel,
        f"""
with mp.get_context("{method}").Pool(2, maxtasksperchild=1) as pool:
    answers = list(pool.imap_unordered(fib, [15] * 4))
    pool.close()
    pool.join()
""",
    )
    assert kernel.value("{outcome for _, outcome in children(trace)}") == {"returned"}
    assert kernel.value("len(children(trace))") >= 4
    assert kernel.value("sorted(job.label for job in trace.jobs)") == ["fib(15)"] * 4
    assert kernel.value("len({job.track for job in trace.jobs})") == 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", ["pool.terminate()", "pool.close()", "with"])
def test_a_pool_ends_its_workers_without_a_fault(kernel: Kernel, method: str, end: str) -> None:
    cell = f"""
pool = mp.get_context("{method}").Pool(2)
answers = pool.map(fib, [15] * 4)
{end}
pool.join()
"""
    if end == "with":
        cell = f'with mp.get_context("{method}").Pool(2) as pool:\n    answers = pool.map(fib, [15] * 4)'
    run(kernel, cell)
    ends = {"returned"} if end == "pool.close()" else {"returned", "ended by its pool"}
    assert kernel.value("{outcome for _, outcome in children(trace)}") <= ends
    assert kernel.value("[f.lint for f in trace.findings if f.lint in ('child-died', 'left-running')]") == []


@pytest.mark.parametrize("method", METHODS)
def test_an_executor_with_an_initializer_whose_workers_do_one_job_each(kernel: Kernel, method: str) -> None:
    begin = """
def begin(value):
    global base
    base = value

def add(n):
    return base + n
"""
    most = "" if method == "fork" else ", max_tasks_per_child=1"  # which fork does not go with
    cell = f"""
context = mp.get_context("{method}")
with ProcessPoolExecutor(2, context, begin, (100,){most}) as pool:
    answers = list(pool.map(add, range(3)))
"""
    run(kernel, cell, begin)
    assert kernel.value("answers") == [100, 101, 102]
    assert kernel.value("{outcome for _, outcome in children(trace)}") == {"returned"}
    # What an initializer sets is set on purpose.
    assert kernel.value("[f.lint for f in trace.findings if f.lint == 'copies-changed']") == []


@pytest.mark.parametrize("method", METHODS)
def test_a_manager_is_a_helper(kernel: Kernel, method: str) -> None:
    run(
        kernel,
        f"""
with mp.get_context("{method}").Manager() as manager:
    shared = manager.dict()
    shared["a"] = 1
    answer = dict(shared)
""",
    )
    assert kernel.value("answer") == {"a": 1}
    assert kernel.value("children(trace)") == []
    assert "SyncManager" in str(kernel.value("children(trace, 'machinery')"))


@pytest.mark.parametrize("method", METHODS)
def test_values_arrays_and_shared_memory(kernel: Kernel, method: str) -> None:
    cell = f"""
context = mp.get_context("{method}")
value, array = context.Value("i", 0), context.Array("d", 3)
memory = shared_memory.SharedMemory(create=True, size=8)
def work(value, array, name):
    with value.get_lock():
        value.value += 1
    array[0] = 2.5
    mine = shared_memory.SharedMemory(name=name)
    mine.buf[0] = 7
    mine.close()
process = context.Process(target=work, args=(value, array, memory.name))
process.start()
process.join()
answer = value.value, array[0], memory.buf[0]
memory.close()
memory.unlink()
"""
    run(kernel, cell)
    assert kernel.value("answer") == (1, 2.5, 7)
    assert [outcome for _, outcome in kernel.value("children(trace)")] == ["returned"]
    assert "work" in kernel.value("calls_in(trace)")


def test_a_bare_fork(kernel: Kernel) -> None:
    run(kernel, "pid = os.fork()\nif not pid:\n    fib(15)\n    os._exit(3)\nanswer = os.waitpid(pid, 0)[1]")
    assert kernel.value("os.waitstatus_to_exitcode(answer)") == 3
    assert kernel.value("children(trace)") == [("fork", "exit code 3")]
    assert kernel.value("calls_in(trace)") == ["fib"]
    assert kernel.value("trace.metrics.unit_peak") == 1  # its main thread is no second unit


# A forked child cannot use the server that its parent has started: Python itself raises ChildProcessError.
@pytest.mark.parametrize("execute", ['execvp("sleep", ["sleep", "0.1"])', 'execlp("sleep", "sleep", "0.1")'])
def test_a_fork_that_becomes_another_program_hands_over_first(kernel: Kernel, execute: str) -> None:
    run(
        kernel, f"pid = os.fork()\nif not pid:\n    fib(15)\n    os.{execute}\nanswer = os.waitpid(pid, 0)[1]"
    )
    assert kernel.value("answer") == 0
    ((name, outcome),) = kernel.value("children(trace)")
    assert name == "sleep" and outcome in ("returned", "")  # whoever reaps it first knows how it ended
    assert kernel.value("calls_in(trace)") == ["fib"]
    assert kernel.value("trace.cost.problems") == ()


def test_a_fork_that_cannot_become_another_program_is_recorded_on(kernel: Kernel) -> None:
    cell = """
pid = os.fork()
if not pid:
    try:
        os.execvp("no-such-program", ["no-such-program"])
    except FileNotFoundError as error:
        fib(15)
        os._exit(len(error.__traceback__.tb_frame.f_code.co_name))
answer = os.waitpid(pid, 0)[1]
"""
    run(kernel, cell)
    assert kernel.value("children(trace)") == [("fork", "exit code 8")]  # <module>
    assert kernel.value("calls_in(trace)") == ["fib"]


def test_a_shell_command_of_the_cell_has_a_track(kernel: Kernel) -> None:
    run(kernel, "!sleep 0.1")
    ((name, outcome),) = kernel.value("children(trace)")
    assert name == "sleep 0.1"
    assert outcome in ("returned", "")
    assert kernel.value("trace.cost.problems") == ()


@pytest.mark.parametrize(
    ("method", "of_child"),
    [(one, other) for one in METHODS for other in METHODS if (one, other) != ("fork", "forkserver")],
)
def test_children_of_children(kernel: Kernel, method: str, of_child: str) -> None:
    boss = f"""
def boss():
    with mp.get_context("{of_child}").Pool(2) as pool:
        pool.map(fib, [15] * 4, 1)
        pool.close()
        pool.join()
"""
    run(
        kernel, f'p = mp.get_context("{method}").Process(target=boss, name="boss")\np.start()\np.join()', boss
    )
    names = [name for name, _ in kernel.value("children(trace)")]
    assert names[0] == "boss" and len(names) == 3
    assert kernel.value("sorted(job.label for job in trace.jobs)") == ["fib(15)"] * 4
    assert kernel.value(
        "{t.name for t in trace.tracks if t.id in {p.parent for p in trace.tracks if 'Worker' in p.name}}"
    ) == {"boss"}


def test_commands(kernel: Kernel) -> None:
    cell = """
first = subprocess.run(["sleep", "0.05"]).returncode
second = await (await asyncio.create_subprocess_exec("sh", "-c", "exit 4")).wait()
"""
    run(kernel, cell)
    assert kernel.value("children(trace)") == [("sleep", "returned"), ("exit 4", "exit code 4")]


LOKY = """
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
import loky
"""


def test_joblib_and_its_workers_in_the_next_cells(kernel: Kernel) -> None:
    """loky's workers live on: they hand over when their cell ends, sleep, and record again in the next."""
    cell = "answers = Parallel(n_jobs=2)(delayed(fib)(n) for n in [18, 19, 18, 19])"
    jobs = [("fib(18)", "returned")] * 2 + [("fib(19)", "returned")] * 2
    kernel.check("import concmagic.recording.children.children_recorder as recorder\nrecorder.GRACE_S = 20")
    run(kernel, cell, LOKY)
    assert kernel.value("sorted((job.label, str(job.outcome)) for job in trace.jobs)") == jobs
    assert kernel.value("[outcome for _, outcome in children(trace)]") == ["left running"] * 2
    assert kernel.value("[f.lint for f in trace.findings if f.lint == 'left-running']") == []
    assert "fib" in kernel.value("calls_in(trace)")
    kernel.check(cell)  # a plain cell between: nothing records
    kernel.check("%%procs -q -o again\n" + cell)
    assert kernel.value("sorted((job.label, str(job.outcome)) for job in again.jobs)") == jobs
    assert kernel.value("{t.pid for t in again.tracks if t.group}") <= kernel.value(
        "{t.pid for t in trace.tracks if t.group}"
    )
    assert kernel.value("all(s.state.value != 'starting' for t in again.tracks if t.group for s in t.states)")
    assert "fib" in kernel.value("calls_in(again)")
    kernel.check("get_reusable_executor().shutdown(wait=True)")


def test_workers_that_no_traced_cell_has_started_have_states(kernel: Kernel) -> None:
    kernel.check(SETUP + LOKY)
    kernel.check("executor = loky.ProcessPoolExecutor(1)\nexecutor.submit(fib, 5).result()")
    run = kernel.check("%%procs -o trace\nanswer = executor.submit(fib, 31).result()")
    assert kernel.value("answer") == 1346269
    (name,) = [name for name, _ in kernel.value("children(trace)")]
    text = run.displays[-1]["text/plain"].replace("\n  ", " ")
    assert f"{name} was started before this cell: its calls and jobs are not here." in text
    seen = "{s.state.value for t in trace.tracks if t.group == 'earlier workers' for s in t.states}"
    assert kernel.value(seen) & {"running", "ready"}
    computed = (
        "sum(s.length_ns for t in trace.tracks if t.group for s in t.states if s.state.value == 'running')"
    )
    assert kernel.value("trace.metrics.parallelism * trace.wall_ns") >= 0.8 * kernel.value(computed)
    assert kernel.value("trace.metrics.unit_kinds") == ("cell", "process")
    kernel.check("executor.shutdown()")


@pytest.mark.parametrize("method", METHODS)
def test_an_executor_of_an_earlier_cell(kernel: Kernel, method: str) -> None:
    kernel.check("import concmagic.recording.children.children_recorder as recorder\nrecorder.GRACE_S = 20")
    run(
        kernel,
        f"pool = ProcessPoolExecutor(1, mp.get_context('{method}'))\nfirst = pool.submit(fib, 15).result()",
    )
    assert kernel.value("[outcome for _, outcome in children(trace)]") == ["left running"]
    kernel.check("def newer(n):\n    return fib(n) + 1")
    kernel.check("%%procs -q -o again\nsecond = pool.submit(newer, 15).result()\npool.shutdown()")
    assert kernel.value("(first, second)") == (610, 611)
    assert kernel.value("[(job.label, str(job.outcome)) for job in again.jobs]") == [
        ("newer(15)", "returned")
    ]
    assert kernel.value("[outcome for _, outcome in children(again)]") == ["returned"]
    assert kernel.value("calls_in(again)") == ["fib", "newer"]


SCRIPT = """
import sys, os, json
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
if __name__ == "__main__":
    fib(15)
    print(json.dumps([sys.argv, sys.path, __name__, __file__, sorted(globals())]))
    if sys.argv[1:] == ["fail"]:
        raise ValueError("no")
    sys.exit(5)
"""


@pytest.mark.parametrize("how", ["subprocess", "asyncio"])
def test_a_python_script_is_recorded_and_sees_nothing_of_it(kernel: Kernel, how: str) -> None:
    write = f"with open('script.py', 'w') as file:\n    file.write({SCRIPT!r})"
    cell = 'done = subprocess.run([sys.executable, "script.py", "a", "b"], capture_output=True, text=True)'
    if how == "asyncio":
        cell = """
process = await asyncio.create_subprocess_exec(sys.executable, "script.py", "a", "b", stdout=-1, stderr=-1)
out, err = await process.communicate()
done = subprocess.CompletedProcess([], process.returncode, out.decode(), err.decode())
"""
    kernel.check(SETUP)
    kernel.check(write)
    kernel.check(cell)
    plain = kernel.value("(done.returncode, done.stdout, done.stderr)")
    run(kernel, cell)
    assert kernel.value("(done.returncode, done.stdout, done.stderr)") == plain
    assert plain[0] == 5 and plain[2] == ""
    python = kernel.value("os.path.basename(sys.executable)")
    assert kernel.value("children(trace)") == [(f"{python} script.py", "exit code 5")]
    assert "fib" in kernel.value("calls_in(trace)")


def test_a_script_that_fails_tells_what_it_would_tell(kernel: Kernel) -> None:
    kernel.check(f"with open('script.py', 'w') as file:\n    file.write({SCRIPT!r})")
    cell = 'done = subprocess.run([sys.executable, "script.py", "fail"], capture_output=True, text=True)'
    kernel.check(SETUP + cell)
    plain = kernel.value("(done.returncode, done.stderr)")
    kernel.check("%%procs -q\n" + cell)
    assert kernel.value("(done.returncode, done.stderr)") == plain


@pytest.mark.parametrize("how", ["Process", "os.fork"])
def test_no_child_is_forked_while_another_thread_is_at_the_resource_tracker(kernel: Kernel, how: str) -> None:
    """It would have the tracker's lock taken for good, and wait for ever where it makes or opens a name."""
    starts = {
        "Process": "    process = context.Process(target=work)\n    process.start()\n"
        "    process.join(20)\n    codes.append(process.exitcode)\n    process.kill()",
        "os.fork": "    if not (pid := os.fork()):\n        signal.alarm(20)\n        work()\n"
        "        os._exit(0)\n    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
    }
    run(
        kernel,
        f"""
import signal
from multiprocessing import resource_tracker
context = mp.get_context("fork")
resource_tracker.ensure_running()
tracker, over = resource_tracker._resource_tracker, threading.Event()
def hold():
    while not over.is_set():
        with tracker._lock:
            time.sleep(0.002)
def work():
    resource_tracker.ensure_running()
holder = threading.Thread(target=hold)
holder.start()
codes = []
for _ in range(10):
{starts[how]}
over.set()
holder.join()
""",
    )
    assert kernel.value("codes") == [0] * 10


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_that_is_left_while_large_results_come_ends(kernel: Kernel, method: str) -> None:
    """A worker that is sending is not ended by ours: of half a result nobody would ever read the rest."""
    kernel.check("import multiprocessing as mp, time")
    kernel.check(
        f"%%procs -q\nwith mp.get_context({method!r}).Pool(2) as pool:\n"
        "    first = pool.imap_unordered(bytes, [200_000_000] * 4)\n    size = len(next(first))"
    )
    assert kernel.value("size") == 200_000_000
    assert kernel.value("mp.active_children()") == []
