"""`--start-method` holds for whole cells, too, and for that cell only."""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel

CELL = """\
import multiprocessing
from multiprocessing import Pool
from concurrent.futures import ProcessPoolExecutor
with Pool(1) as pool, ProcessPoolExecutor(1) as executor:
    pools = pool.map(type, [0]), list(executor.map(type, [0]))
multiprocessing.get_start_method()"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_whole_cells_children_start_as_the_line_says(kernel: Kernel, method: str) -> None:
    kernel.check("import multiprocessing as mp\nbefore = mp.get_start_method(allow_none=True)")
    run = kernel.check(f"%%procs --start-method {method} -o trace\n{CELL}")
    assert run.result_text == repr(method)
    kernel.check(
        "workers = {t.name.partition('PoolWorker')[0] for t in trace.tracks if 'PoolWorker' in t.name}"
    )
    named = kernel.value("sorted(workers)")
    assert named == [{"fork": "Fork", "spawn": "Spawn", "forkserver": "ForkServer"}[method]]
    assert kernel.value("mp.get_start_method(allow_none=True) == before") is True


def test_a_failing_cell_gives_the_default_back(kernel: Kernel) -> None:
    kernel.check("import multiprocessing as mp\nbefore = mp.get_start_method(allow_none=True)")
    assert kernel.run("%%procs --start-method spawn\n1 / 0").ename == "ZeroDivisionError"
    assert kernel.value("mp.get_start_method(allow_none=True) == before") is True
