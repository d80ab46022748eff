"""One interpreter in which a borrowed name is missing, or something else, runs a cell of each model twice.

Run as a script: it reads a list of worlds as JSON, makes each of them in a fork of its own of an interpreter
that has imported IPython and the libraries, and nothing of ours, and writes a list of what happened there.
First every cell runs plain, then concmagic is loaded and they run traced. A cell that hangs is ended.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import multiprocessing.pool
import multiprocessing.popen_fork
import multiprocessing.popen_forkserver
import multiprocessing.shared_memory
import multiprocessing.spawn
import multiprocessing.synchronize
import os
import re
import select
import signal
import sys
import tempfile
import time
import traceback
import types
import warnings
from typing import Any

import cloudpickle
import numpy
from IPython.core.interactiveshell import InteractiveShell

CELL_S = 8  # from then on it is looked whether it hangs
AGAIN_S = 2.0  # as often; and what ends a loop runs it once more
IDLE_S = 0.1  # of CPU time in between: it only waits
CELL_LIMIT_S = 60
WORLD_S = 200
CELLS = {
    "threads": """
import threading
from concurrent.futures import ThreadPoolExecutor
lock, seen = threading.Lock(), []
def work(n):
    with lock:
        seen.append(n)
    return n * n
started = [threading.Thread(target=work, args=(n,), name=f"own{n}") for n in range(2)]
for each in started: each.start()
for each in started: each.join()
gate = threading.Semaphore()
with gate:
    pass
with ThreadPoolExecutor(2, thread_name_prefix="pool") as pool:
    squares = list(pool.map(work, range(3)))
print(sorted(seen), squares)
sum(squares)""",
    "await": """
import asyncio, time
async def nap(n):
    await asyncio.sleep(0.005)
    return n
first = asyncio.create_task(nap(1), name="first")
turn = asyncio.Lock()
async with turn:
    second = await asyncio.gather(first, nap(2))
def add():
    time.sleep(0.05)
    return sum(second)
third = await asyncio.get_running_loop().run_in_executor(None, add)
print(second)
third""",
    "run": """
import asyncio
async def step(n):
    await asyncio.sleep(0.005)
    return n
async def main():
    async with asyncio.TaskGroup() as group:
        made = [group.create_task(step(n), name=f"step{n}") for n in range(2)]
    return [each.result() for each in made]
values = asyncio.run(main())
print(values)
sum(values)""",
    "fork": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
forking = multiprocessing.get_context("fork")
def square(n):
    return n * n
def send(queue):
    queue.put(42)
    print("child")
queue = forking.SimpleQueue()
child = forking.Process(target=send, args=(queue,), name="sender")
child.start()
got = queue.get()
child.join()
with ProcessPoolExecutor(1, mp_context=forking) as pool:
    squares = list(pool.map(square, range(2)))
print(got, child.exitcode, squares)
got + sum(squares)""",
    "pool": """
import multiprocessing
def cube(n):
    return n * n * n
with multiprocessing.get_context("fork").Pool(2) as pool:
    cubes = pool.map(cube, range(4))
print(cubes)
sum(cubes)""",
}
MAGICS = {
    "threads": "threads",
    "await": "asyncio_trace",
    "run": "timeline",
    "fork": "procs",
    "pool": "timeline",
}
# What the picture of a cell shows, by the part of the evidence that it is of.
FACTS = {
    "threads": {
        "threads": "{'own0', 'own1'} <= names",
        "jobs": "any('work' in job.label for job in trace.jobs)",
        "calls": "any('work' in function.name for function in trace.slices.functions)",
    },
    "await": {"tasks": "any('first' in name for name in names)"},
    "run": {"tasks": "any('step1' in name for name in names)"},
    "fork": {"children": "'sender' in names"},
    "pool": {"children": "sum('Worker' in name or 'Pool' in name for name in names) >= 2"},
}
_CHANGING = (
    (re.compile(r"0x[0-9a-f]+"), "0x"),
    (re.compile(r"(?<=[A-Za-z])-\d+(:\d+)*"), "-N"),
    (re.compile(r"<ipython-input-[^>]*>|/tmp/ipykernel_\d+/\d+\.py"), "<cell>"),
    (re.compile(r"(?i)\b(pid|process)[ =]\d+"), r"\1 N"),
)
# What asyncio says of an earlier cell's tasks, whenever they are collected.
_COLLECTED = ("Task was destroyed but it is pending!", "task: <Task ")


class Hangs(BaseException):
    """A cell did not end."""


def find(owner: str) -> Any:
    """The module or class of this name."""
    parts = owner.split(".")
    for many in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:many]))
        except ImportError:
            continue
        for part in parts[many:]:
            found = getattr(found, part)
        return found
    raise ImportError(owner)


def worse(raw: Any, way: str, is_method: bool) -> Any:
    """Something else in the place of a function, that does what it does."""
    if isinstance(raw, (staticmethod, classmethod)):
        return type(raw)(worse(raw.__func__, way, False))
    if way == "builtin":  # written in C: without code of Python's, binding as a function does
        made: Any = functools.lru_cache(maxsize=0)(raw)
        vars(made).clear()
        return made
    if way == "partial":
        return functools.partialmethod(raw) if is_method else functools.partial(raw)
    if way == "unbound":  # on a class: nothing gives it the instance
        return functools.partial(raw)

    def wrapper(*arguments: Any, **options: Any) -> Any:
        return raw(*arguments, **options)

    return wrapper


def break_name(owner: str, name: str, way: str) -> None:
    place = find(owner)
    if way == "missing":
        delattr(place, name)
        return
    defines = next((each for each in getattr(place, "__mro__", (place,)) if name in vars(each)), place)
    raw = vars(defines)[name]
    is_method = isinstance(place, type) and isinstance(raw, types.FunctionType)
    setattr(place, name, worse(raw, way, is_method))


def steady(text: str) -> list[str]:
    """What was printed, without what differs each time; processes print beside each other."""
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    lines = (line.rstrip() for line in text.splitlines() if line.strip())
    return sorted(line for line in lines if not line.startswith(_COLLECTED))


class Output:
    """All that this process and its children write to their descriptors."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+b")  # noqa: SIM115
        for number in (1, 2):
            os.dup2(self._file.fileno(), number)

    def taken(self) -> str:
        sys.stdout.flush()
        sys.stderr.flush()
        self._file.seek(0)
        text = self._file.read().decode("utf-8", "replace")
        self._file.seek(0)
        self._file.truncate()
        return text


def run(shell: Any, code: str, output: Output) -> dict[str, Any]:
    last, limit = time.process_time(), time.monotonic() + CELL_LIMIT_S

    def look(*_: object) -> None:
        nonlocal last
        before, last = last, time.process_time()
        if last - before < IDLE_S or time.monotonic() > limit:
            raise Hangs

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, CELL_S, AGAIN_S)
    value = error = None
    try:
        result = shell.run_cell(code)
        failed = result.error_before_exec or result.error_in_exec
        value = repr(result.result)
        error = None if failed is None else f"{type(failed).__name__}: {failed}"
    except BaseException as raised:  # IPython itself could not run it
        error = f"outside: {type(raised).__name__}: {raised}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    with contextlib.suppress(Exception):  # what they are ended by may be missing
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
    return {"value": value, "error": error, "output": steady(output.taken())}


def looked_at(shell: Any, model: str) -> dict[str, Any]:
    """What the last trace tells: its problems, and which facts it does not show."""
    trace = shell.user_ns.pop("traced", None)
    if trace is None:
        return {"problems": [], "missing": ["picture"]}
    space = {"trace": trace, "names": {track.name for track in trace.tracks}}
    missing = [part for part, fact in FACTS[model].items() if not eval(fact, space)]
    problems = [problem.message for problem in trace.cost.problems]
    return {
        "problems": problems,
        "missing": missing,
        "names": sorted(space["names"]),
    }


def world(owner: str, name: str, way: str, order: str) -> dict[str, Any]:
    """Run the cells; `order` "after" breaks the name when a first traced cell has run."""
    output = Output()
    # What is said of something that is collected comes whenever that happens.
    warnings.filterwarnings("ignore", message=".*never awaited")
    sys.unraisablehook = lambda told: None
    shell = InteractiveShell()
    shell.colors = "NoColor"
    shell.showtraceback = lambda *arguments, **options: None
    if order == "after":
        shell.extension_manager.load_extension("concmagic")
        shell.run_cell("%%timeline -q\nimport asyncio\nasyncio.run(asyncio.sleep(0))")
        output.taken()
    if way != "whole":
        break_name(owner, name, way)
    told: dict[str, Any] = {"plain": {}, "again": {}, "traced": {}}
    for model, code in CELLS.items():
        for time_of_it in ("plain", "again"):  # what differs by itself tells nothing
            told[time_of_it][model] = run(shell, "#\n" + code.lstrip("\n"), output)
    if order == "before":
        shell.extension_manager.load_extension("concmagic")
        output.taken()
    for model, code in CELLS.items():
        cell = f"%%{MAGICS[model]} -q -o traced\n" + code.lstrip("\n")
        told["traced"][model] = run(shell, cell, output) | looked_at(shell, model)
    return told


def in_a_fork(one: list[str]) -> tuple[int, Any, list[str]]:
    file = tempfile.TemporaryFile("w+")  # noqa: SIM115
    pid = os.fork()
    if pid == 0:
        os.setsid()
        leave, mine = os._exit, os.getpid()
        try:
            told = world(*one)
        except BaseException:
            told = {"failed": traceback.format_exc()}
        if os.getpid() == mine:  # a child of the cell's comes here, too, where it cannot leave
            json.dump(told, file)
            file.flush()
        leave(0)
    return pid, file, one


def told_by(pid: int, file: Any, one: list[str]) -> dict[str, Any]:
    """What a world that has ended, or has to end, has written."""
    with contextlib.suppress(ProcessLookupError):  # and whatever it has left behind
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    file.seek(0)
    text = file.read()
    return {"world": one} | (json.loads(text) if text else {"failed": "it did not come to its end"})


def main() -> None:
    """One line of JSON for each world, as it ends."""
    waiting, at_once = json.load(sys.stdin), int(sys.argv[1])
    running: dict[int, tuple[float, tuple[int, Any, list[str]]]] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            begun = in_a_fork(waiting.pop(0))
            running[os.pidfd_open(begun[0])] = time.monotonic() + WORLD_S, begun
        ended = select.select(list(running), [], [], 1.0)[0]
        late = [file for file, (limit, _) in running.items() if time.monotonic() > limit]
        for file in {*ended, *late}:
            os.close(file)
            print(json.dumps(told_by(*running.pop(file)[1])), flush=True)


if __name__ == "__main__":
    _kept = cloudpickle, numpy  # loaded before the worlds part
    main()
