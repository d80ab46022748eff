"""What a random cell computes: a program for each model that sets `r`, the same whenever it runs.

`n` is the size. A part is a function where what it makes would else outlive the cell as a name of the
notebook. `SIZES` keeps each part short: an hour has to hold some thousand cells.
"""

from __future__ import annotations

# Run first in every kernel, of which the cells then use the names.
PRELUDE = """
import asyncio, concurrent.futures as cf, contextlib, functools, multiprocessing as mp, os, queue, signal
import subprocess, sys, threading, time
from multiprocessing.pool import ThreadPool

def work(k):
    return k * k

def nap(k):
    time.sleep(0.002)
    return k + 1

def spin(k):
    return sum(i & 3 for i in range(500 * (1 + k % 4)))
"""

AWAITING = {
    "sleep": "r = await asyncio.sleep(0.001 * ({n} % 20), {n})",
    "gather": "async def one(k):\n    await asyncio.sleep(0.001 * (k % 3))\n    return work(k)\n"
    "r = sum(await asyncio.gather(*(one(k) for k in range({n}))))",
    "group": "async def one(k):\n    await asyncio.sleep(0)\n    return k\n"
    "async with asyncio.TaskGroup() as g:\n    ts = [g.create_task(one(k)) for k in range({n})]\n"
    "r = [t.result() for t in ts][-3:]\ndel g, ts",
    "queue": "async def part():\n    q = asyncio.Queue(3)\n    async def fill():\n"
    "        for k in range({n}): await q.put(k)\n        await q.put(None)\n    async def take():\n"
    "        found = []\n        while (k := await q.get()) is not None: found.append(k)\n"
    "        return sum(found)\n    return (await asyncio.gather(fill(), take()))[1]\nr = await part()",
    "semaphore": "async def part():\n    s, lock, found = asyncio.Semaphore(2), asyncio.Lock(), []\n"
    "    async def one(k):\n        async with s:\n            await asyncio.sleep(0)\n"
    "            async with lock: found.append(spin(k))\n"
    "    await asyncio.gather(*(one(k) for k in range({n})))\n    return sum(found)\nr = await part()",
    "timeout": "try:\n    async with asyncio.timeout(0.01): await asyncio.sleep(20)\n"
    "except TimeoutError:\n    r = 'late'",
    "cancelled": "async def part():\n    ts = [asyncio.create_task(asyncio.sleep(20)) for _ in range({n})]\n"
    "    await asyncio.sleep(0)\n    for t in ts: t.cancel()\n"
    "    await asyncio.gather(*ts, return_exceptions=True)\n    return sum(t.cancelled() for t in ts)\n"
    "r = await part()",
    "failed group": "async def bad(k):\n    await asyncio.sleep(0)\n    raise ValueError(k)\ntry:\n"
    "    async with asyncio.TaskGroup() as g:\n        g.create_task(bad(1))\n"
    "        g.create_task(asyncio.sleep(20))\nexcept* ValueError as e:\n    r = str(e.exceptions)\ndel g",
    "to_thread": "r = sum(await asyncio.gather(*(asyncio.to_thread(nap, k) for k in range(min({n}, 30)))))",
    "generator": "async def count():\n    for k in range({n}):\n        await asyncio.sleep(0)\n"
    "        yield k\nr = sum([k async for k in count()])",
    "stream": "async def part():\n    async def echo(reader, writer):\n"
    "        writer.write(await reader.readline())\n        writer.close()\n"
    "        await writer.wait_closed()\n    server = await asyncio.start_server(echo, '127.0.0.1', 0)\n"
    "    async with server:\n"
    "        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
    "        writer.write(b'{n}\\n')\n        line = await reader.read()\n        writer.close()\n"
    "        await writer.wait_closed()\n    return line\nr = await part()",
}

SYNC = {
    "sum": "r = sum(work(k) for k in range({n}))",
    "calls": "def deep(k):\n    return deep(k - 1) + 1 if k else 0\nr = deep({n} % 200)",
    "compute": "r = sum(spin(k) for k in range({n}))",
    "closed": "def steps():\n    try:\n        yield 1\n        yield 2\n    finally:\n        global ended\n"
    "        ended = {n}\nr = next(g := steps())\ng.close()\ndel g\nr = ended",
    "command": "r = subprocess.run(['echo', '{n}'], capture_output=True, text=True).stdout",
    "fork": "import warnings\nwith warnings.catch_warnings(action='ignore'):\n    child = os.fork()\n"
    "if not child:\n    os._exit({n} % 100)\nr = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])",
}

THREADS = {
    "threads": "def part():\n    found, lock = [], threading.Lock()\n    def one(k):\n"
    "        with lock: found.append(spin(k))\n"
    "    ts = [threading.Thread(target=one, args=(k,)) for k in range(min({n}, 40))]\n"
    "    for t in ts: t.start()\n    for t in ts: t.join()\n    return sum(found)\nr = part()",
    "executor": "with cf.ThreadPoolExecutor(3) as p:\n    r = list(p.map(nap, range(min({n}, 40))))\ndel p",
    "submit": "def part():\n    with cf.ThreadPoolExecutor(4) as p:\n"
    "        fs = [p.submit(work, k) for k in range({n})]\n"
    "        return sorted(f.result() for f in cf.as_completed(fs))[-3:]\nr = part()",
    "failed job": "def part():\n    with cf.ThreadPoolExecutor(2) as p:\n"
    "        return repr(p.submit(int, 'x').exception())\nr = part()",
    "queue": "def part():\n    q, found = queue.Queue(2), []\n    def take():\n"
    "        while (k := q.get()) is not None: found.append(k)\n"
    "    t = threading.Thread(target=take)\n    t.start()\n    for k in range({n}): q.put(k)\n"
    "    q.put(None)\n    t.join()\n    return sum(found)\nr = part()",
    "barrier": "def part():\n    b, found = threading.Barrier(3), []\n    def one(k):\n        b.wait()\n"
    "        found.append(k)\n    ts = [threading.Thread(target=one, args=(k,)) for k in range(3)]\n"
    "    for t in ts: t.start()\n    for t in ts: t.join()\n    return sorted(found)\nr = part()",
    "timer": "def part():\n    said = threading.Event()\n    t = threading.Timer(0.01, said.set)\n"
    "    t.start()\n    said.wait()\n    t.join()\n    return said.is_set()\nr = part()",
    "pool": "with ThreadPool(2) as p:\n    r = p.map(nap, range(min({n}, 40)))\n    p.close()\n    p.join()\n"
    "del p",
    "printing": "t = threading.Thread(target=print, args=('from a thread', {n}))\nt.start()\nt.join()\n"
    "r = t.is_alive()\ndel t",
    "locks": "def part():\n    lock, done = threading.RLock(), threading.Condition()\n"
    "    for k in range({n}):\n        with lock, done: done.notify_all()\n    return {n}\nr = part()",
}

# With the start method in {how}: plain, a function of the notebook can be sent under fork only.
PROCESSES = {
    "process": "def part():\n    c = mp.get_context('{how}')\n    p = c.Process(target=spin, args=({n},))\n"
    "    p.start()\n    p.join()\n    code = p.exitcode\n    p.close()\n    return code\nr = part()",
    "pipe": "def part():\n    c = mp.get_context('{how}')\n    ours, theirs = c.Pipe()\n"
    "    p = c.Process(target=answer, args=(theirs,))\n    p.start()\n    theirs.close()\n"
    "    ours.send(min({n}, 50))\n    found = [ours.recv() for _ in range(min({n}, 50))]\n    p.join()\n"
    "    p.close()\n    ours.close()\n    return sum(found)\n"
    "def answer(end):\n    for k in range(end.recv()): end.send(k)\nr = part()",
    "pool": "def part():\n    with mp.get_context('{how}').Pool(2) as p:\n"
    "        found = p.map(work, range({n}))\n        p.close()\n        p.join()\n"
    "        return sum(found)\nr = part()",
    "executor": "def part():\n    with cf.ProcessPoolExecutor(2, mp.get_context('{how}')) as p:\n"
    "        return list(p.map(work, range(min({n}, 40))))[-3:]\nr = part()",
    "failed job": "def part():\n    with mp.get_context('{how}').Pool(1) as p:\n        try:\n"
    "            p.apply(int, ('x',))\n        except ValueError as error:\n            return str(error)\n"
    "        finally:\n            p.close()\n            p.join()\nr = part()",
    "exit code": "def part():\n    p = mp.get_context('{how}').Process(target=os._exit, args=({n} % 100,))\n"
    "    p.start()\n    p.join()\n    code = p.exitcode\n    p.close()\n    return code\nr = part()",
}

JOBLIB = {
    "joblib threads": "import joblib\nr = joblib.Parallel(2, prefer='threads')("
    "joblib.delayed(work)(k) for k in range(min({n}, 30)))[-3:]",
    "loky": "import joblib\nfrom joblib.externals.loky import get_reusable_executor\n"
    "r = joblib.Parallel(2)(joblib.delayed(abs)(-k) for k in range(min({n}, 30)))[-3:]\n"
    "get_reusable_executor().shutdown(wait=True)",
}

SIZES = (1, 1, 2, 3, 5, 10, 30, 100, 300)

# How a cell ends, with what its part has computed.
OUTCOMES = {
    "value": "r",
    "none": "None",
    "quiet": "r;",
    "printed": "print('r is', r)\nfor k in range(5): print(k, end=' ')",
    "on stderr": "print(r, file=sys.stderr)\nr",
    "error": "raise ValueError(f'no {r}')",
    "in a call": "def fails(k):\n    return fails(k - 1) if k else 1 / 0\nfails(4)",
    "group": "raise ExceptionGroup('two', [ValueError(1), KeyError('k')])",
    "exit": "sys.exit(3)",
    "caught": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    said = repr(error)\n(r, said)",
    "interrupt of its own": "raise KeyboardInterrupt",
    "stop": "raise StopIteration(3)",
    "displayed": "display(r)",
}
