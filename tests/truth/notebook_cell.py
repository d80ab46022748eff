"""A program as a cell of a notebook: each step that takes time on a line of its own, each moment stamped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.truth.programs import (
    WORLDS,
    Actor,
    Compute,
    Hear,
    Join,
    Locked,
    Meet,
    Op,
    Place,
    Program,
    Sleep,
    Start,
    Tell,
)

BEGIN = "begin"  # the mark that tells the cell's clock from the stamps
# Run once in a kernel. A stamp is one write to a file that a fork shares, so that none is lost or cut.
SETUP = """
import asyncio, concurrent.futures as cf, multiprocessing, os, queue, tempfile, threading, time
fork = multiprocessing.get_context("fork")
_stamps = os.open(tempfile.mktemp(), os.O_RDWR | os.O_CREAT | os.O_APPEND)
def at(what, actor, number):
    os.write(_stamps, f"{what} {actor} {number} {time.monotonic_ns()}\\n".encode())
def stamped():
    size = os.fstat(_stamps).st_size
    text = os.pread(_stamps, size, 0).decode()
    os.ftruncate(_stamps, 0)
    return [line.split() for line in text.splitlines()]
"""

_MAKE = {
    "event": "threading.Event()",
    "queue": "queue.Queue()",
    "simple queue": "queue.SimpleQueue()",
    "condition": "threading.Condition()",
    "semaphore": "threading.Semaphore(0)",
}
_MAKE_FOR_TASKS = {
    "event": "asyncio.Event()",
    "queue": "asyncio.Queue()",
    "condition": "asyncio.Condition()",
    "semaphore": "asyncio.Semaphore(0)",
    "future": "asyncio.get_running_loop().create_future()",
}
_MAKE_FOR_PROCESSES = {
    "event": "fork.Event()",
    "queue": "fork.Queue()",
    "simple queue": "fork.SimpleQueue()",
    "pipe": "fork.Pipe()",
}
_TELL = {
    "event": "{s}.set()",
    "queue": "{s}.put(1)",
    "simple queue": "{s}.put(1)",
    "condition": "with {s}: told.add({n}); {s}.notify_all()",
    "semaphore": "{s}.release()",
    "pipe": "{s}[1].send(1)",
    "future": "{s}.set_result(1)",
}
_HEAR = {
    "event": "{s}.wait()",
    "queue": "{s}.get()",
    "simple queue": "{s}.get()",
    "condition": "with {s}: {s}.wait_for(lambda: {n} in told)",
    "semaphore": "{s}.acquire()",
    "pipe": "{s}[0].recv()",
}
# An actor's own object, by its kind, and how its end is waited for.
_START = {
    "thread": "h[{n}] = threading.Thread(target=a{n}, name='a{n}'); h[{n}].start()",
    "process": "h[{n}] = fork.Process(target=a{n}, name='a{n}'); h[{n}].start()",
    "task": "h[{n}] = asyncio.create_task(a{n}(), name='a{n}')",
    "job": "h[{n}] = pool.submit(a{n})",
}
_JOIN = {
    "thread": "h[{n}].join()",
    "process": "h[{n}].join()",
    "task": "await h[{n}]",
    "job": "h[{n}].result()",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """The text, and on which line of it each step takes its time."""

    text: str
    lines: dict[Place, int]


class _Writer:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._unit_s = WORLDS[program.world].unit_ms / 1000
        self._kinds = [actor.kind for actor in program.actors]
        self._tasks = program.world == "tasks"
        self._lines = [WORLDS[program.world].magic]
        self._places: dict[Place, int] = {}

    def cell(self) -> Cell:
        self._lines.append(f"concmagic.mark('{BEGIN}'); at('m', 0, 0)")
        self._lines += self._head()
        for actor in self._program.actors[1:]:
            awaits = "async " if actor.kind == "task" else ""
            self._lines.append(f"{awaits}def a{actor.number}():")
            self._body(actor, "    ")
        self._body(self._program.actors[0], "")
        if "job" in self._kinds:
            self._lines.append("pool.shutdown()")
        return Cell("\n".join(self._lines), self._places)

    def _head(self) -> Iterator[str]:
        made, lock, barrier = _MAKE, "threading.Lock()", "threading.Barrier"
        executor = "cf.ThreadPoolExecutor({})"
        if self._tasks:
            made, lock, barrier = _MAKE_FOR_TASKS, "asyncio.Lock()", "asyncio.Barrier"
        elif self._program.world != "threads":
            made, lock, barrier = _MAKE_FOR_PROCESSES, "fork.Lock()", "fork.Barrier"
            executor = "cf.ProcessPoolExecutor({}, fork)"
        yield "h, told = {}, set()"
        yield f"l0 = {lock}"
        for number, kind in enumerate(self._program.signals):
            yield f"s{number} = {made[kind]}"
        for number, parties in enumerate(self._program.parties):
            yield f"b{number} = {barrier}({parties})"
        if "job" in self._kinds:
            yield from self._ready_pool(executor.format(self._program.workers))

    def _ready_pool(self, executor: str) -> Iterator[str]:
        """A pool whose processes are there: how long they take to start no plan knows."""
        if not executor.startswith("cf.Process"):
            yield f"pool = {executor}"
            return
        yield f"ready = fork.Barrier({self._program.workers})"
        yield "def is_ready(_): ready.wait()"
        yield f"pool = {executor}"
        yield f"list(pool.map(is_ready, range({self._program.workers})))"

    def _body(self, actor: Actor, indent: str) -> None:
        for number, op in enumerate(actor.ops):
            place = actor.number, number
            self._lines.append(f"{indent}at('b', {actor.number}, {number})")
            for line in self._step(actor, place, op):
                self._lines.append(indent + line)
                self._places[place] = len(self._lines)
            self._lines.append(f"{indent}at('e', {actor.number}, {number})")

    def _step(self, actor: Actor, place: Place, op: Op) -> Iterator[str]:
        awaits = actor.kind == "task" or (self._tasks and actor.kind == "cell")
        wait = "await " if awaits else ""
        sleep = "await asyncio.sleep({})" if awaits else "time.sleep({})"
        match op:
            case Sleep(units):
                yield sleep.format(round(units * self._unit_s, 3))
            case Compute(units):
                yield f"until = time.monotonic() + {round(units * self._unit_s, 3)}"
                yield "while time.monotonic() < until: sum(range(2000))"
            case Locked(lock, units):
                taken = "async with" if awaits else "with"
                slept = sleep.format(round(units * self._unit_s, 3))
                yield f"{taken} l{lock}: at('h', {place[0]}, {place[1]}); {slept}"
            case Tell(signal):
                yield self._tell(self._program.signals[signal]).format(s=f"s{signal}", n=signal)
            case Hear(signal):
                yield self._hear(self._program.signals[signal]).format(s=f"s{signal}", n=signal)
            case Meet(barrier):
                yield f"{wait}b{barrier}.wait()"
            case Start(child):
                yield self._start(child)
            case Join(children):
                yield self._join(children)

    def _tell(self, kind: str) -> str:
        if self._tasks and kind == "condition":
            return "async " + _TELL[kind]
        return "await " + _TELL[kind] if self._tasks and kind == "queue" else _TELL[kind]

    def _hear(self, kind: str) -> str:
        if not self._tasks:
            return _HEAR[kind]
        if kind == "condition":
            return "async with {s}: await {s}.wait_for(lambda: {n} in told)"
        return "await {s}" if kind == "future" else "await " + _HEAR[kind]

    def _start(self, child: int) -> str:
        if self._tasks and self._kinds[child] == "job":
            return f"h[{child}] = asyncio.get_running_loop().run_in_executor(pool, a{child})"
        return _START[self._kinds[child]].format(n=child)

    def _join(self, children: tuple[int, ...]) -> str:
        handles = ", ".join(f"h[{child}]" for child in children)
        how = self._program.joining
        if self._tasks:
            return {
                "": "; ".join(f"await h[{child}]" for child in children),
                "gather": f"await asyncio.gather({handles})",
                "wait": f"await asyncio.wait([{handles}])",
                "as_completed": f"for one in asyncio.as_completed([{handles}]): await one",
            }[how]
        if how and all(self._kinds[child] == "job" for child in children):
            waited = f"cf.{how}([{handles}])"
            return f"list({waited})" if how == "as_completed" else waited
        return "; ".join(_JOIN[self._kinds[child]].format(n=child) for child in children)


def cell_of(program: Program) -> Cell:
    """The cell that is the program."""
    return _Writer(program).cell()
