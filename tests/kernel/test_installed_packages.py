"""What is merely installed beside us is not imported and not run."""

from __future__ import annotations

import importlib.util

import pytest

from conftest import Kernel

needs_trio = pytest.mark.skipif(importlib.util.find_spec("trio") is None, reason="trio is not installed")

CELL = """
import sys

def has_trio(_):
    import sys
    return "trio" in sys.modules
"""
IN_WORKERS = """%%procs
import multiprocessing
with multiprocessing.get_context({method!r}).Pool(2) as pool:
    found = pool.map(has_trio, range(2))
found
"""


def processes(kernel: Kernel) -> list[str]:
    """Every process of the last picture but the workers' own, by name."""
    kernel.check("import concmagic; trace = concmagic.last()")
    names = kernel.value("[t.name for t in trace.tracks if t.kind == 'process' and t.role == 'work']")
    return [name for name in names if "Worker" not in name]


@needs_trio
def test_the_first_traced_cell_imports_no_trio_and_runs_no_process(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%load_ext concmagic")
    run = fresh_kernel.check("%%threads\nimport sys\n'trio' in sys.modules")
    assert run.result_text == "False"
    assert "ldconfig" not in run.displays[-1]["text/plain"]
    assert processes(fresh_kernel) == ["kernel"]
    assert fresh_kernel.value("'trio' in sys.modules") is False


@needs_trio
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_import_no_trio(fresh_kernel: Kernel, method: str) -> None:
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check(CELL)
    run = fresh_kernel.check(IN_WORKERS.format(method=method))
    assert run.result_text == "[False, False]"
    assert "ldconfig" not in run.displays[-1]["text/plain"]
    assert "ldconfig" not in processes(fresh_kernel)


@needs_trio
def test_a_cell_that_runs_on_trio_has_it_and_its_picture(fresh_kernel: Kernel) -> None:
    fresh_kernel.check("%load_ext concmagic")
    cell = "import trio\nasync def main():\n    await trio.sleep(0.01)\n    return 42\ntrio.run(main)"
    run = fresh_kernel.check("%%threads\n" + cell)
    assert run.result_text == "42"
    assert fresh_kernel.check("%%threads\n" + cell).result_text == "42"
