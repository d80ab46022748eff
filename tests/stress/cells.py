"""Cells of every kind, made from a seed: each with the value that it must have."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

OLD_BUDGET = 300_000  # events of calls that `--detail auto` records where it records any
MAGICS = ("threads", "timeline", "asyncio_trace", "procs")

# What the cells call; run once in each kernel, in a plain cell.
PRELUDE = """
import asyncio, multiprocessing, queue, threading, time
from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor

def leaf(n):
    return n & 1

class Counter:
    def __init__(self):
        self.n = 0
    @property
    def value(self):
        return self.n
    def add(self, more):
        self.n = self.value + more

def odd(calls):  # one call of Python code each
    return sum(leaf(n) for n in range(calls // 2))

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def recursive(calls):
    return sum(fib(15) for _ in range(calls // 1_973 + 1)) and calls

def deep(n):
    return deep(n - 1) if n else 0

def dived(calls):
    for _ in range(calls // 150 + 1):
        deep(150)
    return calls

def methods(calls):
    counter = Counter()
    for _ in range(calls // 2):
        counter.add(1)
    return counter.n

def mapped(calls):
    return len(list(map(leaf, range(calls))))

def failing(n):
    raise ValueError(n)

def raising(calls):
    caught = 0
    for n in range(calls):
        try:
            failing(n)
        except ValueError:
            caught += 1
    return caught

shared = threading.Lock()
def locking(calls):
    for n in range(calls):
        leaf(n)
        if not n % 500:
            with shared:
                leaf(n)
    return calls

def in_child(calls):
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(mapped, [calls, calls + 1_000]))

def run_together(function, each, how_many):
    found = []
    barrier = threading.Barrier(how_many)
    def work(share):
        barrier.wait()
        found.append(function(share))
    # No two end at the same moment.
    threads = [threading.Thread(target=work, args=(each + 1_000 * n,)) for n in range(how_many)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return len(found)

def pooled(function, each, how_many):
    with ThreadPoolExecutor(how_many) as pool:
        return len(list(pool.map(function, [each] * how_many)))

late = []
def left_running(function, each, how_many):
    threads = [threading.Thread(target=function, args=(each,)) for _ in range(how_many)]
    for thread in threads: thread.start()
    late.extend(threads[1:])
    threads[0].join()
    return how_many

async def grouped():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
    return 5

def mapped_in_pool(method, function, jobs):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(function, jobs)

def join_late():
    while late:
        late.pop().join()
"""
WORK = ("odd", "recursive", "dived", "methods", "mapped", "raising", "locking")


@dataclass(frozen=True, slots=True)
class StressCell:
    """One cell. `threads` is how many compute at once in it, 0 if they stay within the old budget."""

    source: str
    value: str
    threads: int = 0


def cells(seed: int, how_many: int, heavy: float) -> list[StressCell]:
    """That many, of which at least this share has 2 to 8 threads that compute past the old budget."""
    chosen = random.Random(seed)
    computing = round(how_many * heavy)
    made = [_computing(chosen) for _ in range(computing)]
    made += [chosen.choice(OTHERS)(chosen) for _ in range(how_many - computing)]
    chosen.shuffle(made)
    return made


def _magic(chosen: random.Random, names: tuple[str, ...] = MAGICS) -> str:
    detail = chosen.choice(("", "", "", " --detail calls", " --detail states"))
    return f"%%{chosen.choice(names)}{detail}"


def _computing(chosen: random.Random) -> StressCell:
    threads = chosen.randint(2, 8)
    each = (OLD_BUDGET + chosen.randint(20_000, 200_000)) // threads
    work, shape = (
        chosen.choice(WORK),
        chosen.choice(("together", "together", "left", "pool", "for", "awaited")),
    )
    if shape == "for":
        magic = _magic(chosen, ("threads",))
        source = f"{magic} -w {threads} for n in range({threads})\n{work}({each}) and n"
        return StressCell(source, str(list(range(threads))), threads)
    if shape == "awaited":
        jobs = f"asyncio.to_thread({work}, {each}) for _ in range({threads})"
        return StressCell(f"%%asyncio_trace\nlen(await asyncio.gather(*({jobs})))", str(threads), threads)
    if shape == "pool":
        call = f"pooled({work}, {each}, {threads})"
    else:
        call = f"{'left_running' if shape == 'left' else 'run_together'}({work}, {each}, {threads})"
    return StressCell(f"{_magic(chosen)}\n{call}", str(threads), threads)


def _few_calls(chosen: random.Random) -> StressCell:
    threads = chosen.randint(1, 8)
    return StressCell(f"{_magic(chosen)}\nrun_together(odd, 2_000, {threads})", str(threads))


def _sleeping(chosen: random.Random) -> StressCell:
    body = "with ThreadPoolExecutor(4) as pool:\n    list(pool.map(time.sleep, [0.01] * 8))\n7"
    return StressCell(f"{_magic(chosen)}\n{body}", "7")


def _awaiting(chosen: random.Random) -> StressCell:
    tasks = chosen.randint(1, 50)
    sleeps = f"asyncio.sleep(0.001) for _ in range({tasks})"
    return StressCell(f"%%asyncio_trace\nlen(await asyncio.gather(*({sleeps})))", str(tasks))


def _own_loop(chosen: random.Random) -> StressCell:
    return StressCell(f"{_magic(chosen)}\nasyncio.run(grouped())", "5")


def _task_for(chosen: random.Random) -> StressCell:
    return StressCell(
        "%%asyncio_trace -w 3 for n in range(9)\nawait asyncio.sleep(0.001)\nn", str(list(range(9)))
    )


def _processes(chosen: random.Random) -> StressCell:
    method = chosen.choice(("fork", "spawn"))
    return StressCell(f"{_magic(chosen)}\nmapped_in_pool({method!r}, odd, [2_000] * 4)", str([500] * 4))


def _busy_children(chosen: random.Random) -> StressCell:
    each, method = OLD_BUDGET // 2 + 20_000, chosen.choice(("fork", "spawn"))
    source = f"{_magic(chosen)}\nmapped_in_pool({method!r}, in_child, [{each}] * 2)"
    return StressCell(source, str([2 * each + 1_000] * 2))


def _process_for(chosen: random.Random) -> StressCell:
    return StressCell("%%procs -w 2 for n in range(4)\nodd(2_000) + n", str([500 + n for n in range(4)]))


def _queues(chosen: random.Random) -> StressCell:
    body = (
        "q = queue.Queue(10)\n"
        "def feed():\n    for n in range(500): q.put(n)\n    q.put(None)\n"
        "feeder = threading.Thread(target=feed); feeder.start()\n"
        "total = sum(iter(q.get, None)); feeder.join()\ntotal"
    )
    return StressCell(f"{_magic(chosen)}\n{body}", str(sum(range(500))))


def _settled(chosen: random.Random) -> StressCell:
    return StressCell("join_late()\n0", "0")  # not traced


OTHERS: tuple[Callable[[random.Random], StressCell], ...] = (
    _few_calls,
    _sleeping,
    _awaiting,
    _own_loop,
    _task_for,
    _processes,
    _busy_children,
    _process_for,
    _queues,
    _settled,
)
