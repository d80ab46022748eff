"""What threads and children of the cell print and display is this cell's."""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel

FROM_A_THREAD = """\
%%threads
import threading
from IPython.display import display
def show():
    print("printed")
    display("displayed")
thread = threading.Thread(target=show)
thread.start()
thread.join()"""

FROM_CHILDREN = """\
%%procs --start-method {method}
import multiprocessing
def say(number):
    print(f"child {{number}} here", flush=True)
children = [multiprocessing.Process(target=say, args=(number,)) for number in range(2)]
for child in children:
    child.start()
    child.join()
[child.exitcode for child in children]"""


def test_a_thread_prints_and_displays_in_this_cell_before_the_picture(kernel: Kernel) -> None:
    run = kernel.check(FROM_A_THREAD)
    assert run.stdout == "printed\n"
    shown = [output for output in run.outputs if output["kind"] == "display_data"]
    assert shown[0]["data"]["text/plain"] == "'displayed'"
    assert "text/html" in shown[-1]["data"] and len(shown) == 2


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_print_in_this_cell(kernel: Kernel, method: str) -> None:
    run = kernel.check(FROM_CHILDREN.format(method=method))
    assert run.result_text == "[0, 0]"
    lines = [line for line in run.stdout.splitlines() if line]
    assert lines == ["child 0 here", "child 1 here"]
