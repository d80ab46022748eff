"""The cells that are measured. Each sets `began` and `ended`, so that every tool is timed alike."""

from __future__ import annotations

from dataclasses import dataclass


def _children(which: str) -> str:
    """What children that have been joined have used of CPU time."""
    return f"import resource\nchildren_{which} = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])"


@dataclass(frozen=True)
class BenchCell:
    """A body, the magic it belongs to, and whether it awaits."""

    name: str
    magic: str
    body: str
    awaits: bool = False

    @property
    def timed(self) -> str:
        """The body between two readings of the clock."""
        began = (
            f"import time\n{_children('began')}\ncpu_began = time.process_time()\nbegan = time.perf_counter()"
        )
        ended = f"ended = time.perf_counter()\ncpu_ended = time.process_time()\n{_children('ended')}"
        return f"{began}\n{self.body}\n{ended}"


THREAD_SLEEPS = BenchCell(
    "64 sleeps of 20 ms on 8 threads",
    "threads",
    """\
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    list(pool.map(time.sleep, [0.02] * 64))""",
)

CALL_HEAVY = BenchCell(
    "2 threads x fib(24)",
    "threads",
    """\
import threading
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
pair = [threading.Thread(target=fib, args=(24,)) for _ in range(2)]
for thread in pair:
    thread.start()
for thread in pair:
    thread.join()""",
)


SHORT_THREADS = BenchCell(
    "1,000 short threads",
    "threads",
    """\
import threading
for _ in range(1000):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()""",
)


def computing_threads(threads: int, seconds: float, what: str = "sum(range(500))") -> BenchCell:
    """So many threads that each use so much CPU time: pure Python, or what releases the GIL."""
    return BenchCell(
        f"{threads} threads x {seconds:g} s of {what}",
        "threads",
        f"""\
import hashlib, threading
data = bytes(1 << 20)
def work():
    until = time.thread_time() + {seconds:g}
    while time.thread_time() < until:
        {what}
threads = [threading.Thread(target=work) for _ in range({threads})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()""",
    )


SIXTEEN_AT_THE_GIL = computing_threads(16, 0.06)
ON_EVERY_CORE = computing_threads(2, 0.5, "hashlib.sha256(data).digest()")


def sleeping_tasks(tasks: int, sleeps: int, seconds: float) -> BenchCell:
    """So many tasks that each sleep so often; 0 seconds only give up the loop."""
    each = f"{seconds * 1000:g} ms" if seconds else "sleep(0)"
    return BenchCell(
        f"{tasks:,} tasks x {sleeps} x {each}",
        "asyncio_trace",
        f"""\
import asyncio
async def nap():
    for _ in range({sleeps}):
        await asyncio.sleep({seconds:g})
await asyncio.gather(*(nap() for _ in range({tasks})))""",
        awaits=True,
    )


TASK_SLEEPS = sleeping_tasks(100, 20, 0.005)
TASK_SWITCHES = sleeping_tasks(100, 200, 0)
MANY_TASKS = sleeping_tasks(1_000, 20, 0.005)
GROWTH = tuple((sleeping_tasks(100, steps // 100, 0), steps) for steps in (10_000, 30_000, 100_000))

MANY_STEPS = tuple((sleeping_tasks(100, steps // 100, 0), steps) for steps in (800_000, 10_000_000))


def short_tasks(tasks: int, how: str) -> BenchCell:
    """So many tasks of one millisecond, all at once."""
    run = {
        "gather": f"await asyncio.gather(*(f() for _ in range({tasks})))",
        "TaskGroup": f"""\
async with asyncio.TaskGroup() as group:
    for _ in range({tasks}):
        group.create_task(f())""",
    }[how]
    return BenchCell(
        f"{tasks:,} short tasks ({how})",
        "asyncio_trace",
        f"""\
import asyncio
async def f():
    await asyncio.sleep(0.001)
{run}""",
        awaits=True,
    )


MANY_SHORT_TASKS = tuple(short_tasks(100_000, how) for how in ("gather", "TaskGroup"))


def long_text(what: str, magic: str, body: str) -> BenchCell:
    """A cell in which something is called by a text of a megabyte."""
    text = "text = 'ab c.d ' * 150_000"
    return BenchCell(f"{what} of 1 MB", magic, f"import asyncio, threading\n{text}\n{body}", "await" in body)


LONG_TEXTS = (
    long_text(
        "a task's name",
        "asyncio_trace",
        "await asyncio.create_task(asyncio.sleep(0), name=text)",
    ),
    long_text(
        "a thread's name",
        "threads",
        """\
thread = threading.Thread(target=int, name=text)
thread.start()
thread.join()""",
    ),
    long_text(
        "a process's name",
        "procs",
        """\
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=int, name=text)
child.start()
child.join()""",
    ),
    long_text(
        "an exception's text",
        "asyncio_trace",
        """\
async def fails():
    raise ValueError(text)
await asyncio.gather(asyncio.create_task(fails()), return_exceptions=True);""",
    ),
    long_text(
        "a mark's label",
        "threads",
        """\
import concmagic
concmagic.mark(text);""",
    ),
)

TEN_TRACKS = BenchCell(
    "ten tasks",
    "asyncio_trace",
    """\
import asyncio
async def work(n):
    for step in range(5):
        await asyncio.sleep(0.002 * n)
await asyncio.gather(*(work(n) for n in range(9)))""",
    awaits=True,
)


def child_start(method: str) -> BenchCell:
    """One process; `reached` is when its target ran, told through a pipe."""
    return BenchCell(
        f"one process ({method})",
        "procs",
        f"""\
import multiprocessing
context = multiprocessing.get_context("{method}")
here, there = context.Pipe(False)
child = context.Process(target=there.send, args=(0,))
child.start()
here.recv()
reached = time.perf_counter()
child.join()""",
    )


def locked(times: int) -> BenchCell:
    """Four threads that go through one lock so often each, with nothing to do in there: the dearest case."""
    return BenchCell(
        f"4 threads x {times:,} x with lock",
        "threads",
        f"""\
import threading
lock = threading.Lock()
def work():
    for _ in range({times}):
        with lock:
            pass
four = [threading.Thread(target=work) for _ in range(4)]
for thread in four:
    thread.start()
for thread in four:
    thread.join()""",
    )


# Each prints "here" when it is to be interrupted.
POOL_OF_SLEEPS = BenchCell(
    "8 sleeps of 5 s on 4 threads",
    "threads",
    """\
from concurrent.futures import ThreadPoolExecutor
def nap(number):
    if number == 3:
        print("here", flush=True)
    time.sleep(5)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(nap, range(8)))""",
)

COMPUTING = BenchCell(
    "a thread that computes",
    "threads",
    """\
import threading
def work():
    print("here", flush=True)
    while not enough:
        sum(range(500))
enough = []
thread = threading.Thread(target=work)
thread.start()
try:
    thread.join()
finally:
    enough.append(True)""",
)

SLEEPING_TASKS = BenchCell(
    "100 tasks that sleep",
    "asyncio_trace",
    """\
import asyncio
async def nap():
    await asyncio.sleep(60)
asyncio.get_running_loop().call_later(0.1, lambda: print("here", flush=True))
await asyncio.gather(*(nap() for _ in range(100)))""",
    awaits=True,
)

POOL_OF_PROCESSES = BenchCell(
    "a process pool",
    "procs",
    """\
import multiprocessing
def nap(number):
    print("here", flush=True)
    time.sleep(60)
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.map(nap, range(2))""",
)


# `reached` is so far from `began` as the children took, each by its own clock; with `bare` each records
# itself with VizTracer, as a user could without us.
CALL_HEAVY_CHILDREN = BenchCell(
    "2 children x fib(24)",
    "procs",
    """\
import multiprocessing
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
def timed(connection, bare):
    if bare:
        from viztracer import VizTracer
        tracer = VizTracer(verbose=0)
        tracer.start()
    began = time.perf_counter()
    fib(24)
    connection.send(time.perf_counter() - began)
    if bare:
        tracer.stop()
bare = globals().get("bare", False)
ours, theirs = multiprocessing.Pipe()
pair = [multiprocessing.get_context("fork").Process(target=timed, args=(theirs, bare)) for _ in range(2)]
for child in pair:
    child.start()
reached = began + sum(ours.recv() for _ in pair)
for child in pair:
    child.join()""",
)

MANY_BUSY_CHILDREN = BenchCell(
    "64 children x fib(24)",
    "procs",
    """\
import multiprocessing
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
children = [multiprocessing.get_context("fork").Process(target=fib, args=(24,)) for _ in range(64)]
for child in children:
    child.start()
for child in children:
    child.join()""",
)

MANY_CHILDREN = BenchCell(
    "64 children",
    "procs",
    """\
import multiprocessing
def nap():
    time.sleep(0.01)
children = [multiprocessing.get_context("fork").Process(target=nap) for _ in range(64)]
for child in children:
    child.start()
for child in children:
    child.join()""",
)

THREADS_AT_ONCE = BenchCell(
    "3,000 threads at once",
    "threads",
    """\
import threading
gate = threading.Event()
threads = [threading.Thread(target=gate.wait) for _ in range(3_000)]
for thread in threads:
    thread.start()
gate.set()
for thread in threads:
    thread.join()""",
)

JOBS_IN_THREADS = BenchCell(
    "100,000 jobs in threads",
    "threads",
    """\
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    for _ in range(100_000):
        pool.submit(int)""",
)


def jobs_in_a_pool(how: str, body: str) -> BenchCell:
    """50,000 jobs that do nothing, given to a Pool of two."""
    return BenchCell(
        f"50,000 jobs in a Pool, {how}",
        "procs",
        f"""\
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    {body}""",
    )


JOBS_IN_A_POOL = (
    jobs_in_a_pool("map", "pool.map(int, [1] * 50_000)"),
    jobs_in_a_pool("imap", "list(pool.imap(int, [1] * 50_000))"),
    jobs_in_a_pool("apply_async", "[job.get() for job in [pool.apply_async(int) for _ in range(50_000)]]"),
)


def one_by_one(method: str) -> BenchCell:
    """Twenty processes, each started when the one before has been joined."""
    return BenchCell(
        f"20 processes one by one ({method})",
        "procs",
        f"""\
import multiprocessing
context = multiprocessing.get_context("{method}")
for _ in range(20):
    child = context.Process(target=int)
    child.start()
    child.join()""",
    )
