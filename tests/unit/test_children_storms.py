"""Children that cannot start: one readable error, quickly, and no endless replacing."""

import pytest
from children_notebook import run_cells

SPAWNING = ["spawn", "forkserver"]

SETUP = """
import os, sys
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

def work(x):
    return x + 1

def explode(*_):
    raise ImportError("the child has no such library")

class Bomb:
    def __reduce__(self): return explode, ()

def initialize(bomb):
    pass

def bad_initializer():
    raise ImportError("the child has no such library")
"""


@pytest.mark.parametrize("method", SPAWNING)
@pytest.mark.parametrize(
    "call", ["pool.map(work, [1, 2])", "list(pool.imap(work, [1]))", "pool.apply(work, (1,))"]
)
def test_a_pool_whose_workers_cannot_be_read_is_stopped(method: str, call: str) -> None:
    cell = f"""
with mp.get_context("{method}").Pool(2, initialize, (Bomb(),)) as pool:
    {call}
"""
    book = run_cells(SETUP, cell)
    assert (
        "ChildStartError: the workers of this pool cannot start: ImportError: the child has no"
        in book.last.error
    )
    assert 'raise ImportError("the child has no such library")' in book.last.error
    assert len(book.workers) <= 4
    assert book.stderr.count("ImportError") == 0
    assert book.last.hooks_changed == []


@pytest.mark.parametrize("method", ["fork", *SPAWNING])
def test_a_pool_whose_initializer_fails_is_stopped(method: str) -> None:
    cell = f"""
with mp.get_context("{method}").Pool(2, bad_initializer) as pool:
    pool.map(work, [1, 2])
"""
    book = run_cells(SETUP, cell)
    assert (
        "ChildStartError: the workers of this pool cannot start: ImportError: the child has no"
        in book.last.error
    )
    assert len(book.workers) <= 4


def test_a_broken_pool_takes_no_new_jobs() -> None:
    cell = """
pool = mp.get_context("spawn").Pool(1, initialize, (Bomb(),))
for _ in range(2):
    try:
        pool.map(work, [1])
    except Exception as error:
        answer = type(error).__name__
pool.terminate()
pool.join()
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == "ChildStartError"


@pytest.mark.parametrize("method", SPAWNING)
def test_an_executor_tells_the_workers_own_error(method: str) -> None:
    cell = f"""
ctx = mp.get_context("{method}")
with ProcessPoolExecutor(2, ctx, initialize, (Bomb(),)) as pool:
    pool.submit(work, 1).result()
"""
    book = run_cells(SETUP, cell)
    assert "BrokenProcessPool" in book.last.error
    assert book.last.error.count("ImportError: the child has no such library") == 1
    assert book.stderr.count("ImportError") == 0


@pytest.mark.parametrize("method", SPAWNING)
def test_a_process_shows_its_error_once(method: str) -> None:
    cell = f"""
process = mp.get_context("{method}").Process(target=initialize, args=(Bomb(),), name="mine")
process.start()
process.join()
answer = process.exitcode
"""
    book = run_cells(SETUP, cell)
    (record,) = book.workers
    assert book.last.answer == record.exit_code == 1
    assert record.problems == ["mine could not start: ImportError: the child has no such library"]
    assert book.stderr.count("ImportError: the child has no such library") == 1


def test_a_worker_that_dies_at_work_is_replaced_as_ever() -> None:
    cell = """
def die(x):
    os._exit(1)
with mp.get_context("fork").Pool(1) as pool:
    for _ in range(3):
        pool.apply_async(die, (1,))
    answer = pool.apply(work, (1,))
"""
    book = run_cells(SETUP, cell)
    assert book.last.error == ""
    assert book.last.answer == 2
