"""Code of the notebook in child processes, under every start method: in a kernel, over several cells."""

from __future__ import annotations

import pytest

from conftest import Kernel

METHODS = ["fork", "spawn", "forkserver"]

EARLIER = """
import collections, dataclasses, enum, functools, math, os, threading
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

OFFSET = 10

def helper(x):
    return x + OFFSET
"""

LATER = """
def work(x):
    return math.floor(helper(x)) * 2  # a function, a global and an import of an earlier cell

def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)

def logged(function):
    @functools.wraps(function)
    def inner(*args):
        return "logged", function(*args)
    return inner

@logged
def decorated(x):
    return x + 1

def adder(n):
    return lambda x: x + n

def squares(n):
    for i in range(n):
        yield i * i

def owner(n):
    return sum(squares(n))

class Base:
    def __init__(self, x): self.x = x
    def doubled(self): return self.x * 2

class Derived(Base):
    def doubled(self): return super().doubled() + 1
    @staticmethod
    def fixed(): return 7
    @classmethod
    def made(cls, x): return cls(x)

@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int = 2
    def moved(self): return Point(self.x + 1, self.y)

class Colour(enum.Enum):
    RED = 1

class NotebookError(Exception):
    pass

def fail(x):
    raise NotebookError("no", x)
"""

ALL = """%%procs -q -o trace
with mp.get_context("{method}").Pool(2) as pool:
    point, made = pool.apply(Point.moved, (Point(1),)), pool.apply(Derived.made, (5,))
    answers = (
        pool.map(work, range(3)), pool.apply(factorial, (5,)), pool.apply(decorated, (1,)),
        pool.apply(lambda: OFFSET), pool.apply(adder(7), (1,)), pool.apply(owner, (4,)),
        pool.apply(Derived(3).doubled), pool.apply(Derived.fixed), pool.apply(adder, (4,))(1),
    )
same = type(point) is Point, (point.x, point.y), type(made) is Derived, made.doubled()
colour = mp.get_context("{method}").Pool(1)
with colour as pool:
    same += (pool.apply(lambda: Colour.RED) is Colour.RED,)
    try:
        pool.apply(fail, (3,))
    except NotebookError as error:
        same += (error.args,)
"""


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_notebook_code_runs_in_children_and_comes_back(kernel: Kernel, method: str) -> None:
    kernel.check(EARLIER)
    kernel.check(LATER)
    kernel.check(ALL.format(method=method))
    assert kernel.value("answers") == ([20, 22, 24], 120, ("logged", 2), 10, 8, 14, 7, 7, 5)
    assert kernel.value("same") == (True, (2, 2), True, 11, True, ("no", 3))
    assert kernel.value("{job.outcome for job in trace.jobs} <= {'returned', 'raised NotebookError'}")


@pytest.mark.parametrize("method", METHODS)
def test_a_main_block_runs_as_in_a_script(kernel: Kernel, method: str) -> None:
    kernel.check(EARLIER)
    kernel.check(f"""%%procs -q -o trace
def count(n, say):
    say.send((__name__, n + OFFSET))

ran = []
if __name__ == "__main__":
    ran.append(__name__)
    here, there = mp.Pipe(False)
    processes = [mp.get_context("{method}").Process(target=count, args=(n, there)) for n in range(2)]
    for process in processes: process.start()
    for process in processes: process.join()
    answers = sorted(here.recv() for _ in processes)
""")
    assert kernel.value("(ran, answers)") == (["__main__"], [("__main__", 10), ("__main__", 11)])
    kernel.check("children = [t for t in trace.tracks if t.kind == 'process' and t.role == 'work']")
    assert kernel.value("[str(t.outcome) for t in children if t.parent is not None]") == [
        "returned",
        "returned",
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_redefined_function_goes_to_new_children_in_its_newest_form(kernel: Kernel, method: str) -> None:
    kernel.check(EARLIER)
    cell = f"""%%procs -q
with mp.get_context("{method}").Pool(1) as pool:
    answer = pool.apply(twice, (3,))
"""
    for factor in (2, 5):
        kernel.check(f"def twice(x):\n    return x * {factor} + helper(0)")
        kernel.check(cell)
        assert kernel.value("answer") == 3 * factor + 10
    kernel.check("OFFSET = 100")
    kernel.check(cell)
    assert kernel.value("answer") == 115


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        ("threading.Lock()", "lock"),
        ("__import__('sqlite3').connect(':memory:')", "Connection"),
        ("(n for n in range(3))", "generator"),
    ],
)
def test_what_cannot_be_sent_is_one_error_that_names_object_and_variable(
    kernel: Kernel, method: str, make: str, kind: str
) -> None:
    kernel.check(EARLIER)
    kernel.check(f"things = {make}\ndef uses():\n    return things")
    run = kernel.run(f"""%%procs -o trace
process = mp.get_context("{method}").Process(target=uses)
process.start()
process.join()
""")
    assert run.status == "error" and run.displays
    told = f"{run.evalue}\n" + "\n".join(run.traceback)
    assert kind in told and "'things'" in told
    assert kernel.value("mp.active_children()") == []
    kernel.check("getattr(things, 'close', lambda: None)()")


@pytest.mark.parametrize("method", METHODS)
def test_a_later_plain_cell_feels_nothing_of_it_but_through_a_pool_that_lives_on(
    kernel: Kernel, method: str
) -> None:
    kernel.check(EARLIER)
    kernel.check(
        "import copyreg, pickle, multiprocessing.reduction, multiprocessing.spawn, multiprocessing.process"
    )
    kernel.check("""
def plain():
    hooks = multiprocessing.reduction, multiprocessing.spawn, multiprocessing.process, os, pickle
    named = [sorted((n, id(v)) for n, v in vars(one).items() if callable(v)) for one in hooks]
    return named, dict(copyreg.dispatch_table)
before = plain()
""")
    kernel.check(f"""%%procs -q
pool = ProcessPoolExecutor(1, mp_context=mp.get_context("{method}"))
first = pool.submit(helper, 1).result()
""")
    kernel.check("def newer(x):\n    return helper(x) * 2\nsecond = pool.submit(newer, 1).result()")
    assert kernel.value("(first, second)") == (11, 22)
    kernel.check("pool.shutdown()")
    kernel.check("%%procs -q\n1")  # which removes what the pool had needed
    assert kernel.value("plain() == before")
