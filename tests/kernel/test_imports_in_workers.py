"""What new workers import before their first job is told as imports: neither pickling nor the job's work."""

from __future__ import annotations

import pytest

from conftest import Kernel

# A package that computes for a while as it is imported; it lies where the kernel and its children run.
SETUP = """
import sys, textwrap, time
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from concmagic.model.trace import State

Path("slowpackage.py").write_text(textwrap.dedent('''
    import time
    end = time.process_time() + 0.3
    while time.process_time() < end: pass
    def small(x): return x
    class Slow:
        def __init__(self, n): self.n = n
'''))
sys.path.insert(0, "")
import slowpackage

def told(trace):
    found = [f for f in trace.findings if f.lint == "pool-overhead"]
    return [f.message for f in found], [f.hint for f in found]

def seconds(trace, reason):  # of the worker that was at it longest
    workers = {t.pid for t in trace.tracks if t.kind == "process" and t.group}
    every = [sum(s.length_ns for s in t.states if s.reason == reason) / 1e9
             for t in trace.tracks if t.kind == "thread" and t.pid in workers]
    return max(every, default=0.0)

def modules(trace):
    threads = [t for t in trace.tracks if t.kind == "thread"]
    return {trace.detail_of(s) for t in threads for s in t.states if s.reason == "imports"}
"""

POOLS = {
    "Pool": 'with mp.get_context("spawn").Pool(2) as pool: print(pool.map(slowpackage.small, range(4), 1))',
    "executor": """
with ProcessPoolExecutor(2, mp.get_context("spawn")) as pool:
    print(list(pool.map(slowpackage.small, range(4))))""",
    "joblib": """
from joblib import Parallel, delayed
print(Parallel(n_jobs=2)(delayed(slowpackage.small)(n) for n in range(4)))""",
    "argument": """
def number(slow): return slow.n
with mp.get_context("forkserver").Pool(2) as pool:
    print(pool.map(number, [slowpackage.Slow(n) for n in range(4)], 1))""",
    "initializer": """
def begin(): import slowpackage
with mp.get_context("spawn").Pool(2, begin) as pool: print(pool.map(abs, range(4), 1))""",
}


@pytest.mark.parametrize("kind", POOLS)
def test_what_new_workers_import_is_told_as_imports(kernel: Kernel, kind: str) -> None:
    kernel.check(SETUP)
    run = kernel.check(f"%%procs -q -o trace\n{POOLS[kind]}")
    assert run.stdout == "[0, 1, 2, 3]\n"
    (message,), (hint,) = kernel.value("told(trace)")
    assert " to import slowpackage" in message and "pickle" not in hint and "Send less" not in hint, message
    assert "slowpackage" in kernel.value("modules(trace)")
    imports, unpickling = kernel.value("seconds(trace, 'imports'), seconds(trace, 'unpickling')")
    assert imports > 0.1 > unpickling  # of 0.3 s of computing; what was READY meanwhile is told as that


def test_a_forked_worker_has_what_the_notebook_has_imported(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("""%%procs -q -o trace
with mp.get_context("fork").Pool(2) as pool: pool.map(slowpackage.small, range(4), 1)
""")
    assert "slowpackage" not in kernel.value("modules(trace)")
    assert "import" not in str(kernel.value("told(trace)"))


def test_what_a_job_imports_is_its_work_and_no_overhead(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("""%%procs -q -o trace
def work(n):
    import slowpackage
    return n
with mp.get_context("spawn").Pool(2) as pool: pool.map(work, range(2), 1)
""")
    assert " to import" not in str(kernel.value("told(trace)"))
    assert "slowpackage" in kernel.value("modules(trace)")  # it is seen, in the job
    assert kernel.value("max(job.end_ns - job.start_ns for job in trace.jobs)") > 150_000_000


def test_data_that_takes_long_to_unpickle_is_no_import(kernel: Kernel) -> None:
    kernel.check(SETUP)
    kernel.check("""%%procs -q -o trace
with mp.get_context("spawn").Pool(2) as pool: pool.map(len, [[float(n) for n in range(1_000_000)]] * 2, 1)
""")
    assert kernel.value("seconds(trace, 'unpickling')") > 0
    assert " to import" not in str(kernel.value("told(trace)"))


def test_an_import_that_fails_in_a_child_prints_what_it_prints_without_us(kernel: Kernel) -> None:
    kernel.check("""
import multiprocessing as mp, re, sys
from pathlib import Path
Path("warns.py").write_text("import warnings\\nwarnings.warn('old', DeprecationWarning, 2)\\n")
Path("fails.py").write_text("import warns\\n1 / 0\\n")
Path("asks.py").write_text('''
import traceback, warnings
def work(conn):
    told = []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for name in ("fails", "nowhere"):
            try: __import__(name)
            except Exception: told.append(traceback.format_exc())
    conn.send((told, [(one.filename, one.lineno) for one in seen]))
''')
sys.path.insert(0, "")
import asks
""")
    cell = """
mine, other = mp.Pipe()
child = mp.get_context("spawn").Process(target=asks.work, args=(other,))
child.start(); print(*mine.recv()); child.join()
"""
    assert "ZeroDivisionError" in (plain := kernel.check(cell).stdout) and "fails.py" in plain
    assert kernel.check(f"%%procs -q\n{cell}").stdout == plain
