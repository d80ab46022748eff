"""IPython's own magics and commands beside and in traced cells: one cell each, plain and traced."""

from __future__ import annotations

import pytest

from conftest import Kernel, Run

SCRIPT = """
import threading
found = []
threads = [threading.Thread(target=found.append, args=(n,)) for n in range(3)]
for thread in threads:
    thread.start()
    thread.join()
print("script", __name__, sum(found))
"""

CELLS = {
    "run": "%run script.py\nsum(found)",
    "command": "!echo said\n6 * 7",
    "command kept": "lines = !echo said\nlines",
    "system": "import os\nos.system('exit 3')",
    "line magic": "folder = %pwd\nimport os\nfolder == os.getcwd()",
    "time": "%time sum(range(10))",
    "timeit": "result = %timeit -o -q -n 3 -r 2 len('ab')\nresult.loops, result.repeat",
}
AROUND = ["%%time", "%%capture caught"]


def picture(run: Run) -> str:
    return " ".join(run.displays[-1]["text/plain"].split()) if run.displays else ""


def works(kernel: Kernel) -> None:
    """Nothing is left, and the next cells work, plain and traced."""
    assert kernel.value("__import__('threading').active_count() < 20")
    assert kernel.check("6 * 7").result_text == "42"
    assert kernel.check("%%threads\n6 * 7").result_text == "42"


def write(kernel: Kernel, name: str, text: str) -> None:
    kernel.check(f"from pathlib import Path; _ = Path({name!r}).write_text({text!r})")


@pytest.mark.parametrize("name", CELLS)
def test_magics_and_commands_in_a_traced_cell(kernel: Kernel, name: str) -> None:
    write(kernel, "script.py", SCRIPT)
    cell = CELLS[name]
    plain = kernel.check(cell)
    traced = kernel.check(f"%%timeline\n{cell}")
    assert (traced.result_text, traced.stderr) == (plain.result_text, plain.stderr)
    if name != "time":  # which prints times
        assert traced.stdout == plain.stdout
    assert "MainThread" in picture(traced)
    works(kernel)


@pytest.mark.parametrize("around", AROUND)
def test_a_traced_cell_within_another_magic(kernel: Kernel, around: str) -> None:
    kernel.check(f"{around}\n%%threads\nprint('said')\nvalue = 6 * 7")
    assert kernel.value("value") == 42
    if "capture" in around:
        assert kernel.value("caught.stdout") == "said\n"
    works(kernel)


def test_a_shell_cell_between_traced_cells(kernel: Kernel) -> None:
    kernel.check("%%threads\n1")
    assert kernel.check("%%bash\necho said").stdout == "said\n"
    works(kernel)


def test_a_module_that_changes_is_loaded_anew_before_a_traced_cell(kernel: Kernel) -> None:
    write(kernel, "changing.py", "def answer():\n    return 1\n")
    kernel.check("import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '')")
    kernel.check("%load_ext autoreload\n%autoreload 2\nimport changing")
    try:
        assert kernel.check("%%threads\nchanging.answer()").result_text == "1"
        write(kernel, "changing.py", "def answer():\n    return 2 + len(str(1))\n")
        traced = kernel.check("%%threads\nchanging.answer()")
        assert (traced.result_text, traced.stderr) == ("3", "")
        assert picture(traced)
        works(kernel)
    finally:
        kernel.check("%autoreload 0")
