"""Functions and classes of a notebook work in children, under every start method."""

import pytest
from children_notebook import check_whole, run_cells

METHODS = ["fork", "spawn", "forkserver"]

SETUP = """
import asyncio, collections, dataclasses, enum, functools, math, threading
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

OFFSET = 10

def helper(x):
    return x + OFFSET

def work(x):
    return math.floor(helper(x)) * 2

def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)

def logged(function):
    @functools.wraps(function)
    def inner(*args):
        return ("logged", function(*args))
    return inner

@logged
def decorated(x):
    return x + 1

@functools.lru_cache(maxsize=None)
def cached(x):
    return x * 3

def adder(n):
    return lambda x: x + n

class Base:
    count = 0
    def __init__(self, x): self.x = x
    def doubled(self): return self.x * 2

class Child(Base):
    def doubled(self): return super().doubled() + 1

@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int = 2
    def moved(self): return Point(self.x + 1, self.y)

class Colour(enum.Enum):
    RED = 1
    BLUE = 2

Pair = collections.namedtuple("Pair", "a b")

class NotebookError(Exception):
    pass

def fail(x):
    raise NotebookError("no", x)

def both(method):
    return mp.get_context(method)
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_process_runs_a_function_of_the_notebook(method: str) -> None:
    cell = f"""
ctx = both("{method}")
queue = ctx.Queue()
def target(queue, x): queue.put(work(x))
process = ctx.Process(target=target, args=(queue, 1), name="mine")
process.start()
answer = queue.get()
process.join()
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == 22
    (record,) = book.workers
    check_whole(record)
    assert (record.name, record.start_method, record.exit_code) == ("mine", method, 0)
    assert {"target", "work", "helper"} <= set(record.functions)


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_notebook_code_goes_there_and_back(method: str) -> None:
    cell = f"""
with both("{method}").Pool(1) as pool:
    point = pool.apply(Point.moved, (Point(1),))
    pair = pool.apply(lambda: Pair(1, 2))
    child = pool.apply(Child, (5,))
    colour = pool.apply(lambda: Colour.BLUE)
    returned = pool.apply(adder, (4,))
    answer = dict(
        work=pool.map(work, range(3)), recursive=pool.apply(factorial, (5,)),
        decorated=pool.apply(decorated, (1,)), cached=pool.apply(cached, (2,)),
        closure=pool.apply(adder(7), (1,)), partial=pool.apply(functools.partial(adder(1), 1)),
        method=pool.apply(Child(3).doubled), returned=returned(1),
        same=[type(point) is Point, type(pair) is Pair, type(child) is Child, colour is Colour.BLUE],
        point=[point.x, point.y],
    )
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == {
        "work": [20, 22, 24],
        "recursive": 120,
        "decorated": ["logged", 2],
        "cached": 6,
        "closure": 8,
        "partial": 2,
        "method": 7,
        "returned": 5,
        "same": [True] * 4,
        "point": [2, 2],
    }


@pytest.mark.parametrize("method", METHODS)
def test_an_error_of_the_notebook_keeps_its_class(method: str) -> None:
    cell = f"""
with ProcessPoolExecutor(1, mp_context=both("{method}")) as pool:
    try:
        pool.submit(fail, 3).result()
    except NotebookError as error:
        answer = [list(error.args), str(error.__cause__)]
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    arguments, trace = book.last.answer
    assert arguments == ["no", 3]
    assert 'raise NotebookError("no", x)' in trace  # the child knows the cell's lines
    assert "src/concmagic/" not in trace


@pytest.mark.parametrize("method", METHODS)
def test_jobs_see_what_the_initializer_stored(method: str) -> None:
    cell = f"""
model = None
def load():
    global model
    model = "loaded"
def use(x):
    return model, x
with both("{method}").Pool(2, load) as pool:
    answer = pool.map(use, [1, 2, 3])
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == [["loaded", 1], ["loaded", 2], ["loaded", 3]]


@pytest.mark.parametrize("method", METHODS)
def test_a_process_that_overrides_run(method: str) -> None:
    cell = f"""
ctx = both("{method}")
class Worker(ctx.Process):
    def __init__(self, sender):
        super().__init__()
        self.sender = sender
    def run(self):
        self.sender.send(work(0))
receiver, sender = ctx.Pipe(False)
worker = Worker(sender)
worker.start()
answer = receiver.recv()
worker.join()
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == 20
    (record,) = book.workers
    check_whole(record)
    assert "Worker.run" in record.functions


@pytest.mark.parametrize("method", METHODS)
def test_a_function_reads_pipes_queues_locks_and_values_that_are_globals(method: str) -> None:
    cell = f"""
ctx = both("{method}")
receiver, sender = ctx.Pipe(False)
results, lock, gate, total = ctx.Queue(), ctx.Lock(), ctx.Event(), ctx.Value("i", 3)
def target():
    with lock, total.get_lock():
        total.value += 1
    gate.set()
    results.put(total.value)
    sender.send("through the pipe")
process = ctx.Process(target=target)
process.start()
answer = [receiver.recv(), results.get(), total.value, gate.is_set()]
process.join()
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == ["through the pipe", 4, 4, True]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_global_belongs_to_each_worker(method: str) -> None:
    cell = f"""
total = 0
def add(x):
    global total
    total += x
    return total
with both("{method}").Pool(1) as pool:
    answer = [pool.apply(add, (1,)) for _ in range(3)] + [total]
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == [1, 2, 3, 0]


@pytest.mark.parametrize("method", METHODS)
def test_a_new_child_gets_the_newest_values(method: str) -> None:
    cell = f"""
values = [1]
def look():
    return list(values)
def ask():
    with both("{method}").Pool(1) as pool:
        return pool.apply(look)
answer = [ask()]
values.append(2)
answer.append(ask())
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == [[1], [1, 2]]


def test_a_large_global_is_unpacked_once_per_worker() -> None:
    cell = """
class Large:
    def __init__(self): self.data = bytes(1_000_000)
    def __reduce__(self): return grown, ()
made = 0
def grown():
    global made
    made += 1
    return Large()
large = Large()
def job(x):
    return made, len(large.data)
with both("spawn").Pool(1) as pool:
    answer = [pool.apply(job, (x,)) for x in range(5)]
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == [[1, 1_000_000]] * 5


def test_the_notebooks_own_class_is_not_filled_anew_by_what_comes_back() -> None:
    cell = """
def change():
    Base.count = 5
    return Base(1)
method = Base.doubled
with both("spawn").Pool(1) as pool:
    back = pool.apply(change)
answer = [type(back) is Base, Base.count, Base.doubled is method]
"""
    assert run_cells(SETUP, cell).last.answer == [True, 0, True]


def test_a_forked_child_needs_no_pickling_of_what_it_inherited() -> None:
    cell = """
lock = threading.Lock()
def job(x):
    with lock:
        return x + 1
with both("fork").Pool(2) as pool:
    answer = pool.map(job, [1, 2])
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == [2, 3]


def test_what_cannot_be_sent_is_named() -> None:
    cell = """
my_lock = threading.Lock()
def inner():
    with my_lock: pass
def job(x):
    inner()
with both("spawn").Pool(1) as pool:
    pool.map(job, [1])
"""
    error = run_cells(SETUP, cell).last.error
    assert (
        "job cannot be sent to a child process: it uses the variable 'my_lock', and a _thread.lock" in error
    )


def test_an_argument_that_cannot_be_sent_is_named() -> None:
    cell = """
my_lock = threading.Lock()
both("spawn").Process(target=work, args=(1, my_lock)).start()
"""
    error = run_cells(SETUP, cell).last.error
    assert "argument 2 (the variable 'my_lock') cannot be sent to a child process" in error


def test_nothing_of_it_is_felt_in_a_later_plain_cell() -> None:
    cell = """
with both("spawn").Pool(1) as pool:
    pool.apply(work, (1,))
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.hooks_changed == []
    assert book.last.folders == []
